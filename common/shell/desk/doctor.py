"""What could keep a node from working: one line per check, ok, warn or fail, each with a fix.

Nothing is changed and no daemon is needed; where one runs it is asked, and what it holds is not
held against it.
"""

import os
import platform
import resource
import secrets
import socket
import stat
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec
import zmq

from common import wire
from common.addresses import DEFAULT_PORT
from common.errors import Exit, RemoteProtocolError, UserError
from common.ids import NodeId, node_text
from common.ladder import NAMES
from common.limits import DATAGRAM_BYTES_MAX
from common.meeting import Seed, padded_ping
from common.messages.link import Pong
from common.network import Network
from common.shell.desk.calls import Calls
from common.shell.desk.holder import describe_holder
from common.shell.desk.home import KEY_BYTES, Home, holder
from common.shell.desk.options import Invocation
from common.shell.desk.pins import read_pins
from common.shell.desk.resolve import seeds
from common.shell.net.switchboard import require_libzmq

OK: Final = "ok"
WARN: Final = "warn"
FAIL: Final = "fail"

PONG_S: Final = 2.0
STATUS_S: Final = 5.0
NOFILE_MIN: Final = 1024  # a leaf with some hundreds of links; a super-peer wants more
CLOCK_EARLIEST_S: Final = 1_735_689_600  # 2025-01-01: older than this program


class Check(msgspec.Struct):
    """One finding; `fix` is empty where nothing has to be done."""

    check: str
    state: str
    detail: str
    fix: str = ""


class _Asked(msgspec.Struct):
    """`status` takes no parameters."""


class Seen(msgspec.Struct):
    """What the `status` of a daemon tells that matters here; only a leaf has a parent."""

    listen: str
    parent: dict[str, Any] | None = None
    parent_reason: str = ""
    parent_source: str | None = None


def examine(invocation: Invocation, program: str, places: Iterable[str], network: Network) -> int:
    """Run and print all checks; exit code 1 where one failed."""
    home, output = invocation.home_of(program), invocation.output()
    found: list[Check] = []
    for check in _all(home, places, network):
        found.append(check)
        if output.for_people:
            fix = f"  -> {check.fix}" if check.fix else ""
            output.line(f"{check.state:<4} {check.check}: {check.detail}{fix}")
    if not output.for_people:
        output.document(found)
    failed = any(check.state == FAIL for check in found)
    return Exit.UNEXPECTED if failed else Exit.DONE


def _all(home: Home, places: Iterable[str], network: Network) -> Iterator[Check]:
    yield system()
    yield libzmq()
    yield folder(home)
    yield key(home)
    running = holder(home)
    seen = None if running is None else _status(home)
    if running is not None:
        yield daemon(home.program, seen)
    yield port(DEFAULT_PORT, running, home.program, seen)
    yield clock(time.time())
    yield descriptors(*resource.getrlimit(resource.RLIMIT_NOFILE))
    pins = read_pins(home)
    for place in places:
        yield from reachable(place, network, pins)


def _status(home: Home) -> Seen | None:
    try:
        with Calls(home) as calls:
            return calls.call(f"{home.program}.status", _Asked(), Seen, timeout_s=STATUS_S)
    except (UserError, msgspec.MsgspecError):
        return None


def daemon(program: str, seen: Seen | None) -> Check:
    """The daemon of this home answers, and a leaf has a parent."""
    if seen is None:
        fix = f"Wait a moment; if it stays so, end it with `{program} stop` and look at its log."
        return Check("daemon", WARN, "it runs but does not say how it is", fix)
    if program != "leaf":
        return Check("daemon", OK, f"listens at {seen.listen}")
    if seen.parent is None:
        reason = f": {seen.parent_reason}" if seen.parent_reason else ""
        fix = "Look whether that super-peer answers: `leaf doctor --super HOST`."
        return Check("daemon", WARN, f"listens at {seen.listen}, but has no parent{reason}", fix)
    where, named = seen.parent.get("address", "?"), NAMES.get(seen.parent_source or "", "")
    by = f", named by {named}" if named else ""
    return Check("daemon", OK, f"listens at {seen.listen}, its parent is {where}{by}")


def system(platform_name: str = sys.platform) -> Check:
    """Linux and macOS; Windows not yet."""
    detail = f"Python {platform.python_version()} on {platform.system()} {platform.release()}"
    if platform_name in ("linux", "darwin"):
        return Check("system", OK, detail)
    return Check("system", FAIL, f"{detail} is not supported yet", "Use Linux or macOS.")


def libzmq() -> Check:
    """New enough to meet strangers, and able to encrypt."""
    try:
        require_libzmq()
    except RuntimeError as error:
        return Check("libzmq", FAIL, str(error), "Install pyzmq from its wheels.")
    return Check("libzmq", OK, f"libzmq {zmq.zmq_version()} with CURVE, pyzmq {zmq.__version__}")


def folder(home: Home) -> Check:
    """The home, or the place where it will be, can be written."""
    at = home.folder
    try:
        while not at.exists() and at != at.parent:
            at = at.parent
    except OSError as error:
        detail = f"{at} cannot be reached: {error.strerror}"
        return Check("home", FAIL, detail, "Choose another folder with --home.")
    if not at.is_dir() or not os.access(at, os.W_OK | os.X_OK):
        return Check("home", FAIL, f"{at} is not writable", "Choose another folder with --home.")
    status = at.stat()
    if at == home.folder and status.st_uid != os.getuid():
        fix = f"Use another --home, or run as the owner of {at}."
        return Check("home", WARN, f"{at} belongs to another user", fix)
    running = holder(home)
    state = "not running" if running is None else f"running as process {running}"
    return Check("home", OK, f"{home.folder}, {home.program} {state}")


def key(home: Home) -> Check:
    """The key is whole, can be read, and is nobody else's."""
    try:
        status = home.key_file.lstat()
    except FileNotFoundError:
        return Check("key", OK, "none yet; the first run makes one")
    except OSError as error:
        return Check("key", FAIL, f"{home.key_file}: {error.strerror}", "Check its permissions.")
    mode = stat.S_IMODE(status.st_mode)
    if not stat.S_ISREG(status.st_mode) or status.st_size != KEY_BYTES:
        fix = "Restore it from a backup, or move it away to begin with a new one."
        return Check("key", FAIL, f"{home.key_file} is damaged", fix)
    try:
        home.key_file.open("rb").close()
    except OSError as error:
        fix = f"Run `chmod 600 {home.key_file}` as its owner, or use another --home."
        return Check("key", FAIL, f"cannot read {home.key_file}: {error.strerror}", fix)
    if mode & 0o077:
        detail = f"others may read {home.key_file}"
        return Check("key", WARN, detail, f"Run `chmod 600 {home.key_file}`.")
    return Check("key", OK, f"{home.key_file}, mode {mode:04o}")


def port(number: int, running: int | None, program: str, seen: Seen | None = None) -> Check:
    """The default port is free, or ours, or not needed: our daemon serves elsewhere."""
    if seen is not None:
        return Check("port", OK, f"our own daemon holds {seen.listen}")
    try:
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as libzmq binds
            tcp.bind(("", number))
            udp.bind(("", number))
    except OSError:
        who = describe_holder(number)
        if running is not None and f"process {running} " in who:
            return Check("port", OK, f"{number} is held by our own daemon")
        fix = "Give --listen HOST:PORT, or stop that program."
        if program == "leaf":
            fix = "Give --listen HOST:PORT, or nothing: a leaf takes a free port by itself."
        return Check("port", WARN, f"{number} is taken by {who}", fix)
    return Check("port", OK, f"{number} is free, TCP and UDP")


def clock(now_s: float) -> Check:
    """The wall clock is not plainly wrong; nothing but logs and start numbers depends on it."""
    text = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now_s))
    if now_s < CLOCK_EARLIEST_S:
        return Check("clock", WARN, f"it says {text}", "Set the clock of this machine.")
    return Check("clock", OK, text)


def descriptors(soft: int, hard: int) -> Check:
    """Room for links; the soft limit is raised at start."""
    if hard != resource.RLIM_INFINITY and hard < NOFILE_MIN:
        fix = "Raise the limit of open files (`ulimit -Hn`), or keep --max-leaves small."
        return Check("files", WARN, f"at most {hard} open files", fix)
    shown = "unlimited" if hard == resource.RLIM_INFINITY else str(hard)
    return Check("files", OK, f"{soft} open files, {shown} at most")


def reachable(place: str, network: Network, pins: Mapping[str, NodeId]) -> Iterator[Check]:
    """Each address of a super-peer answers a UDP ping, and with the key that was given."""
    try:
        found = seeds([place])
    except UserError as error:
        yield Check("reach", FAIL, error.message, error.hint)
        return
    for seed in found:
        yield asked(seed, network, pins.get(seed.place))


def asked(
    seed: Seed, network: Network, pinned: NodeId | None = None, wait_s: float = PONG_S
) -> Check:
    """What one address answers to a ping; `pinned` is the key that this home expects there."""
    where = f"{seed.place} ({seed.address})"
    began = time.monotonic()
    try:
        pong = _ping(seed, network, began + wait_s)
    except OSError as error:
        reason = error.strerror or "no answer to a UDP ping"
        fix = "Check that it runs and that no firewall drops UDP; HOST:PORT/KEY needs no UDP."
        return Check("reach", FAIL, f"{where}: {reason}", fix)
    took_ms = (time.monotonic() - began) * 1e3
    if pong.refusal:
        return Check("reach", FAIL, f"{where}: {pong.refusal}", "Check --network on both sides.")
    if seed.node is not None and pong.node != seed.node:
        detail = f"{where} has the key {node_text(pong.node)}, not the one given"
        return Check("reach", FAIL, detail, "Ask its owner for the right key.")
    if seed.node is None and pinned is not None and pong.node != pinned:
        detail = f"{where} has the key {node_text(pong.node)}, another one is pinned for it"
        fix = f"If its owner changed it, forget the old one with `pins reset {seed.place}`."
        return Check("reach", FAIL, detail, fix)
    detail = f"{where} answers in {took_ms:.0f} ms with {pong.leaves} of {pong.leaves_max} leaves"
    if network.key:
        detail += "; its network key is not checked by a ping"
    return Check("reach", OK, detail)


def _ping(seed: Seed, network: Network, until: float) -> Pong:
    """The pong to one ping, by `until` (monotonic). Raises OSError where none comes."""
    ping = padded_ping(secrets.token_bytes(16), network)
    family = socket.AF_INET6 if len(seed.address.ip) == 16 else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as udp:
        udp.connect((seed.address.host, seed.address.port))
        udp.send(wire.frame([wire.encode(ping)]))
        while True:
            udp.settimeout(max(0.001, until - time.monotonic()))
            body = udp.recv(DATAGRAM_BYTES_MAX)  # TimeoutError is an OSError
            try:
                messages = wire.decode(
                    body, types=wire.DATAGRAM_TYPES, bytes_max=DATAGRAM_BYTES_MAX
                )
            except RemoteProtocolError:
                continue
            for message in messages:
                if isinstance(message, Pong) and message.nonce == ping.nonce:
                    return message
