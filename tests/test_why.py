"""`leaf why`: every cause by itself, from what makes it to what is said of it."""

from collections.abc import Callable

import pytest

from common.config import Config, SwarmConfig
from common.content.torrent import file_id
from common.core import Effect, Event, Fail, Received
from common.errors import Exit
from common.ids import node_text
from common.messages.fields import Message
from common.messages.swarm import Bitfield, Choke, Have, Unchoke
from common.storage import Restored, WritePieces
from leaf.methods import Chosen, Get, GetResult, Limit, Remove, WhyOf
from leaf.reasons import Cause, Counts, Why
from tests.folder_scene import found as found_folder
from tests.folder_scene import going
from tests.folder_scene import network as folder_network
from tests.leaf_scene import MIB, begun, content, found, network, rows, seed_of
from tests.leaf_world import World
from tests.memory_disk import MemoryDisk, tree_of

DATA = content(10 * MIB)
WHAT = file_id(tree_of(DATA).root, len(DATA))


def why(world: World, what: str = WHAT) -> Why:
    """What the asker says of its download."""
    answer = world.outcome(world.ask("asker", "leaf.why", WhyOf(what)))
    assert isinstance(answer, Why), answer
    assert answer.causes
    assert answer.waits_for == answer.causes[0].text != ""
    return answer


def cause(world: World, word: str) -> Cause:
    """The cause of this name."""
    (one,) = [each for each in why(world).causes if each.cause == word]
    return one


def words(world: World) -> list[str]:
    """The causes, the weightiest first."""
    return [each.cause for each in why(world).causes]


def wanted(world: World, **more: object) -> int:
    """A get by the content alone."""
    return world.ask("asker", "leaf.get", Get(WHAT, **more))  # type: ignore[arg-type]


def stalled(sources: int = 2, config: Config | None = None) -> World:
    """A download that has begun and whose sources send nothing more."""
    world = network(DATA, sources)
    if config is not None:
        world.kill("asker")
        world.leaf("asker", seed_of(world), config=config, epoch=2)
        world.advance(2.0)
    begun(world)
    for number in range(sources):
        world.mute[f"source{number}"] = None
    return world


class Stuck(MemoryDisk):
    """A disk that takes nothing and says nothing."""

    def perform(self, effect: Effect) -> list[Event]:
        """All but writes."""
        return [] if isinstance(effect, WritePieces) else super().perform(effect)


# --- nobody has it, or nobody can be reached ------------------------------------------------


def test_nobody_is_known_to_have_it() -> None:
    """And when the parent is asked again is said."""
    world = network(content(1000), sources=1)
    wanted(world)
    world.advance(20.0)
    assert words(world) == ["no_source", "locate"]
    assert why(world).counts == Counts()
    next_s = cause(world, "locate").next_try_s
    assert next_s is not None
    assert 0 < next_s <= 1.25 * SwarmConfig().locate_s


def test_there_is_no_parent() -> None:
    """Why not is said, in the words of `leaf status`."""
    world = network(DATA, sources=1)
    world.kill("s")
    world.advance(10.0)
    wanted(world)
    world.advance(0.01)
    told = why(world)
    assert [each.cause for each in told.causes] == ["no_source", "parent"]
    assert told.parent is None
    assert told.parent_reason.removesuffix(".") in told.causes[1].text


def test_sources_that_cannot_be_reached() -> None:
    """First they are being reached, then they rest, and each says until when."""
    world = network(DATA, sources=2)
    found(world)
    for number in range(2):
        world.kill(f"source{number}")
    world.ask("asker", "leaf.get", Get("1"))
    assert words(world)[0] == "opening"
    world.advance(0.003)
    assert words(world)[0] == "dialling"
    assert {row.remark for row in why(world).sources} == {"being reached"}
    world.advance(1.0)
    assert words(world)[0] == "resting"
    told = why(world)
    rests = [row.next_try_s for row in told.sources if row.next_try_s is not None]
    assert rests
    assert cause(world, "resting").next_try_s == min(rests)
    assert {row.remark for row in told.sources} == {"could not be reached"}
    assert told.parent == node_text(world.node("s"))


def test_a_link_that_says_nothing() -> None:
    """Not even what it has; when that is held against it is said."""
    world = network(DATA, sources=1)
    world.mute["source0"] = None
    found(world)
    world.ask("asker", "leaf.get", Get("1"))
    world.advance(1.0)
    greeting = cause(world, "greeting")
    assert (greeting.count, why(world).causes[0]) == (1, greeting)
    assert greeting.next_try_s is not None
    assert 18.0 < greeting.next_try_s <= SwarmConfig().request_s
    (row,) = why(world).sources
    assert (row.phase, row.choked, row.useful) == ("linked", None, None)


# --- linked, and yet ------------------------------------------------------------------------


def says(world: World, *messages: Message) -> None:
    """The first source says this to the asker."""
    for message in messages:
        world.feed("asker", Received(world.node("source0"), message, None))


def test_hashes_come_first() -> None:
    """Linked and willing, and the piece hashes are not there yet."""
    world = network(DATA, sources=1)
    found(world)
    world.ask("asker", "leaf.get", Get("1"))
    while not (why(world).counts.linked and why(world).sources[0].choked is not None):
        world.advance(0.001)
    assert words(world)[0] in ("hashes", "choked")
    says(world, Unchoke(tree_of(DATA).root))
    assert words(world)[0] == "hashes"


def test_a_choke() -> None:
    """Others are served first; of how many sources."""
    world = stalled()
    says(world, Choke(tree_of(DATA).root))
    assert cause(world, "choked").count == 1
    assert "1 of 2 linked sources" in cause(world, "choked").text
    assert why(world).counts.choking == 1
    (row,) = [row for row in why(world).sources if row.choked]
    assert (row.node, row.remark) == (node_text(world.node("source0")), "serves others first")
    assert (row.place, cause(world, "choked").next_try_s) == (None, None)
    says(world, Choke(tree_of(DATA).root, 3, 40))
    (row,) = [row for row in why(world).sources if row.choked]
    assert (row.place, row.wait_s, cause(world, "choked").next_try_s) == (3, 40, 40)
    assert "our place in the shortest line is 3" in cause(world, "choked").text
    world.advance(15.0)
    (row,) = [row for row in why(world).sources if row.choked]
    assert (row.wait_s, cause(world, "choked").next_try_s) == (25, 25)


def test_sources_that_have_nothing_we_lack() -> None:
    """They are linked and of no use now, until they tell of a new piece."""
    world = stalled(sources=1)
    root, count = tree_of(DATA).root, len(DATA) // 16384
    says(world, Choke(root), Unchoke(root), Bitfield(root, bytes(count // 8)))
    says(world, Choke(root), Bitfield(root, bytes(count // 8)))
    assert "useless" in words(world)
    assert [row.useful for row in why(world).sources] == [False]
    assert why(world).counts.useless == 1
    says(world, Have(root, count - 1))
    assert why(world).counts.useless in (0, 1)  # what is lacking was drawn at random


def test_a_source_that_lets_us_wait() -> None:
    """How often, and when it is given up."""
    world = stalled(sources=1)
    world.advance(SwarmConfig().request_s + 1.0)
    snubbed = cause(world, "snubbed")
    assert snubbed is not None
    assert snubbed.count == 1
    assert snubbed.next_try_s is not None
    (row,) = why(world).sources
    assert (row.waited_for, row.remark) == (1, "lets us wait")
    assert row.owed_bytes > 0


def test_who_sent_wrong_bytes() -> None:
    """It is counted and asked no more."""
    world = network(DATA, sources=2)
    world.liars["source1"] = None
    begun(world)
    while not why(world).counts.banned:
        world.advance(0.001)
    assert cause(world, "banned").count == 1
    assert node_text(world.node("source1")) not in {row.node for row in why(world).sources}


def test_more_sources_than_links() -> None:
    """Those that wait for a link are shown so."""
    swarm = SwarmConfig(links_max=1)
    world = stalled(sources=3, config=Config(swarm=swarm))
    assert cause(world, "links").count == 1
    assert sorted(row.remark for row in why(world).sources)[-2:] == ["waits for a free link"] * 2


def test_it_comes_as_fast_as_it_is_sent() -> None:
    """While data flows the sources are the measure, with the rate of each and what it owes."""
    world = network(DATA, sources=2)
    begun(world)
    told = why(world)
    assert told.causes[0].cause == "sources"
    assert any(row.rate > 0 and row.owed_bytes > 0 for row in told.sources)
    assert [row.phase for row in told.sources] == ["linked", "linked"]


def test_our_own_limit_is_the_measure() -> None:
    """What was set with `leaf limit` holds it back, and the reason says so and what to do."""
    world = network(DATA, sources=2)
    world.ask("asker", "leaf.limit", Limit(down=100_000))
    begun(world)
    world.advance(1.0)
    told = why(world)
    assert told.causes[0].cause == "limit"
    assert "100 kB/s" in told.causes[0].text
    assert "leaf limit --down" in told.causes[0].text
    linked = [row.remark for row in told.sources if row.phase == "linked" and row.useful]
    assert set(linked) == {"sends as fast as our limit lets it"}


def test_the_disk_is_the_measure() -> None:
    """What came waits to be stored, and nothing more may be asked for."""
    swarm = SwarmConfig(writes_bytes_max=256 * 1024)
    world = network(DATA, sources=1)
    world.kill("asker")
    world.leaf("asker", seed_of(world), config=Config(swarm=swarm), epoch=2)
    world.advance(2.0)
    found(world)
    world.disks["asker"] = Stuck()
    world.ask("asker", "leaf.get", Get("1"))
    world.advance(0.5)
    slow = cause(world, "disk")
    assert slow.count is not None
    assert slow.count >= 256 * 1024
    assert words(world)[0] == "disk"


# --- every state ----------------------------------------------------------------------------


def test_a_full_disk_and_when_it_is_looked_at_again() -> None:
    """The words of the disk, and the seconds."""
    world = network(DATA, sources=1)
    found(world)
    world.disks["asker"].full = True
    world.ask("asker", "leaf.get", Get("1"))
    world.advance(2.0)
    full = cause(world, "disk_full")
    assert full.text == "The disk is full. Make room."
    assert full.next_try_s is not None
    assert 0 < full.next_try_s <= 5.0


def test_states_that_only_a_person_or_the_end_changes() -> None:
    """Paused, done and gone each say so and what to do."""
    world = network(DATA, sources=1)
    call = begun(world)
    world.ask("asker", "leaf.pause", Chosen())
    assert words(world) == ["paused"]
    assert "leaf resume" in why(world).waits_for
    world.ask("asker", "leaf.resume", Chosen())
    world.advance(20.0)
    assert isinstance(world.outcome(call), GetResult)
    assert (words(world), why(world).state) == (["done"], "done")
    world.ask("asker", "leaf.rm", Remove(WHAT))
    failed = world.outcome(world.ask("asker", "leaf.why", WhyOf(WHAT)))
    assert isinstance(failed, Fail)
    assert failed.code is Exit.NOTHING_FOUND


@pytest.mark.parametrize("what", ["", " ", "sp:nonsense", WHAT])
def test_there_is_no_such_download(what: str) -> None:
    """Exit 3, and where the ids are."""
    world = network(DATA, sources=1)
    failed = world.outcome(world.ask("asker", "leaf.why", WhyOf(what)))
    assert isinstance(failed, Fail)
    assert (failed.code, "leaf downloads" in failed.hint) == (Exit.NOTHING_FOUND, True)


def test_all_sources_lied() -> None:
    """A failed download says why, and what tries again."""
    world = network(DATA, sources=1)
    world.liars["source0"] = None
    found(world)
    world.ask("asker", "leaf.get", Get("1"))
    world.advance(60.0)
    assert words(world) == ["failed"]
    assert "wrong bytes" in why(world).waits_for


def test_a_queued_one_says_who_goes_first() -> None:
    """How many have a turn, and how many may."""
    world = World()
    at = world.superpeer("s")
    files = {f"{number}.bin": content(3 * MIB, number) for number in range(2)}
    world.leaf("source0", at, files=files)
    config = Config(swarm=SwarmConfig(downloads_active_max=1))
    world.leaf("asker", at, config=config)
    world.advance(3.0)
    ids = [file_id(tree_of(data).root, len(data)) for data in files.values()]
    world.ask("asker", "leaf.get", Get(ids[0]))
    while not why(world, ids[0]).counts.linked:
        world.advance(0.001)
    world.ask("asker", "leaf.get", Get(ids[1]))
    told = why(world, ids[1])
    assert (told.state, told.causes[0].cause, told.causes[0].count) == ("queued", "turn", 1)


def test_a_download_never_waits_without_a_reason() -> None:
    """At every moment of a download with trouble of many kinds there is a cause, and one that is
    not 'it comes as it is sent' where nothing comes."""
    world = stalled(sources=3)
    call = world.ask("asker", "leaf.get", Get("1"))
    acts: dict[int, Callable[[], object]] = {
        100: lambda: world.kill("source1"),
        1200: lambda: world.ask("asker", "leaf.pause", Chosen()),
        1300: lambda: world.ask("asker", "leaf.resume", Chosen()),
        1400: world.mute.clear,
    }
    seen: dict[str, None] = {}
    for step in range(4_000):
        acts.get(step, lambda: None)()
        told = why(world)
        seen |= dict.fromkeys(each.cause for each in told.causes)
        (row,) = rows(world)
        assert (told.state, told.done_bytes) == (row.state, row.done_bytes)
        if world.outcome(call) is not None:
            break
        world.advance(0.001 if step < 100 else 0.02)
    assert isinstance(world.outcome(call), GetResult)
    assert {"opening", "paused", "snubbed", "done"} <= set(seen)


def test_a_restart_is_explained_too() -> None:
    """Before the part is open again the disk is what it waits for."""
    world = stalled(sources=1)
    world.kill("asker")
    restored = Restored(downloads=tuple(world.disks["asker"].records.values()))
    world.leaf("asker", seed_of(world), restored=restored, epoch=2)
    assert words(world)[0] == "opening"


def test_a_folder_tells_of_its_files() -> None:
    """How many are here, and the one that comes slowest, each with causes of its own."""
    world = folder_network({f"{number}.bin": content(4 * MIB, number) for number in range(3)})
    found_folder(world)
    call = world.ask("asker", "leaf.get", Get("1"))
    row = going(world)
    told = why(world, row.id)
    assert (told.state, told.causes[0].cause) == ("fetching", "folder")
    assert told.files
    assert all(each.causes for each in told.files)
    world.ask("asker", "leaf.pause", Chosen())
    assert "leaf resume" in why(world, row.id).waits_for
    world.ask("asker", "leaf.resume", Chosen())
    world.advance(60.0)
    assert isinstance(world.outcome(call), GetResult)
    assert why(world, row.id).waits_for == "all of it is there"


def test_of_several_with_one_content_the_one_under_way() -> None:
    """A finished download of the same file elsewhere is not what is asked about."""
    world = network(DATA, sources=1)
    begun(world)
    world.advance(20.0)
    world.disks["asker"].full = True
    wanted(world, to="/elsewhere/x")
    world.advance(1.0)
    assert why(world).path == "/elsewhere/x"
