"""`leaf search`, by the daemon or, without one, by a passing leaf."""

from typing import TYPE_CHECKING, Any, Final

import click

from common.errors import Exit, UserError
from common.shell.desk.options import Invocation, Number, Whole, global_options, pass_invocation
from common.shell.desk.output import Output
from common.shell.desk.units import counted, parse_size, size_text, time_text
from leaf.commands.node import PROGRAM
from leaf.commands.passing import done_by, passing_by, passing_options
from leaf.commands.tracing import print_hops

if TYPE_CHECKING:
    from leaf.methods import HitRow, Search, SearchResult

STRATEGIES: Final = ("ring", "flood", "dynamic")


class Size(click.ParamType[int]):
    """Bytes, with units."""

    name = "SIZE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Raises a usage error for what is no size."""
        try:
            return parse_size(str(value), rate=False)
        except ValueError as error:
            self.fail(str(error), param, ctx)


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
    metavar="N",
    type=Whole(1, 5000),
    default=50,
    show_default=True,
    help="So many hits at most.",
)
@click.option(
    "--wait",
    metavar="S",
    type=Number(0, 3600),
    default=10.0,
    show_default=True,
    help="Seconds at most; then what is there.",
)
@click.option(
    "--ttl",
    metavar="N",
    type=Whole(0, 10),
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
    from leaf.methods import HitRow, Search

    check_terms(words, kind)
    filters["ext"] = [ext.lower().lstrip(".") for ext in filters["ext"]]
    query = Search(list(words), kind, **filters)
    output = invocation.output()

    told: dict[str, HitRow] = {}

    def tell(hit: HitRow) -> None:
        told[hit.id] = hit
        output.event("hit", hit)

    found: SearchResult = done_by(
        invocation,
        lambda leaf: leaf.search(query, on_hit=tell),
        passing_by(invocation, supers, network, network_key),
    )
    _keep_numbers(invocation, found)
    for hit in found.hits:
        if hit != told.get(hit.id):  # more leaves, other names, or better than what came first
            output.event("update", hit)
    _print_hits(output, found, query)
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


def _print_hits(output: Output, found: "SearchResult", query: "Search") -> None:
    coverage = found.coverage
    if output.jsonl:
        document = {"query": found.query, "coverage": coverage, "id": found.id}
        output.document({**document, "trace": found.trace})
        return
    if output.json:
        output.document(found)
        return
    if found.hits:
        _print_table(output, found.hits)
    reached = counted(coverage.reached, "super-peer")
    if coverage.known is not None:
        reached = f"{coverage.reached} of about {counted(coverage.known, 'super-peer')}"
    hits = counted(len(found.hits), "hit") if found.hits else "No hits"
    output.talk(
        f"{hits} from {reached} ({_completeness(found, query)}; "
        f"{counted(coverage.messages, 'message')}, {time_text(coverage.elapsed_s)})."
    )
    if len(found.hits) == query.limit:
        output.talk(f"Only the best {query.limit} are shown; --limit asks for more.")
    if found.trace:
        print_hops(output, found.trace)


def _print_table(output: Output, hits: "list[HitRow]") -> None:
    """The hits, and where two of them have one name, when each was changed."""
    from common.content.manifest import is_manifest_name

    columns = [">#", ">size", ">sources", "name", "id"]
    rows = [
        [number, size_text(hit.size), hit.sources, hit.name, hit.id]
        for number, hit in enumerate(hits, 1)
    ]
    if len({hit.name for hit in hits}) < len(hits) and any(hit.modified for hit in hits):
        columns.insert(4, "changed")
        for row, hit in zip(rows, hits, strict=True):
            row.insert(4, hit.modified or "")
    output.table(columns, rows)
    if any(is_manifest_name(hit.name) for hit in hits):
        output.talk("Of a .folder the size is that of its list of files, not of the folder.")


def _completeness(found: "SearchResult", query: "Search") -> str:
    """Whether that was all, of what was asked for."""
    from common.limits import TTL_MAX

    if not found.coverage.complete:
        return "not complete"
    if query.ttl >= TTL_MAX:
        return "complete"
    rings = f"{counted(query.ttl, 'ring')} beyond the parent" if query.ttl else "the parent alone"
    return f"all within --ttl {query.ttl}, {rings}"
