"""Logs of a daemon: an event name and its fields, to stderr; readable on a terminal, else JSON.

The invariant: nothing secret and nothing that a terminal obeys gets out. Fields whose names speak
of keys are redacted, strings are escaped, bytes are shown as hex or as a node. A log that cannot
be written is lost and does not end the node. Cores do not log: their `Notify` comes here.
"""

import contextlib
import os
import re
import sys
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any, Final, Literal, TextIO

from common.core import Notify
from common.errors import Exit, UserError
from common.ids import NODE_ID_BYTES, node_text
from common.shell.desk.output import escaped

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

Format = Literal["auto", "console", "json"]
FORMATS: Final[tuple[Format, ...]] = ("auto", "console", "json")

VALUE_CHARS_MAX: Final = 1_000  # one field; what a peer sends must not fill the disk
REDACTED: Final = "[redacted]"
_SECRET: Final = re.compile(r"(^|_)(key|keys|secret|seed|token|password|passphrase)($|_)")
_LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_NODES: Final = ("node", "peer", "parent", "heir", "leaf", "neighbour", "source")

_Event = MutableMapping[str, Any]


def form_of(text: str) -> Format:
    """A `Format` from a setting; raises UserError (exit 2)."""
    for form in FORMATS:
        if text == form:
            return form
    raise UserError(Exit.USAGE, f"{text!r} is no log format.", f"Use one of {', '.join(FORMATS)}.")


class Log:
    """Where `Notify` effects and the shell's own remarks go."""

    def __init__(
        self,
        form: Format = "auto",
        *,
        level: str = "info",
        color: bool = True,
        stream: TextIO | None = None,
    ) -> None:
        target = stream or sys.stderr
        on_terminal = target.isatty()
        console = form == "console" or (form == "auto" and on_terminal)
        self._logger = _logger(
            target,
            console,
            color and on_terminal and not os.environ.get("NO_COLOR"),
            _LEVELS[level],
        )

    def notify(self, effect: Notify) -> None:
        """One line for one `Notify`."""
        self.write(effect.level, effect.name, effect.fields)

    def write(self, level: str, name: str, fields: dict[str, object]) -> None:
        """One line; lost where stderr is closed or its disk is full."""
        with contextlib.suppress(OSError):
            self._logger.log(_LEVELS.get(level, 20), name, **{"fields": fields})


def cleaned(_logger: object, _method: str, event: _Event) -> _Event:
    """Lift the fields up, escape and shorten what came from outside, hide what is secret."""
    fields: dict[str, object] = event.pop("fields", {})
    event["event"] = _shown("event", event["event"])
    for key, value in fields.items():
        event["field_" + key if key in event else key] = _shown(key, value)
    return event


def _shown(key: str, value: object) -> object:
    if _SECRET.search(key.lower()):
        return REDACTED
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, (bytes, bytearray, memoryview)):
        raw = bytes(value)
        return node_text(raw) if key in _NODES and len(raw) == NODE_ID_BYTES else raw[:32].hex()
    if isinstance(value, dict):
        return {escaped(str(name)): _shown(str(name), each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_shown(key, each) for each in value[:100]]
    text = str(value)
    return escaped(text[:VALUE_CHARS_MAX] + ("…" if len(text) > VALUE_CHARS_MAX else ""))


def _logger(stream: TextIO, console: bool, color: bool, level: int) -> "FilteringBoundLogger":
    structlog = _import_structlog()
    last: list[Any] = [structlog.processors.JSONRenderer()]
    if console:
        plain = structlog.dev.plain_traceback
        last = [structlog.dev.ConsoleRenderer(colors=color, exception_formatter=plain)]
    else:
        last.insert(0, structlog.processors.format_exc_info)
    logger: FilteringBoundLogger = structlog.wrap_logger(
        structlog.PrintLogger(stream),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            cleaned,
            *last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
    )
    return logger


def _import_structlog() -> Any:
    """structlog without `rich`: it imports it wherever there is one, which takes a daemon 0.1 s
    and 8 MiB for tracebacks that it never prints."""
    hide = "structlog" not in sys.modules and "rich" not in sys.modules
    if hide:
        sys.modules["rich"] = None  # type: ignore[assignment]
    try:
        import structlog
        import structlog.dev
    finally:
        if hide:
            del sys.modules["rich"]
    return structlog
