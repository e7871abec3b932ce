"""A scene that several tests share: one super-peer, some leaves with a file, and one that asks."""

from random import Random

from common.meeting import Seed
from leaf.methods import DownloadRow, Get, Nothing, Search, SearchResult
from tests.leaf_world import World

MIB = 1024 * 1024


def content(size: int, seed: int = 1) -> bytes:
    """Bytes that are nowhere alike."""
    return Random(seed).randbytes(size)


def network(data: bytes, sources: int, seed: int = 0) -> World:
    """One super-peer, some leaves that share `data` as 'blue note.mp3', and 'asker'."""
    world = World(seed)
    at = world.superpeer("s")
    for number in range(sources):
        world.leaf(f"source{number}", at, files={"music/blue note.mp3": data})
    world.leaf("asker", at)
    world.advance(3.0)
    return world


def found(world: World, name: str = "asker") -> SearchResult:
    """The result of a search for the file."""
    call = world.ask(name, "leaf.search", Search(["blue", "music"]))
    world.advance(2.0)
    result = world.outcome(call)
    assert isinstance(result, SearchResult)
    return result


def rows(world: World, name: str = "asker") -> list[DownloadRow]:
    """The downloads of a leaf."""
    result = world.outcome(world.ask(name, "leaf.downloads", Nothing()))
    assert isinstance(result, list)
    return result


def begun(world: World, name: str = "asker") -> int:
    """A get of the first hit, when a part of it is stored; the bytes written are more than 0."""
    found(world, name)
    call = world.ask(name, "leaf.get", Get("1"))
    while not world.disks[name].written_bytes:
        world.advance(0.001)
    return call


def seed_of(world: World) -> Seed:
    """How to find the super-peer of a world."""
    return Seed("s.example:1214", world.address("s"))
