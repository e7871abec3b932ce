"""How a daemon of either role comes up: its home made and locked, its key read, READY said.

A READY line is said once: as soon as the doors are open, or, for a role that has to join first,
when it has or when the wait is over. It goes to stdout, where nothing else goes.
"""

import os
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol, TypeVar

import click
import msgspec

from common import ladder
from common.core import Notify
from common.errors import Exit, UserError
from common.ids import Identity, node_text
from common.meeting import Seed
from common.shell.desk.home import Home, Lock
from common.shell.desk.logs import Log, form_of
from common.shell.desk.options import Invocation
from common.shell.desk.resolve import of_another_family, seeds
from common.shell.desk.settings import FLAG, NodeOptions, Settings, merge
from common.shell.seeking import Elsewhere

O = TypeVar("O", bound=msgspec.Struct)  # noqa: E741 - a program's own options


class Contact(msgspec.Struct):
    """A node and its address as texts."""

    node: str
    address: str


class Ready(msgspec.Struct):
    """The READY line of a super-peer."""

    node: str
    listen: str
    page: str | None = None


class LeafReady(Ready):
    """The READY line of a leaf."""

    parent: Contact | None = None
    http: str | msgspec.UnsetType = msgspec.UNSET  # where files are served over HTTP, if at all


class Serving(Protocol):
    """What is needed of a daemon: `common.shell.daemon.Daemon` is it."""

    @property
    def listen(self) -> object: ...

    @property
    def http(self) -> object | None: ...

    def call_later(self, delay_s: float, call: Callable[[], None]) -> None: ...


def load(
    kind: type[O],
    invocation: Invocation,
    program: str,
    flags: Mapping[str, object],
    passed_over: list[UserError] | None = None,
) -> Settings[O]:
    """Settings of a program from its file, the environment and `flags`. Raises UserError, or
    keeps those of single settings in `passed_over`."""
    return merge(
        kind,
        prefix=f"{program.upper()}_",
        file=invocation.home_of(program).config_file,
        file_asked=invocation.config is not None,
        environ=os.environ,
        flags={"log_format": invocation.log_format, **flags},
        passed_over=passed_over,
    )


def given(
    settings: Settings[O], key: str, texts: Iterable[str], listen_host: str, log: Log
) -> tuple[Seed, ...]:
    """The super-peers that this setting names, each with where it stood. Raises UserError.

    A host that nobody knows is no reason not to ask the others: it is an error only where no
    other is left. Of what cannot be reached from where we listen the log tells why.
    """
    found: list[Seed] = []
    unknown: list[UserError] = []
    for text in texts:
        try:
            found += seeds([text])
        except UserError as error:
            if error.code is not Exit.UNREACHABLE:
                raise
            unknown.append(error)
    if unknown and not found:
        raise unknown[0]
    for each in unknown:
        log.write("warning", "host_unknown", {"reason": each.message})
    for place in of_another_family(found, listen_host):
        reason = f"this node talks from {listen_host} alone, which has no way there; see --listen"
        log.write("warning", "host_out_of_reach", {"place": place, "reason": reason})
    origin = next((each.origin for each in settings.origins if each.key == key), FLAG)
    source = ladder.FLAG if origin == FLAG else ladder.CONFIG
    if origin.endswith(f"_{key.upper()}"):  # the name of a variable
        source = ladder.ENVIRONMENT
    return tuple(msgspec.structs.replace(seed, source=source) for seed in found)


def elsewhere(options: NodeOptions) -> Elsewhere:
    """Where super-peers are looked for beyond those that are given or remembered."""
    return Elsewhere(options.lan, options.tracker_site, options.srv)


def show(kind: type[O], invocation: Invocation, program: str, *, origin: bool) -> None:
    """`config show`: every setting, and with `origin` where it came from.

    A setting that is wrong is told of and counts as not given: here one finds it.
    """
    wrong: list[UserError] = []
    found = load(kind, invocation, program, {}, wrong).origins
    output = invocation.output()
    for error in wrong:
        output.talk(f"Warning: {error.message}")
    if output.for_people:
        for each in found:
            value = msgspec.json.encode(each.value).decode()  # also how TOML writes it
            if origin:
                output.line(f"{each.key} = {value}  # {each.origin}")
            elif each.value is not None:
                output.line(f"{each.key} = {value}")
    elif origin:
        output.document({each.key: {"value": each.value, "origin": each.origin} for each in found})
    else:
        output.document({each.key: each.value for each in found})


def log_of(invocation: Invocation, form: str) -> Log:
    """The log that the flags and settings ask for."""
    level = "debug" if invocation.verbose else "warning" if invocation.quiet else "info"
    return Log(form_of(form), level=level, color=not invocation.no_color)


def settle(home: Home) -> Identity:
    """Make the home, lock it until this process ends, and read or make its key.

    Raises UserError. `stop` waits for the lock: nobody releases it before the very end.
    """
    home.prepare()
    Lock(home)
    return Identity(home.key())


def epoch() -> int:
    """Which life of the node this is (wall milliseconds): it grows even where its state was lost.

    A daemon may be back within the second: two lives with one epoch would be taken for one, and
    what changed in between never be told.
    """
    return int(time.time() * 1000)


class Joining:
    """Says READY when the leaf has a parent or `wait_s` are over; logs every `Notify`."""

    def __init__(
        self,
        identity: Identity,
        log: Log,
        wait_s: float,
        say: Callable[[LeafReady], None],
        is_hopeless: Callable[[str], bool] = lambda _reason: False,
    ) -> None:
        """`is_hopeless`: whether this reason for having no parent is not worth the wait."""
        self._identity = identity
        self._log = log
        self._wait_s = wait_s
        self._say = say
        self._is_hopeless = is_hopeless
        self._daemon: Serving | None = None
        self._said = False

    def serving(self, daemon: Serving) -> None:
        """The doors are open."""
        self._daemon = daemon
        daemon.call_later(self._wait_s, self._ready)

    def heard(self, notify: Notify) -> None:
        """What the role tells; `parent_joined` is what we wait for."""
        self._log.notify(notify)
        if notify.name == "parent_joined":
            self._ready(Contact(str(notify.fields["node"]), str(notify.fields["address"])))
        elif notify.name == "parent_not_found" and self._is_hopeless(str(notify.fields["reason"])):
            self._ready()

    def _ready(self, parent: Contact | None = None) -> None:
        if self._daemon is None or self._said:
            return
        self._said = True
        node, http = node_text(self._identity.node), self._daemon.http
        at = msgspec.UNSET if http is None else str(http)
        self._say(LeafReady(node, str(self._daemon.listen), parent=parent, http=at))


def say_ready(ready: Ready) -> None:
    """The READY line on stdout."""
    click.echo(f"READY {msgspec.json.encode(ready).decode()}")
