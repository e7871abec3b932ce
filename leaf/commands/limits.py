"""`leaf limit`: how fast this leaf may be, always or at some times, and how many it serves."""

from typing import TYPE_CHECKING, Any

import click

from common.schedule import parse_window
from common.shell.desk.options import Invocation, Whole, global_options, pass_invocation
from common.shell.desk.units import counted, parse_rate, rate_text
from leaf.commands.node import client

if TYPE_CHECKING:
    from leaf.methods import LimitRow, WindowRow


class Rate(click.ParamType[int]):
    """Bytes a second, with units, or `none`."""

    name = "RATE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Raises a usage error for what is no rate."""
        try:
            return parse_rate(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Time(click.ParamType[str]):
    """A window of the week, in one form."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Raises a usage error for what is none."""
        try:
            return str(value) if value == "all" else str(parse_window(str(value)))
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command()
@click.option("--up", type=Rate(), help="Send at most so much a second: 500k, 20mbit, none.")
@click.option("--down", type=Rate(), help="Fetch at most so much a second.")
@click.option("--slots", type=Whole(1, 1000), metavar="N", help="Leaves served at once.")
@click.option("--at", type=Time(), help="Only then: '22:00-06:30', 'mon-fri 8:00-18:00'.")
@click.option("--remove", type=Time(), help="Forget the limits of such a time, or all.")
@global_options
@pass_invocation
def limit(invocation: Invocation, /, **change: Any) -> None:
    """Show limits, or set them for good: always, or at some times of the week.

    Times are local. Of several that hold at once the first set counts; what a time does not limit
    is as it is outside of it. Flags of `run` go before all this until a limit is set anew.
    """
    from leaf.methods import Limit

    if change["at"] == "all":
        raise click.UsageError("--at needs hours, such as '22:00-06:30'.")
    if change["at"] and change["up"] is None and change["down"] is None:
        raise click.UsageError("--at needs a limit that holds then: add --up or --down.")
    if change["at"] and change["slots"] is not None:
        raise click.UsageError("--slots holds at all times: set it without --at.")
    change |= {each: change[each] or "" for each in ("at", "remove")}
    with client(invocation) as leaf:
        row = leaf.limit(Limit(**change))
    output = invocation.output()
    if output.for_people:
        for line in _lines(row):
            output.line(line)
    else:
        output.document(row)


def _lines(row: "LimitRow") -> list[str]:
    up = f" until {row.up_next_change}" if row.up_next_change else ""
    down = f" until {row.down_next_change}" if row.down_next_change else ""
    lines = [
        f"up     {rate_text(row.up_limit)}{up}",
        f"down   {rate_text(row.down_limit)}{down}",
        f"slots  {counted(row.slots, 'leaf', 'leaves')} at once",
    ]
    if row.schedule:
        lines.append(f"else   up {rate_text(row.up)}, down {rate_text(row.down)}")
        lines += [f"{each.at}  {_window_text(each)}" for each in row.schedule]
    return lines


def _window_text(row: "WindowRow") -> str:
    rates = (("up", row.up), ("down", row.down))
    return ", ".join(f"{way} {rate_text(rate)}" for way, rate in rates if rate is not None)
