"""Settings of a program: file < environment < flags, each value with its origin.

A key is either one of the program's own options or a field of `common.config.Config`, dotted
inside a slice (`link.echo_s`); in the environment it is upper case behind the program's prefix,
with two underscores for the dot (`LEAF_LINK__ECHO_S`). The invariant: every value was checked
against its field's type, and a key that no field has is an error that names it and where it stood.
"""

import math
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Generic, NamedTuple, TypeVar, get_origin

import msgspec

from common.config import Config
from common.errors import Exit, UserError
from common.network import DEFAULT_NETWORK, Network
from common.shell.desk.units import parse_rate
from common.shell.disk.diskcalls import naming

SETTINGS_BYTES_MAX: Final = 1024 * 1024
NETWORK_KEY_BYTES_MIN: Final = 16  # an HMAC key shorter than this can be guessed
NETWORK_KEY_BYTES_MAX: Final = 4096
FLAG: Final = "flag"
DEFAULT: Final = "default"
Rate = Annotated[int, msgspec.Meta(description="bytes/s")]  # or text such as `20mbit` or `none`
_ALIASES: Final = {"slots": "swarm.upload_slots", "max_leaves": "cluster.leaves_max"}  # flags
_PACES: Final = ("time_scale", "echo_s", "redial_s", "redial_max_s", "locate_s")  # 0: no pause ever
_ELSEWHERE: Final = ("HOME", "CONFIG")  # where the settings are is no setting


class NodeOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of both programs that no core sees."""

    listen: str = ""  # HOST:PORT; empty: every address, port 1214
    advertise: str = ""
    lan: bool = True
    tracker_site: str = ""  # a list of super-peers: a URL or a file
    srv: str = ""  # a domain whose SRV records name super-peers
    network_key: str = ""  # a file
    log_format: str = "auto"


O = TypeVar("O", bound=msgspec.Struct)  # noqa: E741 - a program's own options


class Origin(NamedTuple):
    """One effective setting and where it came from."""

    key: str
    value: object
    origin: str


class Settings(NamedTuple, Generic[O]):
    """What a program runs with."""

    node: NodeOptions
    own: O
    config: Config
    origins: tuple[Origin, ...]


class _Given(NamedTuple):
    key: str
    value: object
    origin: str


def merge(
    kind: type[O],
    *,
    prefix: str,
    file: Path,
    file_asked: bool,
    environ: Mapping[str, str],
    flags: Mapping[str, object],
    passed_over: list[UserError] | None = None,
) -> Settings[O]:
    """Merge all sources; raises UserError (exit 2) naming the first key that is wrong.

    `flags` holds only what was given on the command line, by key; None counts as not given. With
    `passed_over` what is wrong counts as not given and its errors are put there.
    """
    fields = _fields(NodeOptions) | _fields(kind) | _fields(Config)
    layers = (
        _given_by(file, asked=file_asked),
        _from_environ(environ, prefix, fields),
        (_Given(key, value, FLAG) for key, value in flags.items() if value is not None),
    )
    values: dict[str, Origin] = {}
    for layer in layers:
        for given in layer:
            key = _ALIASES.get(given.key, given.key)
            try:
                value = _checked(given._replace(key=key), fields)
            except UserError as error:
                if passed_over is None:
                    raise
                passed_over.append(error)
            else:
                values[key] = Origin(key, value, given.origin)
    node = _build(NodeOptions, values)
    own = _build(kind, values)
    config = _build(Config, values)
    return Settings(node, own, config, _origins(fields, values, (node, own, config)))


def network_of(options: NodeOptions, name: str = DEFAULT_NETWORK) -> Network:
    """The network of this node, its key read from its file; raises UserError."""
    if not options.network_key:
        return Network(name)
    path = Path(options.network_key).expanduser()
    _check_given("network key", path)
    with naming("read", path), path.open("rb") as file:
        key = file.read(NETWORK_KEY_BYTES_MAX + 1).strip()
    if not NETWORK_KEY_BYTES_MIN <= len(key) <= NETWORK_KEY_BYTES_MAX:
        raise UserError(
            Exit.USAGE,
            f"The network key {path} has {len(key)} bytes, not {NETWORK_KEY_BYTES_MIN} to "
            f"{NETWORK_KEY_BYTES_MAX}.",
            f"Make one with `head -c 32 /dev/urandom | base64 > {path.name}` and give it to all.",
        )
    return Network(name, key)


def _fields(kind: type[msgspec.Struct], prefix: str = "") -> dict[str, object]:
    """Dotted key -> type of every setting in a struct and its slices."""
    found: dict[str, object] = {}
    for field in msgspec.structs.fields(kind):
        key = prefix + field.encode_name
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            found |= _fields(field.type, f"{key}.")
        else:
            found[key] = field.type
    return found


def _given_by(path: Path, *, asked: bool) -> Iterable[_Given]:
    if not asked and not path.exists():
        return []
    return _flattened(read_settings(path), str(path))


def read_settings(path: Path) -> Mapping[str, object]:
    """What a settings file says, not yet checked; UserError where it is not there or no TOML."""
    _check_given("settings file", path)
    with naming("read", path), path.open("rb") as file:
        text = file.read(SETTINGS_BYTES_MAX + 1)
    try:
        if len(text) > SETTINGS_BYTES_MAX:
            raise ValueError("it is too large")
        return tomllib.loads(text.decode())
    except (
        ValueError,
        RecursionError,
    ) as error:  # TOMLDecodeError and UnicodeError are ValueErrors
        raise UserError(
            Exit.USAGE, f"{path} is no TOML: {error}.", "Correct the file or move it away."
        ) from error


def _check_given(what: str, path: Path) -> None:
    """A file that is not there was misspelt: a matter of usage, not of the disk."""
    with naming("read", path):
        there = path.exists()
    if not there:
        raise UserError(Exit.USAGE, f"The {what} {path} does not exist.", "Check the path.")


def _flattened(table: Mapping[str, object], origin: str, prefix: str = "") -> Iterable[_Given]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flattened(value, origin, f"{prefix}{key}.")
        else:
            yield _Given(prefix + key, value, origin)


def _from_environ(
    environ: Mapping[str, str], prefix: str, fields: Mapping[str, object]
) -> Iterable[_Given]:
    for name in sorted(environ):
        tail = name.removeprefix(prefix)
        if tail == name or tail in _ELSEWHERE:
            continue
        key = tail.lower().replace("__", ".")
        value: object = environ[name]
        if get_origin(fields.get(key)) is tuple:
            value = tuple(part.strip() for part in environ[name].split(",") if part.strip())
        yield _Given(key, value, name)


def _checked(given: _Given, fields: Mapping[str, object]) -> object:
    if given.key not in fields:
        raise UserError(
            Exit.USAGE,
            f"Unknown setting {given.key!r} from {given.origin}.",
            "`config show` lists all settings; correct or remove this one.",
        )
    try:
        value = _converted(given.value, fields[given.key])
    except (msgspec.ValidationError, ValueError) as error:
        raise _wrong(given, str(error)) from error
    if reason := unfit(given.key, value):
        raise _wrong(given, reason)
    return value


def unfit(key: str, value: object) -> str:
    """Why a number cannot be a setting, though it is of its field's type; empty where it can."""
    if isinstance(value, (int, float)) and not 0 <= value < math.inf:  # nor NaN
        return "it must not be negative or endless"
    if value == 0 and key.rpartition(".")[2] in _PACES:
        return "it must be above 0"
    return ""


def _converted(value: object, kind: Any) -> object:
    if kind == Rate | None:
        return parse_rate(str(value))
    return msgspec.convert(value, kind, strict=False)


def _wrong(given: _Given, reason: str) -> UserError:
    return UserError(
        Exit.USAGE,
        f"Setting {given.key!r} from {given.origin} is wrong: {reason.rstrip('.')}.",
        "Correct it; `config show --origin` says where each value comes from.",
    )


S = TypeVar("S", bound=msgspec.Struct)


def _build(kind: type[S], values: Mapping[str, Origin], prefix: str = "") -> S:
    """A struct from its defaults and the checked values."""
    changes: dict[str, object] = {}
    for field in msgspec.structs.fields(kind):
        key = prefix + field.encode_name
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            changes[field.name] = _build(field.type, values, f"{key}.")
        elif key in values:
            changes[field.name] = values[key].value
    return kind(**changes)


def _origins(
    fields: Mapping[str, object],
    values: Mapping[str, Origin],
    structs: Iterable[msgspec.Struct],
) -> tuple[Origin, ...]:
    """Every setting in the order of its struct, given or default."""
    effective: dict[str, object] = {}
    for struct in structs:
        effective |= _effective(struct)
    return tuple(values.get(key) or Origin(key, effective[key], DEFAULT) for key in fields)


def _effective(struct: msgspec.Struct, prefix: str = "") -> dict[str, object]:
    found: dict[str, object] = {}
    for field in msgspec.structs.fields(struct):
        value = getattr(struct, field.name)
        if isinstance(value, msgspec.Struct):
            found |= _effective(value, f"{prefix}{field.encode_name}.")
        else:
            found[prefix + field.encode_name] = value
    return found
