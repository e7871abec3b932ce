"""`leaf downloads`, `pause`, `resume` and `rm`: what the daemon is fetching.

A download is meant by its id, by the beginning of one that no other has, by a link, or by the
number of a hit of the last search, as `leaf get` takes it. Scripts get all downloads as they are
then; people see those that were meant.
"""

from typing import TYPE_CHECKING, Final

import click

from common.errors import Exit, UserError
from common.shell.desk.options import Invocation, global_options, pass_invocation
from common.shell.desk.output import Output
from common.shell.desk.units import counted, size_text, time_text
from leaf.commands.node import PROGRAM, client

if TYPE_CHECKING:
    from leaf.client import LeafClient
    from leaf.methods import DownloadRow

WHICH: Final = "ID|NUMBER"
UNDER_WAY: Final = ("queued", "fetching")
RESTING: Final = ("paused", "failed")
_SCHEME: Final = "sp:"


def meant(invocation: Invocation, leaf: "LeafClient", text: str) -> str:
    """The id of the download that somebody means; a text that means none stays as it is.

    Raises UserError for one that means several, or a hit that there was not.
    """
    from common.content.torrent import LinkError, file_id, parse_file_id, parse_magnet
    from common.shell.desk.numbers import link_of

    link = text
    if text.isascii() and text.isdigit():
        link = link_of(invocation.home_of(PROGRAM), int(text)) or text
    try:
        if link.startswith("magnet:"):
            found = parse_magnet(link)
            return file_id(found.root, found.size)
        parse_file_id(text)
    except LinkError:
        return _completed(leaf, text) if text else ""
    return text


def _completed(leaf: "LeafClient", text: str) -> str:
    """The one id that begins so."""
    beginning = text if text.startswith(_SCHEME) else f"{_SCHEME}{text}"
    ids = dict.fromkeys(row.id for row in leaf.downloads() if row.id.startswith(beginning))
    if len(ids) > 1:
        message = f"{text!r} is the beginning of {counted(len(ids), 'download')}."
        raise UserError(Exit.USAGE, message, "Give more of the id; `leaf downloads` shows it.")
    return next(iter(ids), text)


@click.command()
@global_options
@pass_invocation
def downloads(invocation: Invocation) -> None:
    """All downloads, and why each is where it is."""
    with client(invocation) as leaf:
        rows = leaf.downloads()
    _print_downloads(invocation.output(), rows)


@click.command()
@click.argument("download", metavar=f"[{WHICH}]", default="")
@global_options
@pass_invocation
def pause(invocation: Invocation, download: str) -> None:
    """Pause one download, or all."""
    output = invocation.output()
    with client(invocation) as leaf:
        which = meant(invocation, leaf, download)
        before = leaf.downloads() if output.for_people else []
        rows = leaf.pause(which)
    _print_downloads(output, rows, which)
    if output.for_people:
        output.talk(_paused(before, rows, which))


@click.command()
@click.argument("download", metavar=f"[{WHICH}]", default="")
@global_options
@pass_invocation
def resume(invocation: Invocation, download: str) -> None:
    """Go on with one download, or all."""
    output = invocation.output()
    with client(invocation) as leaf:
        which = meant(invocation, leaf, download)
        before = leaf.downloads() if output.for_people else []
        rows = leaf.resume(which)
    if output.for_people:  # in this very moment nothing that goes on has a source
        for row in rows:
            row.reason = "" if row.state in UNDER_WAY else row.reason
    _print_downloads(output, rows, which)
    if output.for_people:
        output.talk(_resumed(before, rows, which))


@click.command()
@click.argument("download", metavar=WHICH)
@click.option("--delete-data", is_flag=True, help="Remove its unfinished part too.")
@global_options
@pass_invocation
def rm(invocation: Invocation, download: str, delete_data: bool) -> None:
    """Forget a download; a finished file always stays, an unfinished part too if not deleted."""
    output = invocation.output()
    with client(invocation) as leaf:
        which = meant(invocation, leaf, download)
        asks = output.for_people and not delete_data
        forgotten = [row for row in leaf.downloads() if row.id == which] if asks else []
        rows = leaf.remove(which, delete_data=delete_data)
    if output.for_people:
        output.line(which)
        output.talk("Forgotten, and shared no more.")
        for text in filter(None, map(_what_stays, forgotten)):
            output.talk(text)
    else:
        output.document(rows)


def _paused(before: "list[DownloadRow]", rows: "list[DownloadRow]", which: str) -> str:
    """What a pause did, in a sentence."""
    if count := _moved(before, rows, from_=UNDER_WAY, to=("paused",)):
        return f"Paused: {counted(count, 'download')}; `leaf resume` goes on."
    return _unmoved(rows, which, "Nothing was paused", "no download is under way")


def _resumed(before: "list[DownloadRow]", rows: "list[DownloadRow]", which: str) -> str:
    """What a resumption did, in a sentence."""
    if count := _moved(before, rows, from_=RESTING, to=(*UNDER_WAY, "finishing", "done")):
        return f"Going on: {counted(count, 'download')}; `leaf downloads` shows how far it is."
    return _unmoved(rows, which, "Nothing was resumed", "no download is paused or has failed")


def _moved(
    before: "list[DownloadRow]",
    rows: "list[DownloadRow]",
    *,
    from_: tuple[str, ...],
    to: tuple[str, ...],
) -> int:
    """How many downloads went from one of these states to one of those."""
    were = {(row.id, row.path) for row in before if row.state in from_}
    return sum((row.id, row.path) in were for row in rows if row.state in to)


def _unmoved(rows: "list[DownloadRow]", which: str, nothing: str, why: str) -> str:
    """That nothing happened, and why; of one download by what it does."""
    states = [row.state for row in rows if row.id == which]
    if states:
        return f"{nothing}: this download is {states[0]}."
    if which:  # that there is none at all would have been an error
        return f"It is a file of a folder; `leaf why {which}` shows what it does."
    return f"{nothing}: {why}."


def _what_stays(row: "DownloadRow") -> str:
    """Where the unfinished part of a forgotten download is, and how it goes; empty: none is."""
    from pathlib import Path

    from common.content.torrent import LinkError, parse_file_id
    from common.shell.disk.pairs import JOURNAL, PART, find_pair

    try:
        root, size = parse_file_id(row.id)
    except LinkError:
        return ""
    place = Path(row.path)
    if row.files is None:
        part = find_pair(place, root, size)
        here = f"{part} and {part}{JOURNAL}" if part is not None else ""
    else:
        parts = sum(1 for _ in place.rglob(f"*{PART}{JOURNAL}"))
        names = f"*{PART} and *{PART}{JOURNAL}"
        here = f"{counted(parts, 'part')} below {place} ({names})" if parts else ""
    goes = "Remove that if it is not wanted; with --delete-data it goes at once."
    return f"Unfinished and kept, for `leaf get` to go on with: {here}. {goes}" if here else ""


def _print_downloads(output: Output, rows: "list[DownloadRow]", which: str = "") -> None:
    if not output.for_people:
        output.document(rows)
        return
    shown = [row for row in rows if row.id == which] or rows  # a file of a folder has no row
    output.table(
        ("state", ">done", ">of", ">rate", ">left", "path", "id", "reason"),
        [
            (
                row.state,
                size_text(row.done_bytes),
                size_text(row.size),
                f"{size_text(row.rate)}/s" if row.rate else "",
                "" if row.eta_s is None else time_text(row.eta_s),
                row.path,
                row.id,
                row.reason,
            )
            for row in shown
        ],
    )
