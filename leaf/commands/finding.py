"""`leaf search` and `leaf get`, by the daemon or, without one, by a passing leaf."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from common.errors import Exit
from common.shell.desk.options import Invocation, global_options, pass_invocation
from common.shell.desk.output import Output
from common.shell.desk.units import parse_size, size_text, time_text
from leaf.commands.node import PROGRAM, client

if TYPE_CHECKING:
    from collections.abc import Callable

    from leaf.client import LeafClient
    from leaf.methods import GetProgress, GetResult, SearchResult


class Size(click.ParamType[int]):
    """Bytes, with units."""

    name = "SIZE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Raises a usage error for what is no size."""
        try:
            return parse_size(str(value))
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


@click.command(cls=Excluding)
@click.argument("words", nargs=-1, required=True)
@click.option("--type", "kind", default="", help="audio, video, image, document, ...")
@click.option("--ext", multiple=True, help="Only files with this extension; may be repeated.")
@click.option("--min-size", type=Size(), default="0")
@click.option("--max-size", type=Size())
@click.option("--limit", type=click.IntRange(1, 5000), default=50, show_default=True)
@click.option("--wait", type=click.FloatRange(0, 3600), default=10.0, show_default=True)
@click.option(
    "--ttl",
    type=click.IntRange(0, 10),
    default=10,
    show_default=True,
    help="Rings beyond the parent; 10 is all.",
)
@click.option(
    "--strategy", type=click.Choice(["ring", "flood", "dynamic"]), default="ring", show_default=True
)
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
    """Find files: all WORDS must match, -WORD excludes."""
    from common.names import MEDIA_TYPES
    from leaf.methods import Search

    if kind and kind not in MEDIA_TYPES:
        raise click.BadParameter(
            f"{kind!r} is none of {', '.join(MEDIA_TYPES)}", param_hint="--type"
        )
    filters["ext"] = [ext.lower().lstrip(".") for ext in filters["ext"]]
    query = Search(list(words), kind, **filters)
    output = invocation.output()

    found: SearchResult = _done(
        invocation,
        lambda leaf: leaf.search(query, on_hit=lambda hit: output.event("hit", hit)),
        _passing(invocation, supers, network, network_key),
    )
    _print_hits(output, found)
    return Exit.DONE if found.hits else Exit.NOTHING_FOUND


def _print_hits(output: Output, found: "SearchResult") -> None:
    coverage = found.coverage
    if output.jsonl:
        output.document({"query": found.query, "coverage": coverage})
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
    known = "" if coverage.known is None else f" of about {coverage.known}"
    output.talk(
        f"{_counted(len(found.hits))} from {coverage.reached}{known} super-peers "
        f"({'complete' if coverage.complete else 'not complete'}; {coverage.messages} messages, "
        f"{time_text(coverage.elapsed_s)})."
    )


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
) -> None:
    """Fetch a file from all who have it; run again it goes on where it was."""
    from leaf.methods import Get

    passing = _passing(invocation, supers, network, network_key)
    if passing and not to:
        to = f"{invocation.home_of(PROGRAM).downloads}/"  # it has none of its own
    order = Get(what, exists=exists, detach=detach and not passing)
    if to:
        target = Path(to).expanduser().absolute()
        order.to, order.into = str(target), to.endswith("/") or target.is_dir()
    if invocation.timeout is not None:
        order.timeout = invocation.timeout
    output = invocation.output()
    with output.bar("Fetching") as bar:

        def show(progress: "GetProgress") -> None:
            output.event("progress", progress)
            remark = progress.reason or f"from {progress.sources}"
            bar.update(progress.done_bytes, progress.size, remark)

        got: GetResult = _done(invocation, lambda leaf: leaf.get(order, on_progress=show), passing)
    if not output.for_people:
        output.document(got)
        return
    output.line(got.path)
    if detach:
        output.talk("The leaf goes on fetching; `leaf downloads` shows how far it is.")
    else:
        output.talk(
            f"{size_text(got.size)} in {time_text(got.elapsed_s)} from {got.sources} sources"
            + (", verified." if got.verified else ".")
        )


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

    return pass_through(invocation, passing, work)


def _counted(hits: int) -> str:
    """A number of hits in words."""
    return f"{hits or 'No'} hit{'' if hits == 1 else 's'}"
