"""`leaf search` and `leaf get`, by the daemon or, without one, by a passing leaf."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from common.errors import Exit, UserError
from common.shell.desk.options import Invocation, global_options, pass_invocation
from common.shell.desk.output import Output
from common.shell.desk.units import counted, parse_size, size_text, time_text
from leaf.commands.node import PROGRAM, client, with_doubt
from leaf.commands.patience import Patience
from leaf.commands.tracing import print_hops

if TYPE_CHECKING:
    from collections.abc import Callable

    from leaf.client import LeafClient
    from leaf.methods import Get, GetProgress, GetResult, SearchResult

STRATEGIES: Final = ("ring", "flood", "dynamic")
AGAIN: Final = (Exit.UNREACHABLE, Exit.UNFINISHED, Exit.CORRUPT, Exit.TIMED_OUT)
AGAIN_HINT: Final = "Run the same command again: what is there already is kept."


class Size(click.ParamType[int]):
    """Bytes, with units."""

    name = "SIZE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Raises a usage error for what is no size."""
        try:
            return parse_size(str(value), rate=False)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def passing_options(command: "Callable[..., Any]") -> "Callable[..., Any]":
    """Flags of the commands that can do without a daemon."""
    for option in (
        click.option("--network-key", metavar="FILE", help="With --super: its network's key."),
        click.option("--network", metavar="NAME", help="With --super: its network."),
        click.option(
            "--super",
            "supers",
            multiple=True,
            metavar="HOST[:PORT][/KEY]",
            help="Where no daemon runs: ask there, with a passing identity.",
        ),
    ):
        command = option(command)
    return command


class Excluding(click.Command):
    """A command that takes `-word` for an argument where it is none of its options."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Move such words behind `--`, where they are arguments; `-o` of our own stays."""
        options = [name for param in self.get_params(ctx) for name in param.opts]
        end = args.index("--") if "--" in args else len(args)
        excluded = [
            arg
            for arg in args[:end]
            if arg.startswith("-") and len(arg) > 1 and arg[1] != "-" and arg not in options
        ]
        kept = [arg for arg in args[:end] if arg not in excluded]
        return super().parse_args(ctx, [*kept, "--", *args[end + 1 :], *excluded])


def check_terms(words: tuple[str, ...], kind: str) -> None:
    """Raises a usage error for what is no text, or no type of file."""
    from common.names import MEDIA_TYPES

    if any(map(_is_no_text, words)):
        raise click.BadParameter("a word is not UTF-8", param_hint="WORDS")

    if kind and kind not in MEDIA_TYPES:
        raise click.BadParameter(
            f"{kind!r} is none of {', '.join(MEDIA_TYPES)}", param_hint="--type"
        )


def _is_no_text(word: str) -> bool:
    """Whether bytes of the command line could not be read (PEP 383)."""
    return any("\ud800" <= char <= "\udfff" for char in word)


@click.command(cls=Excluding)
@click.argument("words", nargs=-1, required=True)
@click.option("--type", "kind", default="", help="audio, video, image, document, ...")
@click.option("--ext", multiple=True, help="Only files with this extension; may be repeated.")
@click.option("--min-size", type=Size(), default="0", help="As 1500, 10k or 1.5GiB.")
@click.option("--max-size", type=Size(), help="As --min-size.")
@click.option(
    "--limit",
    type=click.IntRange(1, 5000),
    default=50,
    show_default=True,
    help="So many hits at most.",
)
@click.option(
    "--wait",
    type=click.FloatRange(0, 3600),
    default=10.0,
    show_default=True,
    help="Seconds at most; then what is there.",
)
@click.option(
    "--ttl",
    type=click.IntRange(0, 10),
    default=10,
    show_default=True,
    help="Rings beyond the parent; 10 is all.",
)
@click.option(
    "--strategy",
    type=click.Choice(list(STRATEGIES)),
    default="ring",
    show_default=True,
    help="How super-peers are asked.",
)
@click.option("--trace", is_flag=True, help="Tell which way it went; see `leaf trace`.")
@passing_options
@global_options
@pass_invocation
def search(
    invocation: Invocation,
    /,
    *,
    supers: tuple[str, ...],
    network: str | None,
    network_key: str | None,
    words: tuple[str, ...],
    kind: str,
    **filters: Any,
) -> int:
    """Find files: all WORDS must match, -WORD excludes, a WORD* goes on, '"A PHRASE"' stands so."""
    from leaf.methods import Search

    check_terms(words, kind)
    filters["ext"] = [ext.lower().lstrip(".") for ext in filters["ext"]]
    query = Search(list(words), kind, **filters)
    output = invocation.output()

    found: SearchResult = _done(
        invocation,
        lambda leaf: leaf.search(query, on_hit=lambda hit: output.event("hit", hit)),
        _passing(invocation, supers, network, network_key),
    )
    _keep_numbers(invocation, found)
    _print_hits(output, found)
    return Exit.DONE if found.hits else Exit.NOTHING_FOUND


def _keep_numbers(invocation: Invocation, found: "SearchResult") -> None:
    """What `get NUMBER` means from now on; a home that takes no file costs only that."""
    from common.content.torrent import magnet, parse_file_id
    from common.shell.desk.numbers import keep_links

    links = [magnet(hit.name, *parse_file_id(hit.id)) for hit in found.hits]
    try:
        keep_links(invocation.home_of(PROGRAM), links)
    except UserError as error:
        invocation.output().talk(f"Warning: `leaf get NUMBER` will not know these. {error.message}")


def _print_hits(output: Output, found: "SearchResult") -> None:
    coverage = found.coverage
    if output.jsonl:
        document = {"query": found.query, "coverage": coverage, "id": found.id}
        output.document({**document, "trace": found.trace})
        return
    if output.json:
        output.document(found)
        return
    if found.hits:
        output.table(
            (">#", ">size", ">sources", "name", "id"),
            [
                (number, size_text(hit.size), hit.sources, hit.name, hit.id)
                for number, hit in enumerate(found.hits, 1)
            ],
        )
    reached = counted(coverage.reached, "super-peer")
    if coverage.known is not None:
        reached = f"{coverage.reached} of about {counted(coverage.known, 'super-peer')}"
    hits = counted(len(found.hits), "hit") if found.hits else "No hits"
    output.talk(
        f"{hits} from {reached} ({'complete' if coverage.complete else 'not complete'}; "
        f"{counted(coverage.messages, 'message')}, {time_text(coverage.elapsed_s)})."
    )
    if found.trace:
        print_hops(output, found.trace)


# --- fetching -------------------------------------------------------------------------------


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

    passing = _passing(invocation, supers, network, network_key)
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
            got: GetResult = _done(invocation, fetch, passing)
        except KeyboardInterrupt:
            if passing is None:
                output.talk(f"The leaf goes on fetching; `leaf pause {ids[0]}` stops it.")
            raise
    return got


def _told(got: "GetResult", *, detached: bool) -> str:
    """What became of it, in a sentence."""
    if detached:
        return "The leaf goes on fetching; `leaf downloads` shows how far it is."
    if not got.bytes_received and not got.verified and got.files is None:
        return "Skipped, a file is there."
    if not got.bytes_received and got.size:
        return f"Already there: {size_text(got.size)}, verified.{_beside(got)}"
    sources = counted(got.sources, "source")
    if got.files is not None:
        note = f" {got.renamed} got a number: names differ in case only." if got.renamed else ""
        if got.replaced:
            note += f" {counted(got.replaced, 'older file was', 'older files were')} replaced."
        note += _beside(got)
        size = f"{counted(got.files, 'file')}, {size_text(got.size)}"
        received = f"{size_text(got.bytes_received)} received from {sources}"
        return f"{size}: {received} in {time_text(got.elapsed_s)}.{note}"
    proven = ", verified" if got.verified else ""
    return f"{size_text(got.size)} in {time_text(got.elapsed_s)} from {sources}{proven}."


def _beside(got: "GetResult") -> str:
    """Files of a folder that found others under their names."""
    if not got.beside:
        return ""
    differ = counted(got.beside, "file differs", "files differ")
    return f" {differ} from yours: kept as {got.first_beside}{', ...' if got.beside > 1 else '.'}"


def _passing(
    invocation: Invocation, supers: tuple[str, ...], network: str | None, network_key: str | None
) -> "dict[str, object] | None":
    """The settings of a passing leaf; None where the daemon of this home is to do it."""
    if not supers:
        return None
    from common.shell.desk.home import holder

    if holder(invocation.home_of(PROGRAM)) is not None:
        invocation.output().talk("Warning: a leaf runs in this home, so --super is ignored.")
        return None
    return {"super": supers, "network": network, "network_key": network_key}


def _done(
    invocation: Invocation,
    work: "Callable[[LeafClient], Any]",
    passing: "dict[str, object] | None",
) -> Any:
    """What `work` gives, asked of the daemon or of a passing leaf."""
    if passing is None:
        with client(invocation) as leaf:
            return work(leaf)
    from leaf.assembly import pass_through

    try:
        return pass_through(invocation, passing, work)
    except UserError as error:
        raise UserError(error.code, with_doubt(error.message), error.hint) from error
