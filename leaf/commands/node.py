"""`leaf status`, `stop` and `pins`: the daemon itself."""

import time
from typing import TYPE_CHECKING, Final

import click

from common.errors import Exit, UserError
from common.shell.desk.options import Invocation, global_options, pass_invocation
from common.shell.desk.units import counted, rate_text, size_text, time_text

if TYPE_CHECKING:
    from leaf.client import LeafClient
    from leaf.methods import Status

PROGRAM: Final = "leaf"
WATCH_S: Final = 1.0
_NO_HANDSHAKE: Final = "handshake failed"  # all that a link can tell where CURVE keys differ
_DOUBT: Final = "a KEY given with --super may be wrong"


def client(invocation: Invocation) -> "LeafClient":
    """A link to the daemon meant by the global flags."""
    from leaf.client import LeafClient

    return LeafClient(invocation.home_of(PROGRAM), invocation.timeout)


def with_doubt(reason: str) -> str:
    """Why there is no parent, and where it may be so, that the key given is the cause."""
    if _NO_HANDSHAKE not in reason or _DOUBT in reason:
        return reason
    stop = "." if reason.endswith(".") else ""
    return f"{reason.removesuffix('.')} ({_DOUBT}){stop}"


@click.command()
@click.option("--watch", is_flag=True, help="Again every second, until Ctrl-C.")
@global_options
@pass_invocation
def status(invocation: Invocation, watch: bool) -> None:
    """What this leaf is and does."""
    output = invocation.output()
    with client(invocation) as leaf:
        while True:
            found = leaf.status()
            if output.for_people:
                for name, value in _lines(found):
                    output.line(f"{name:<9} {value}")
            else:
                output.document(found)
            if not watch:
                return
            time.sleep(WATCH_S)


def _lines(found: "Status") -> list[tuple[str, str]]:
    if found.parent is not None:
        from common.ladder import NAMES

        named = NAMES.get(found.parent_source or "", "")
        by = f", named by {named}" if named else ""
        parent = f"{found.parent.address} ({found.parent.node}){by}"
    else:
        parent = f"none: {with_doubt(found.parent_reason)}" if found.parent_reason else "none"
    pending = f", {found.pending_files} still to hash" if found.pending_files else ""
    shared = f"{counted(found.shared_files, 'file')}, {size_text(found.shared_bytes)}"
    if found.fetched_files:
        fetched = f"{counted(found.fetched_files, 'file')}, {size_text(found.fetched_bytes)}"
        shared = f"{shared}; fetched and shared {fetched}"
    return [
        ("node", found.node),
        ("roles", " and ".join(found.roles)),
        ("listen", f"{found.listen}, network {found.network}"),
        ("parent", parent),
        ("heir", f"{found.heir.address} ({found.heir.node})" if found.heir else "none"),
        ("line", f"{counted(found.line, 'leaf', 'leaves')} would follow if none were left"),
        ("measured", _measured(found)),
        ("shared", f"{shared}{pending}"),
        *([("left out", left_out_text(found.left_out))] if found.left_out else []),
        ("limits", f"up {rate_text(found.up_limit)}, down {rate_text(found.down_limit)}"),
        ("running", f"{time_text(found.uptime_s)}, {size_text(found.rss_bytes)} of memory"),
        ("version", found.version),
    ]


def left_out_text(left_out: dict[str, int]) -> str:
    """What lies in shares and is not shared, and why."""
    why = ", ".join(f"{count}: {reason}" for reason, count in left_out.items())
    return f"{sum(left_out.values())} of what lies in shares ({why})"


def _measured(found: "Status") -> str:
    """What others saw of us."""
    reach = {True: "can be dialled", False: "nobody can dial it", None: "nobody has dialled it yet"}
    rates = [
        f"{way} {rate_text(round(rate))}"
        for way, rate in (("up", found.up_rate), ("down", found.down_rate))
        if rate is not None
    ]
    return ", ".join((reach[found.reachable], *rates))


@click.command()
@global_options
@pass_invocation
def stop(invocation: Invocation) -> None:
    """End the daemon; what is unfinished goes on at its next start."""
    with client(invocation) as leaf:
        if not leaf.stop():
            raise UserError(
                Exit.TIMED_OUT, "The leaf is still ending.", "Look at its log, or wait a moment."
            )
    if not invocation.output().for_people:
        invocation.output().document({})


@click.group()
@global_options
def pins() -> None:
    """Keys pinned for super-peers that were given without one."""


@pins.command("ls")
@global_options
@pass_invocation
def pins_ls(invocation: Invocation) -> None:
    """All pinned keys."""
    from common.shell.desk.pins import print_pins

    print_pins(invocation.home_of(PROGRAM), invocation.output())


@pins.command("reset")
@click.argument("place", metavar="HOST[:PORT]")
@global_options
@pass_invocation
def pins_reset(invocation: Invocation, place: str) -> None:
    """Forget the key of a super-peer; the next one met there is pinned."""
    from common.shell.desk.home import holder
    from common.shell.desk.pins import forget_pin
    from common.shell.desk.resolve import place_of

    place, home = place_of(place), invocation.home_of(PROGRAM)
    if holder(home) is None:
        forget_pin(home, place)
    else:
        with client(invocation) as leaf:
            leaf.pins_reset(place)
    output = invocation.output()
    if output.for_people:
        output.talk(f"{place} may have any key now; the next one met is pinned.")
    else:
        output.document({"place": place})
