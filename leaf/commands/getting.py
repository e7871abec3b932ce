"""`leaf get`, by the daemon or, without one, by a passing leaf."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from common.errors import Exit, UserError
from common.shell.desk.options import Invocation, global_options, pass_invocation
from common.shell.desk.units import counted, size_text, time_text
from leaf.commands.node import PROGRAM
from leaf.commands.passing import done_by, passing_by, passing_options
from leaf.commands.patience import Patience

if TYPE_CHECKING:
    from collections.abc import Callable

    from leaf.client import LeafClient
    from leaf.methods import Get, GetProgress, GetResult

AGAIN: Final = (Exit.UNREACHABLE, Exit.UNFINISHED, Exit.CORRUPT, Exit.TIMED_OUT)
AGAIN_HINT: Final = "Run the same command again: what is there already is kept."


@click.command()
@click.argument("what", metavar="ID|LINK|NUMBER")
@click.option("-o", "to", metavar="PATH", help="A folder (existing, or ending in /), or the file.")
@click.option(
    "--exists",
    type=click.Choice(["rename", "skip", "fail"]),
    default="rename",
    show_default=True,
    help="Where a file of that name exists.",
)
@click.option("--detach", is_flag=True, help="Only begin; the daemon goes on.")
@click.option("--stream", is_flag=True, help="In order, and to stdout while it is fetched.")
@click.option(
    "--only",
    multiple=True,
    metavar="PATTERN",
    help="Of a folder: files that match, as '*.txt' or 'photos/**'; may be repeated.",
)
@passing_options
@global_options
@pass_invocation
def get(
    invocation: Invocation,
    /,
    *,
    supers: tuple[str, ...],
    network: str | None,
    network_key: str | None,
    what: str,
    to: str | None,
    exists: Any,
    detach: bool,
    stream: bool,
    only: tuple[str, ...],
) -> int:
    """Fetch a file or a folder from all who have it; run again it goes on where it was.

    --timeout ends the wait after so long: 124, or 6 where no source was found. Without it, only a
    download to which nothing comes for 60 s does. The leaf goes on fetching either way.
    """
    from leaf.methods import Get

    passing = passing_by(invocation, supers, network, network_key)
    if passing and not to:
        to = f"{invocation.home_of(PROGRAM).downloads}/"  # it has none of its own
    order = Get(_meant(invocation, what), exists=exists, detach=detach and not passing)
    order.only, order.stream = list(only), stream
    if to:
        target = Path(to).expanduser().absolute()
        check_target(target)
        order.to, order.into = str(target), to.endswith("/") or target.is_dir()
    if invocation.timeout is not None:
        order.timeout = invocation.timeout
    output = invocation.output()
    if stream and not order.detach:
        return _streamed(invocation, order, passing)
    got = _fetched(invocation, order, passing)
    if output.for_people:
        output.line(got.path)
        output.talk(_told(got, detached=order.detach))
    else:
        output.document(got)
    return Exit.DONE


def check_target(path: Path) -> None:
    """Raises UserError for what takes bytes and is no file, such as a device."""
    if path.is_char_device() or path.is_block_device() or path.is_fifo() or path.is_socket():
        text = f"{path} is no file that a download could become."
        raise UserError(Exit.USAGE, text, "Say another -o, or write to it with --stream > PATH.")


def _streamed(invocation: Invocation, order: "Get", passing: "dict[str, object] | None") -> int:
    """The file on stdout as it comes; a reader that closes the pipe ends only that."""
    from leaf.commands.streaming import Outflow, check_stdout

    check_stdout(invocation)
    outflow, output = Outflow(), invocation.output()
    got = None
    try:
        got = _fetched(invocation, order, passing, outflow.follow)
        outflow.finish(got)
    except BrokenPipeError:
        if got is None:
            output.talk(AGAIN_HINT if passing else "The leaf goes on fetching.")
            return Exit.UNFINISHED
    output.talk(f"{got.path}: {_told(got, detached=False)}")
    return Exit.DONE


def _meant(invocation: Invocation, what: str) -> str:
    """A number becomes the link of that hit; the daemon knows what searches in Python found."""
    if not (what.isascii() and what.isdigit()):
        return what
    from common.shell.desk.numbers import link_of

    return link_of(invocation.home_of(PROGRAM), int(what)) or what


def _fetched(
    invocation: Invocation,
    order: "Get",
    passing: "dict[str, object] | None",
    follow: "Callable[[GetProgress], None] | None" = None,
) -> "GetResult":
    """The file; Ctrl-C ends the wait for a daemon, which goes on, and all of a passing leaf."""
    output, ids = invocation.output(), [order.what if order.what.startswith("sp:") else "ID"]
    waiting = Patience(invocation, shown=passing is None)
    with waiting, output.bar("Fetching") as bar:

        def show(progress: "GetProgress") -> None:
            ids[0] = progress.id
            output.event("progress", progress)
            waiting.follow(progress)
            remark = progress.reason or f"from {progress.sources}"
            if progress.files:
                remark = f"{progress.files_done} of {counted(progress.files, 'file')}, {remark}"
            bar.update(progress.done_bytes, progress.size, remark)
            if follow is not None:
                follow(progress)

        def fetch(leaf: "LeafClient") -> "GetResult":
            try:
                return leaf.get(order, on_progress=show)
            except UserError as error:
                stays = error.code not in AGAIN
                if passing is None or stays:
                    raise
                raise UserError(error.code, error.message, AGAIN_HINT) from error

        try:
            got: GetResult = done_by(invocation, fetch, passing)
        except KeyboardInterrupt:
            if passing is None:
                output.talk(f"The leaf goes on fetching; `leaf pause {ids[0]}` stops it.")
            else:
                output.talk(AGAIN_HINT)
            raise click.exceptions.Exit(Exit.INTERRUPTED) from None
    return got


def _told(got: "GetResult", *, detached: bool) -> str:
    """What became of it, in a sentence."""
    if detached:
        return "The leaf goes on fetching; `leaf downloads` shows how far it is."
    if not got.bytes_received and not got.verified and got.files is None:
        return "Skipped, a file is there."
    if not got.bytes_received and got.size:
        return _at_hand(got)
    sources = counted(got.sources, "source")
    if got.files is not None:
        note = f" {got.renamed} got a number: names differ in case only." if got.renamed else ""
        note += f" {got.copied} copied from files of this machine." if got.copied else ""
        note += _beside(got)
        size = f"{counted(got.files, 'file')}, {size_text(got.size)}"
        received = f"{size_text(got.bytes_received)} received from {sources}"
        return f"{size}: {received} in {time_text(got.elapsed_s)}.{note}"
    proven = ", verified" if got.verified else ""
    return f"{size_text(got.size)} in {time_text(got.elapsed_s)} from {sources}{proven}."


def _at_hand(got: "GetResult") -> str:
    """What became of what this machine had: it stood there, or was copied from elsewhere."""
    size = f"{size_text(got.size)}, verified"
    if not got.copied:
        return f"Already there: {size}.{_beside(got)}"
    if got.files is None:
        return f"Copied from a file with this content on this machine: {size}."
    rest = "" if got.copied >= got.files else ", the others were there or are empty"
    copied = f"{got.copied} copied from files of this machine{rest}"
    return f"{counted(got.files, 'file')}, {size}: {copied}.{_beside(got)}"


def _beside(got: "GetResult") -> str:
    """Files of a folder that found others under their names, as an older version has them."""
    if not got.beside:
        return ""
    if got.beside == 1:
        kept = "1 file was there with other content and stays"
        return f" {kept}; the one of this folder is beside it: {got.first_beside}."
    kept = f"{got.beside} files were there with other content and stay"
    return f" {kept}; those of this folder are beside them, the first is {got.first_beside}."
