"""The show of `./deploy/demo`: a whole network on this machine, and what happens to it.

Three super-peers and twelve leaves as real daemons on loopback, with copies of real files. What is
shown is done by the very commands that a user types, with their own output. All that is made lies
in one temporary folder, which goes at the end; `--stay` leaves the network running and says how
to talk to it and how to end it.
"""

import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from random import Random

import click
import msgspec

from common.errors import Exit, UserError
from common.names import words
from deploy import content
from deploy.asking import digest
from deploy.content import Source
from deploy.delay import Delays
from deploy.drawing import draw
from deploy.ground import Loopback
from deploy.network import Network, read_error, wait_until
from deploy.oracle import Held
from deploy.processes import Processes, end_on_signals
from deploy.scenario import Attachment, Content, Overlay, Scenario
from deploy.targets import SUPER_PEER
from superpeer.methods import Graph, Nothing

FOUND_HERE = ("/usr/share/common-licenses", "/usr/share/doc", "python")
FILES_MAX = 300
LARGE_BYTES_MAX = 32 * 2**20
SMALL_BYTES_MAX = 256 * 2**10
LARGE_FILES = 3  # so that a bar has something to show
EVERYWHERE = 4  # leaves that hold every third file
SUPER_PEERS, LEAVES = 3, 12
VICTIM = 1
NAMES = "ABC"  # of the super-peers


class Show:
    """The network, what is shared in it, and the talk."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._held: list[Held] = []

    # --- acts ---------------------------------------------------------------------------------

    def open(self, chosen: list[Source]) -> None:
        """Lay out the files and bring everything up."""
        network = self._network
        size = sum(source.size for source in chosen)
        _tell(
            f"{SUPER_PEERS} super-peers and {LEAVES} leaves, each a process of its own, talk over "
            f"encrypted links on loopback. The leaves share {len(chosen)} real files of this "
            f"machine ({size / 1e6:.1f} MB, copied to {network.processes.folder}); every third "
            f"file is with {EVERYWHERE} leaves, the others with one."
        )
        scenario, shares = network.scenario, network.shares()
        content.lay_out(
            scenario, chosen[::3], shares, _spread(scenario, EVERYWHERE, len(chosen[::3]))
        )
        rest = [source for number, source in enumerate(chosen) if number % 3]
        content.lay_out(scenario, rest, shares, _spread(scenario, 1, len(rest)))
        network.start(lambda text: click.echo(f"  {text}"))
        shared = network.on_leaves(network.shared_by).values()
        self._held = [held for rows in shared for held in rows]
        network.settle(len(self._held))
        click.echo(f"  {len(self._held)} files are hashed and in the super-peers' indexes")

    def overlay(self) -> None:
        """Draw the super-peers that live as one of them knows them; of far ones it may be late."""
        network = self._network
        graph = network.ask(next(iter(network.alive)), "superpeer.graph", Nothing(), Graph)
        known = [network.number_of(node.node) for node in graph.nodes]
        numbers = sorted(number for number in known if number in network.alive)
        labels = [f"{NAMES[n]}: {network.status_of(n).leaves} leaves" for n in numbers]
        places = {network.super_peers[n].ready.node: place for place, n in enumerate(numbers)}
        edges = [
            (places[edge.a], places[edge.b])
            for edge in graph.edges
            if edge.a in places and edge.b in places
        ]
        click.echo()
        for line in draw(labels, edges):
            click.echo(click.style(line, fg="cyan"))

    def fetch(self) -> None:
        """Search for the largest file from a leaf across the overlay, download and verify it."""
        wanted = max(self._held, key=self._size)
        asker = self._far_from(wanted)
        _tell(
            f"Leaf {asker} looks for {wanted.name!r}. It asks its parent {self._parent(asker)}, "
            "which answers from its own index and asks the other super-peers; leaves are never "
            "bothered by a search."
        )
        self._command(asker, "search", *words(wanted.name))
        _tell("It fetches the file from all who have it, and checks every piece on arrival.")
        target = self._network.processes.folder / "fetched"
        target.mkdir(exist_ok=True)
        self._command(asker, "get", wanted.id, "-o", str(target / wanted.name))
        original = digest(self._path(wanted))
        if digest(target / wanted.name) != original:
            raise UserError(Exit.CORRUPT, "the download is not the file that was shared")
        click.echo(f"  The same bytes as the original: sha256 {original}")
        self._held.append(Held(asker, wanted.id, wanted.name, ""))  # found there too from now on

    def kill(self) -> None:
        """Kill a super-peer and see its leaves go elsewhere."""
        network = self._network
        parents = network.on_leaves(network.parent_of)
        orphans = [leaf for leaf, parent in parents.items() if parent == VICTIM]
        only = [held for held in self._held if self._only_with(held, orphans)]
        lost = max(only, key=lambda held: sum(word.isalpha() for word in words(held.name)))
        _tell(
            f"Super-peer {NAMES[VICTIM]} is killed, as by a power cut (SIGKILL). Its leaves "
            f"{_list(orphans)} notice it by the broken link; each knows a second super-peer and "
            "hangs on that. Their files come with them."
        )
        began = time.monotonic()
        network.kill(SUPER_PEER, VICTIM)

        def look() -> list[int | None]:
            return [network.parent_of(leaf) for leaf in orphans]

        wait_until(look, lambda now: not {None, VICTIM} & {*now}, 30)
        click.echo(f"  After {time.monotonic() - began:.2f} s each of them has a parent again.")
        network.settle(len(self._held))
        click.echo(f"  After {time.monotonic() - began:.2f} s all their files are found again.")
        self.overlay()
        asker = self._far_from(lost)
        _tell(f"Leaf {asker} looks for {lost.name!r}, which only an orphan has: leaf {lost.leaf}.")
        self._command(asker, "search", *words(lost.name))

    def stay(self) -> None:
        """Say how to talk to the network that goes on, and how to end it."""
        network = self._network
        end = network.processes.folder / "end"
        end.write_text(_end_script(network), encoding="utf-8")
        program = Path(sys.executable).parent
        leaf = shlex.quote(str(network.leaves[0].home))
        parent = shlex.quote(str(network.super_peers[0].home))
        _tell("The network stays. Talk to it:")
        click.echo(f"  {program}/leaf search --home {leaf} WORDS")
        click.echo(f"  {program}/leaf get --home {leaf} 1")
        click.echo(f"  {program}/leaf status --home {leaf}")
        click.echo(f"  {program}/superpeer leaves --home {parent}")
        click.echo(f"  {program}/superpeer graph --home {parent}")
        _tell("Join it with folders of your own:")
        place = network.super_peers[0].ready.place
        click.echo(f"  {program}/leaf run --home ~/my-leaf --super {place} --share FOLDER")
        _tell("End it, and remove all it made:")
        click.echo(f"  sh {shlex.quote(str(end))}")

    # --- what it needs to know ----------------------------------------------------------------

    def _path(self, held: Held) -> Path:
        return self._network.share_of(held.leaf) / held.folder / held.name

    def _size(self, held: Held) -> int:
        return self._path(held).stat().st_size

    def _holders(self, held: Held) -> list[int]:
        return [other.leaf for other in self._held if other.id == held.id]

    def _only_with(self, held: Held, leaves: list[int]) -> bool:
        return all(leaf in leaves for leaf in self._holders(held))

    def _parent(self, leaf: int) -> str:
        number = self._network.parent_of(leaf)
        return "?" if number is None else NAMES[number]

    def _far_from(self, held: Held) -> int:
        """A leaf that lacks the file and hangs on another super-peer than its holder, if any."""
        holders = self._holders(held)
        parent = self._parent(held.leaf)
        lacking = [leaf for leaf in range(LEAVES) if leaf not in holders]
        return next((leaf for leaf in lacking if self._parent(leaf) != parent), lacking[0])

    def _command(self, leaf: int, *arguments: str) -> None:
        """Run a command of `leaf` as a user would, with its own output."""
        verb, *rest = arguments
        home = ["--home", str(self._network.leaves[leaf].home)]
        shown = shlex.join(["leaf", verb, *home, *rest])
        click.echo(click.style(f"\n$ {shown}", bold=True))
        command = [sys.executable, "-m", "leaf", verb, *home, *rest]
        code = subprocess.run(command, check=False).returncode
        if code:
            raise UserError(Exit.UNEXPECTED, f"`{shown}` ended with {code}")


def choose(folder: Path | None) -> list[Source]:
    """The files of the show: a few large ones and many small ones, of many names."""
    roots = [folder] if folder else content.folders(FOUND_HERE)
    found = list(content.real_files(roots, 1, LARGE_BYTES_MAX))
    if not found:
        where = str(folder or ", ".join(FOUND_HERE))
        raise UserError(
            Exit.NOTHING_FOUND, f"there is no readable file in {where}", "name another folder"
        )
    found.sort(key=lambda source: -source.size)
    large, rest = found[:LARGE_FILES], found[LARGE_FILES:]
    small = (source for source in rest if source.size <= SMALL_BYTES_MAX)
    return large + content.varied(small, Random(0))[: FILES_MAX - LARGE_FILES]


def _spread(scenario: Scenario, copies: int, count: int) -> list[tuple[int, ...]]:
    """Which leaves hold each of `count` files that have so many copies."""
    return content.holders(msgspec.structs.replace(scenario, content=Content(copies=copies)), count)


def _tell(text: str) -> None:
    """A paragraph of the story."""
    click.echo()
    click.echo(click.wrap_text(text, width=min(shutil.get_terminal_size().columns, 96)))


def _list(numbers: Iterable[int]) -> str:
    return ", ".join(str(number) for number in numbers)


def _end_script(network: Network) -> str:
    """Ends each node through its own socket, so that a reused process id cannot be hit."""
    lines = ["# Ends the network of the demo and removes all that it made."]
    for node in [*network.leaves, *(network.super_peers[n] for n in network.alive)]:
        program = "leaf" if node in network.leaves else "superpeer"
        binary = Path(sys.executable).parent / program
        home = shlex.quote(str(node.home))
        lines.append(f"{shlex.quote(str(binary))} stop --home {home} -q &")
    lines += ["wait", f"rm -rf {shlex.quote(str(network.processes.folder))}"]
    return "\n".join(lines) + "\n"


def show(folder: Path | None, *, stay: bool) -> None:
    """Everything, in order; cleans up unless it shall stay."""
    chosen = choose(folder)
    scenario = Scenario(
        super_peers=SUPER_PEERS,
        leaves=LEAVES,
        overlay=Overlay(graph="ring"),
        attachment=Attachment(told=2),
        name="demo",
    )
    work = Path(tempfile.mkdtemp(prefix="superpeer-demo-"))
    stayed = False
    try:
        with Delays() as delays, Processes(work, stay=stay) as processes:
            play = Show(Network(scenario, processes, Loopback(scenario, delays)))
            play.open(chosen)
            play.overlay()
            play.fetch()
            play.kill()
            if stay:
                play.stay()
                stayed = True
            else:
                _tell("That was all. Every process ends, and the folder goes.")
    finally:
        if not stayed:
            shutil.rmtree(work, ignore_errors=True)


@click.command()
@click.argument(
    "folder", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path)
)
@click.option("--stay", is_flag=True, help="Leave the network running at the end.")
def main(folder: Path | None, *, stay: bool) -> None:
    """Show a whole network on this machine; its leaves share FOLDER, or files found here."""
    end_on_signals()
    began = time.monotonic()
    try:
        show(folder.resolve() if folder else None, stay=stay)
    except UserError as error:
        click.echo(f"\n{read_error(error)}", err=True)
        sys.exit(error.code)
    except KeyboardInterrupt:
        click.echo("\nInterrupted; everything is taken down.", err=True)
        sys.exit(Exit.INTERRUPTED)
    click.echo(f"\nDone in {time.monotonic() - began:.0f} s.")


if __name__ == "__main__":
    main()
