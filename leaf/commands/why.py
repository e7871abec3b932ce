"""`leaf why`: what a download waits for, or what keeps it from being faster."""

from typing import TYPE_CHECKING, Final

import click

from common.shell.desk.options import Invocation, global_options, pass_invocation
from common.shell.desk.output import Output
from common.shell.desk.units import counted, size_text, time_text
from leaf.commands.downloads import WHICH, meant
from leaf.commands.node import client

if TYPE_CHECKING:
    from leaf.reasons import Cause, SourceRow, Why

NODE_CHARS: Final = 8  # enough to tell sources apart; --json has all of it
_COUNTS: Final = ("linked", "dialling", "choking", "useless", "snubbed", "banned")


@click.command()
@click.argument("download", metavar=WHICH)
@global_options
@pass_invocation
def why(invocation: Invocation, download: str) -> None:
    """Why a download waits or is slow: what was measured, and what is tried next."""
    with client(invocation) as leaf:
        found = leaf.why(meant(invocation, leaf, download))
    output = invocation.output()
    if output.for_people:
        _print(output, found)
    else:
        output.document(found)


def _print(output: Output, found: "Why") -> None:
    first, *others = found.causes
    output.line(f"{found.state}: {_sentence(first)}")
    rate = f", {size_text(found.rate)}/s" if found.rate else ""
    so_far = f"{size_text(found.done_bytes)} of {size_text(found.size)}{rate}"
    output.line(f"{found.path}: {so_far}")
    for cause in others:
        output.line(f"- {_sentence(cause)}")
    if found.counts.known or found.counts.banned:
        numbers = ((name, getattr(found.counts, name)) for name in _COUNTS)
        told = [f"{number} {name}" for name, number in numbers if number]
        output.line(", ".join([f"{counted(found.counts.known, 'source')} known", *told]))
    if found.sources:
        columns = ("node", "address", "phase", ">rate", ">owes", ">next try", "remark")
        output.table(columns, map(_cells, found.sources))
    for each in found.files or ():
        output.line("")
        _print(output, each)


def _sentence(cause: "Cause") -> str:
    text = cause.text[:1].upper() + cause.text[1:]
    text = text if text.endswith((".", "!", "?")) else f"{text}."
    if cause.next_try_s is None:
        return text
    return f"{text} Next try in {time_text(cause.next_try_s)}."


def _cells(row: "SourceRow") -> tuple[str, ...]:
    return (
        row.node[:NODE_CHARS],
        row.address,
        row.phase,
        f"{size_text(row.rate)}/s" if row.rate else "",
        size_text(row.owed_bytes) if row.owed_bytes else "",
        "" if row.next_try_s is None else time_text(row.next_try_s),
        row.remark if row.place is None else f"{row.remark}; place {row.place} in its line",
    )
