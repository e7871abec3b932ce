"""Standing searches, from a wish to what is found anywhere: in virtual time, end to end."""

import msgspec
import pytest

from common.config import Config, OverlayConfig, WishConfig
from common.core import Fail
from common.errors import Exit
from common.limits import WISHES_PER_LEAF_MAX
from common.messages.cluster import Wish
from common.messages.overlay import Query
from deploy.sim.nodes import DOWNLOADS, SHARE
from leaf.methods import WishAdd, WishChosen
from tests.wish_world import Row

SOON_S = 3.0  # "within seconds": a change of the folder is seen after half a second
SLOW = Config(wish=WishConfig(every_s=60.0))
AS_LINKED = OverlayConfig(degree_wanted=0)  # nobody looks for more neighbours


def test_what_is_there_is_found_and_what_comes_is_told() -> None:
    """At once where it is there, within seconds where it comes; each file once."""
    row = Row(2)
    row.share(row.leaves[1], "music/blue river.ogg", b"one")
    row.run(SOON_S)
    asker = row.leaves[0]
    told = row.watch(asker)
    assert row.wish(asker, "blue").hits == 0
    row.run(SOON_S)
    assert [each.name for each in told] == ["blue river.ogg"]
    row.share(row.leaves[1], "blue moon.ogg", b"two")
    row.share(row.leaves[0], "blue of my own.ogg", b"three")
    row.share(row.leaves[1], "red moon.ogg", b"four")
    row.run(20.0)
    assert row.found(asker) == ["blue river.ogg", "blue moon.ogg"]
    assert [each.name for each in told] == row.found(asker)
    (wish,) = row.wishes(asker)
    assert (wish.watched, wish.reason, wish.hits) == (True, "", 2)
    assert wish.since.endswith("Z") and wish.files[0].found >= wish.since


def test_what_a_leaf_beside_us_publishes_is_told_at_once() -> None:
    """Without a query: the parent holds it against the wishes as it becomes findable."""
    row = Row(1)
    other = row.leaf(row.supers[0])
    other.start()
    row.run(SOON_S)
    row.wish(row.leaves[0], "blue")
    row.run(SOON_S)
    before = row.sent_by(Query)
    row.share(other, "blue moon.ogg")
    row.run(1.0)
    assert row.found(row.leaves[0]) == ["blue moon.ogg"]
    assert row.sent_by(Query) == before


def test_two_links_away_is_told_within_seconds_and_costs_a_few_messages() -> None:
    """A digest that no longer rules the words out is why we ask, two links deep."""
    row = Row(3, Config(overlay=AS_LINKED))
    row.wish(row.leaves[0], "blue", "moon")
    row.run(SOON_S)
    before = row.sent_by(Query)
    row.share(row.leaves[2], "blue moon.ogg")
    row.run(SOON_S)
    assert row.found(row.leaves[0]) == ["blue moon.ogg"]
    assert 0 < row.sent_by(Query) - before <= 4


def test_further_away_it_is_found_in_time() -> None:
    """Every `every_s` all of the network is asked."""
    row = Row(5, Config(overlay=AS_LINKED, wish=WishConfig(every_s=60.0)))
    row.wish(row.leaves[0], "blue", "moon")
    row.run(SOON_S)
    row.share(row.leaves[4], "blue moon.ogg")
    row.run(SOON_S)
    assert row.found(row.leaves[0]) == []
    row.run(80.0)
    assert row.found(row.leaves[0]) == ["blue moon.ogg"]


def test_wishes_survive_a_restart_and_tell_nothing_twice() -> None:
    """With all that they have found."""
    row = Row(2, SLOW)
    row.share(row.leaves[1], "blue river.ogg")
    asker = row.leaves[0]
    row.wish(asker, "blue", type="audio")
    row.run(SOON_S)
    (before,) = row.wishes(asker)
    assert before.hits == 1
    row.world.kill(asker)
    row.run(1.0)
    asker.start()
    row.run(SOON_S)
    told = row.watch(asker)
    (after,) = row.wishes(asker)
    assert msgspec.structs.replace(after, watched=True) == before
    row.share(row.leaves[1], "blue moon.ogg", b"two")
    row.run(100.0)
    assert [each.name for each in told] == ["blue river.ogg", "blue moon.ogg"]


def test_wishes_move_with_their_leaf() -> None:
    """The next parent looks for them."""
    row = Row(2, SLOW)
    asker = row.leaf(*row.supers)
    asker.start()
    row.run(SOON_S)
    row.wish(asker, "blue")
    row.run(SOON_S)
    row.world.kill(row.supers[0])
    row.run(10.0)
    assert row.wishes(asker)[0].watched
    row.share(row.leaves[1], "blue moon.ogg")
    row.run(SOON_S)
    assert row.found(asker) == ["blue moon.ogg"]


def test_a_super_peer_that_is_its_own_leaf_has_wishes_too() -> None:
    """What it looks for and what its leaf is told stay apart."""
    row = Row(1)
    both = row.both()
    both.start()
    row.run(6.0)
    row.wish(both, "blue")
    row.run(SOON_S)
    row.share(row.leaves[0], "blue moon.ogg", b"far")
    row.share(both, "blue of my own.ogg", b"mine")
    row.run(SOON_S)
    assert row.found(both) == ["blue moon.ogg"]


def test_a_removed_wish_finds_nothing_more() -> None:
    """It is forgotten here, at the parent, and on the disk."""
    row = Row(2)
    asker = row.leaves[0]
    wish = row.wish(asker, "blue")
    told = row.watch(asker)
    assert row.ask(asker, "leaf.wish_rm", WishChosen(wish.id)) == []
    row.run(1.0)
    row.share(row.leaves[1], "blue moon.ogg")
    row.run(SOON_S)
    assert told == []
    assert row.stores[asker.number].wishes() == ()


def test_auto_get_fetches_within_its_bounds() -> None:
    """So many files and bytes; the rest is told only, and the row says why."""
    row = Row(2)
    asker = row.leaves[0]
    wish = row.wish(asker, "blue", auto_get=True, max_files=2, max_bytes=1000)
    for number, size in enumerate((2000, 300, 300, 300)):
        row.share(row.leaves[1], f"blue {number}.ogg", bytes([number]) * size)
        row.run(12.0)
    (wish,) = row.wishes(asker)
    assert [(file.name, file.fetched) for file in wish.files] == [
        ("blue 0.ogg", False),
        ("blue 1.ogg", True),
        ("blue 2.ogg", True),
        ("blue 3.ogg", False),
    ]
    assert (wish.fetched_files, wish.fetched_bytes) == (2, 600)
    assert "fetched as much" in wish.reason
    row.run(10.0)
    files = row.files[asker.number]
    assert files.read(f"{DOWNLOADS}/blue 1.ogg") == bytes([1]) * 300
    assert not files.exists(f"{DOWNLOADS}/blue 0.ogg")


def test_what_we_share_is_no_find() -> None:
    """Whoever else has it too."""
    row = Row(2)
    for leaf in row.leaves:
        row.share(leaf, "blue river.ogg")
    row.run(SOON_S)
    row.wish(row.leaves[0], "blue")
    row.run(SOON_S)
    assert row.found(row.leaves[0]) == []
    assert row.files[row.leaves[0].number].exists(f"{SHARE}/blue river.ogg")


def test_the_same_words_are_one_wish() -> None:
    """Added again it may fetch otherwise."""
    row = Row(1)
    first = row.wish(row.leaves[0], "Blue", "moon")
    again = row.wish(row.leaves[0], "blue moon", auto_get=True)
    other = row.wish(row.leaves[0], "blue")
    assert [each.id for each in (first, again, other)] == [1, 1, 2]
    assert [each.auto_get for each in row.wishes(row.leaves[0])] == [True, False]


def test_there_are_only_so_many() -> None:
    """And what is no search is no wish."""
    row = Row(1)
    asker = row.leaves[0]
    for number in range(WISHES_PER_LEAF_MAX):
        row.wish(asker, f"word{number}")
    for words, code in ((["one more"], Exit.REFUSED), (["-not"], Exit.USAGE), ([], Exit.USAGE)):
        failed = row.ask(asker, "leaf.wish_add", WishAdd(words))
        assert isinstance(failed, Fail) and failed.code is code
    long = row.ask(asker, "leaf.wish_add", WishAdd([f"{'w' * 60}{n}" for n in range(30)]))
    assert isinstance(long, Fail) and "1024 bytes" in long.message
    assert row.sent_by(Wish) == WISHES_PER_LEAF_MAX


@pytest.mark.parametrize("wish", [0, 7])
def test_what_cannot_be_removed(wish: int) -> None:
    """One that is not there, and all at once."""
    row = Row(1)
    failed = row.ask(row.leaves[0], "leaf.wish_rm", WishChosen(wish))
    assert isinstance(failed, Fail)
