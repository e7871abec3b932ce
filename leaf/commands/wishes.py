"""`leaf wish add`, `ls` and `rm`: what is looked for until it is there."""

from typing import TYPE_CHECKING, Any

import click

from common.shell.desk.options import Invocation, Whole, global_options, pass_invocation
from common.shell.desk.output import Output
from common.shell.desk.units import counted, size_text
from leaf.commands.node import client
from leaf.commands.searching import Excluding, Size, check_terms

if TYPE_CHECKING:
    from leaf.methods import WishedRow, WishRow


@click.group()
@global_options
def wish() -> None:
    """Standing searches: told of what comes, wherever it comes."""


@wish.command(cls=Excluding)
@click.argument("words", nargs=-1, required=True)
@click.option("--type", "kind", default="", help="audio, video, image, document, ...")
@click.option("--ext", multiple=True, help="Only files with this extension; may be repeated.")
@click.option("--min-size", type=Size(), default="0", help="As 1500, 10k or 1.5GiB.")
@click.option("--max-size", type=Size(), help="As --min-size.")
@click.option("--auto-get", is_flag=True, help="Fetch what is found, into the downloads folder.")
@click.option(
    "--max-files",
    metavar="N",
    type=Whole(1, 200),
    default=10,
    show_default=True,
    help="With --auto-get: so many files at most.",
)
@click.option(
    "--max-bytes",
    type=Size(),
    default="10G",
    show_default=True,
    help="With --auto-get: so much at most.",
)
@global_options
@pass_invocation
def add(
    invocation: Invocation,
    /,
    *,
    words: tuple[str, ...],
    kind: str,
    ext: tuple[str, ...],
    **more: Any,
) -> None:
    """Look for WORDS from now on, -WORD excludes; the same words again change only --auto-get."""
    from leaf.methods import WishAdd

    check_terms(words, kind)
    extensions = [each.lower().lstrip(".") for each in ext]
    with client(invocation) as leaf:
        row = leaf.wish_add(WishAdd(list(words), kind, extensions, **more))
    output = invocation.output()
    if output.for_people:
        output.talk(f"Wish {row.id} is kept; `leaf wish ls --watch` tells of what is found.")
    else:
        output.document(row)


@wish.command()
@click.argument("number", metavar="[ID]", type=Whole(1), required=False)
@click.option("--watch", is_flag=True, help="Tell of what is found, so far and from now on.")
@global_options
@pass_invocation
def ls(invocation: Invocation, number: int | None, watch: bool) -> None:
    """All wishes; with ID, what that one has found."""
    output = invocation.output()
    if watch and output.json:
        raise click.UsageError("--watch is a stream: use --jsonl.")
    with client(invocation) as leaf:
        if watch:
            if output.for_people:
                output.talk("wish  size  name  id")
            leaf.wish_watch(number or 0, on_found=lambda found: _show_found(output, found))
            return
        rows = leaf.wish_ls(number or 0)
    if not output.for_people:
        output.document(rows)
    elif number:
        _print_files(output, rows)
    else:
        _print_wishes(output, rows)


@wish.command()
@click.argument("number", metavar="ID", type=Whole(1))
@global_options
@pass_invocation
def rm(invocation: Invocation, number: int) -> None:
    """Look for it no longer; what was fetched stays."""
    with client(invocation) as leaf:
        rows = leaf.wish_rm(number)
    output = invocation.output()
    if output.for_people:
        _print_wishes(output, rows)
    else:
        output.document(rows)


def _show_found(output: Output, found: "WishedRow") -> None:
    output.event("hit", found)
    if output.for_people:
        output.line(f"{found.wish}  {size_text(found.size)}  {found.name}  {found.id}")


def _print_wishes(output: Output, rows: "list[WishRow]") -> None:
    output.table(
        (">id", ">hits", "fetched", "words", "since", "reason"),
        [
            (row.id, row.hits, _fetching(row), " ".join(row.words), row.since, row.reason)
            for row in rows
        ],
    )


def _fetching(row: "WishRow") -> str:
    if not row.auto_get:
        return ""
    spent = f"{size_text(row.fetched_bytes)} of {size_text(row.max_bytes)}"
    return f"{row.fetched_files} of {counted(row.max_files, 'file')}, {spent}"


def _print_files(output: Output, rows: "list[WishRow]") -> None:
    output.table(
        ("found", ">size", "name", "id"),
        [
            (file.found, size_text(file.size), file.name, file.id)
            for row in rows
            for file in row.files
        ],
    )
