"""A parent's own hits: at once where they are few, in windows where they are many, and alone."""

from common.messages.cluster import Coverage, SearchDone, SearchHits
from superpeer.search.search import AT_ONCE_S, HITS_AT_ONCE
from tests.overlay_world import World

FILES = 2 * HITS_AT_ONCE + 50


def world_of(*superpeers: str) -> World:
    """A leaf that shares a lot, and one that asks, at the first of these."""
    world = World(1, (0.001, 0.001))
    world.superpeers(list(superpeers), [("sp1", other) for other in superpeers[1:]])
    for leaf in ("sharer", "asker"):
        world.leaf(leaf)
        world.join(leaf, "sp1")
    world.advance(0.5)
    world.publish("sharer", "sp1", {f"common {number}": number for number in range(FILES)})
    world.advance(5.0)
    world.puppet("asker").heard.clear()
    return world


def names(world: World) -> list[str]:
    """What the asker was given so far."""
    messages = [each for each in world.puppet("asker").heard if isinstance(each, SearchHits)]
    return [hit.entry.name for message in messages for hit in message.hits]


def test_a_few_hits_and_the_end_come_together() -> None:
    """Nobody else is asked, and nothing is sent among super-peers."""
    world = world_of("sp1", "sp2")
    before = len(world.sent)
    world.search("asker", "sp1", "common", wanted=15)
    world.advance(0.01)
    assert len(names(world)) == 15
    done = world.puppet("asker").heard[-1]
    assert isinstance(done, SearchDone)
    assert done.coverage == Coverage(1, 2, 0, 0.0, complete=False)
    assert {to for _, to, _ in world.sent[before:]} <= {"sp1", "asker"}


def test_many_hits_come_in_windows() -> None:
    """So that a link is never filled at once; all come, once each, and then the end."""
    world = world_of("sp1")
    world.search("asker", "sp1", "common", wanted=5_000)
    world.advance(AT_ONCE_S / 2)
    assert len(names(world)) == HITS_AT_ONCE
    world.advance(AT_ONCE_S)
    assert len(names(world)) == 2 * HITS_AT_ONCE
    world.advance(AT_ONCE_S)
    assert sorted(names(world)) == sorted(f"common {number}" for number in range(FILES))
    (done,) = [each for each in world.puppet("asker").heard if isinstance(each, SearchDone)]
    assert done.coverage.complete


def test_what_is_published_anew_meanwhile_does_not_come_twice() -> None:
    """The same files stand behind the others in the index then, and were delivered already."""
    world = world_of("sp1")
    world.search("asker", "sp1", "common", wanted=5_000)
    world.advance(AT_ONCE_S / 2)
    assert len(names(world)) == HITS_AT_ONCE
    copies = {f"common {number}": number for number in range(100)}
    world.publish("asker", "sp1", copies)  # what it has as well comes first now
    for _ in range(3):
        world.publish("sharer", "sp1", {}, afresh=True)
        world.advance(AT_ONCE_S)
    world.advance(5 * AT_ONCE_S)
    messages = [each for each in world.puppet("asker").heard if isinstance(each, SearchHits)]
    keys = [(hit.source.node, hit.slot) for message in messages for hit in message.hits]
    assert len(keys) == len(dict.fromkeys(keys))
    assert any(isinstance(each, SearchDone) for each in world.puppet("asker").heard)


def test_searches_of_one_leaf_share_its_windows() -> None:
    """What comes second takes turns with the first, also where it has nothing; both end."""
    world = world_of("sp1")
    for number, word in enumerate(("common", "common", "nothing")):
        world.search("asker", "sp1", word, wanted=5_000, guid=bytes([number]) * 16)
    world.advance(AT_ONCE_S / 2)
    assert len(names(world)) == HITS_AT_ONCE
    world.advance(1.0)
    assert len(names(world)) == 2 * FILES
    ends = [each.guid for each in world.puppet("asker").heard if isinstance(each, SearchDone)]
    assert sorted(ends) == [bytes([number]) * 16 for number in range(3)]


def test_a_leaf_that_is_lost_is_sent_no_more() -> None:
    """What waited for it goes with it."""
    world = world_of("sp1")
    world.search("asker", "sp1", "common", wanted=5_000)
    world.advance(AT_ONCE_S / 2)
    world.hang_up("asker", "sp1", "gone")
    world.advance(1.0)
    assert world.core("sp1").snapshot().searches == 0
    assert world.core("sp1")._searches.wakeup() is None
