"""A scene of peer exchange: sources that serve nobody, who fetches from them, and who is named."""

from collections.abc import Iterable

from common.addresses import Address
from common.config import Config, SwarmConfig
from common.content.torrent import file_id
from common.core import Dial, Effect, Received
from common.messages.fields import Contact
from common.messages.swarm import Peers
from leaf.methods import Get
from leaf.role import Leaf
from leaf.swarm.source import Phase
from tests.leaf_scene import MIB, content, seed_of
from tests.leaf_world import World
from tests.memory_disk import tree_of

DATA = content(4 * MIB)
ROOT, SIZE = tree_of(DATA).root, len(DATA)
WHAT = file_id(ROOT, SIZE)
SWARM = SwarmConfig()
SLOW = Config(swarm=SwarmConfig(locate_first_s=1000.0, locate_s=1000.0))  # asks its parent once


def told(world: World, name: str = "", to: str = "") -> list[Peers]:
    """What was named, by whom and to whom."""
    return [
        message
        for sender, taker, message in world.sent
        if isinstance(message, Peers) and name in ("", sender) and to in ("", taker)
    ]


def names(world: World, message: Peers) -> list[str]:
    """The leaves in a message."""
    return sorted(world._names[each.node] for each in message.contacts)


def fetching(world: World, name: str, config: Config = SLOW) -> None:
    """A new leaf begins to fetch the file."""
    world.leaf(name, seed_of(world), config=config)
    world.advance(2.0)
    world.ask(name, "leaf.get", Get(WHAT))
    world.advance(0.5)


def stuck(sources: int = 1, links_max: int = SWARM.links_max) -> "Watched":
    """Sources that choke everybody: who fetches stays with them and gets nothing."""
    world = Watched()
    at = world.superpeer("s")
    config = Config(swarm=SwarmConfig(upload_slots=0, links_max=links_max))
    for number in range(sources):
        world.leaf(f"source{number}", at, files={"a.bin": DATA}, config=config)
    world.advance(3.0)
    return world


def known(world: World, name: str) -> dict[str, Phase]:
    """The sources of a leaf's only download."""
    leaf = world.nodes[name]
    assert isinstance(leaf, Leaf)
    (download,) = leaf._downloads.roster.by_number.values()
    sources = download.fetch.sources if download.fetch else ()
    return {world._names.get(each.peer, "?"): each.phase for each in sources}


def dropped(world: World, name: str) -> dict[str, int]:
    """What a leaf did not believe, by reason."""
    leaf = world.nodes[name]
    assert isinstance(leaf, Leaf)
    return {reason: n for reason, n in leaf.snapshot().dropped.items() if "peers" in reason}


def says(world: World, by: str, to: str, contacts: Iterable[Contact], root: bytes = ROOT) -> None:
    """One leaf names others to another, whatever is true."""
    world.feed(to, Received(world.node(by), Peers(root, tuple(contacts)), None))


def strangers(count: int, first: int = 0, network: str = "10.9") -> list[Contact]:
    """Leaves that are not there, each on a host of its own."""
    numbers = range(first, first + count)
    return [
        Contact(
            number.to_bytes(32, "big"),
            Address.of(f"{network}.{number // 250}.{number % 250 + 1}", 5000),
        )
        for number in numbers
    ]


class Watched(World):
    """A world that notes who dials leaves which are not there."""

    def __init__(self) -> None:
        super().__init__()
        self.dialled: list[str] = []

    def _perform(self, name: str, effect: Effect) -> None:
        if isinstance(effect, Dial) and effect.peer not in self._names:
            self.dialled.append(name)
        super()._perform(name, effect)


def dials(world: Watched, name: str, seconds: float) -> int:
    """How many strangers a leaf has dialled since the last look, when this much time has passed."""
    world.advance(seconds)
    count = world.dialled.count(name)
    world.dialled.clear()
    return count
