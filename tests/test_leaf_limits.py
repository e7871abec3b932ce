"""Limits of a leaf: how exact caps are, who shares them, what is remembered, and when they hold."""

import pytest

from common.content.merkle import HASH_BYTES, piece_count
from common.core import Fail, Hangup
from common.errors import Exit
from common.schedule import CapWindow, LimitsRecord, minute_text
from common.storage import Restored
from leaf.methods import Get, Limit, LimitRow, Nothing, Status
from leaf.swarm.source import REQUEST_S
from tests.capped_world import CappedWorld, capped_world
from tests.leaf_scene import content, rows

EXACT = 0.025
DAY_S = 86_400.0


def clock(world: CappedWorld, day: int, hour: int, minute: int = 0) -> None:
    """The clocks on the wall show this now; day 0 is Monday."""
    world.clock_s = day * DAY_S + hour * 3600 + minute * 60 - world.now


def holds(world: CappedWorld, name: str = "source0") -> tuple[int | None, int | None]:
    """The caps in its status."""
    status = world.outcome(world.ask(name, "leaf.status", Nothing()))
    assert isinstance(status, Status)
    return status.up_limit, status.down_limit


@pytest.mark.parametrize("rate", [50_000, 300_000, 2_000_000])
@pytest.mark.parametrize(("downloads", "sources"), [(1, 1), (1, 3), (4, 2)])
def test_what_comes_in_is_as_fast_as_the_cap(rate: int, downloads: int, sources: int) -> None:
    """Within 2.5 % from the beginning to the end; in any ten seconds too, but for one request, and
    for the hashes, which count under the cap too."""
    contents = [content(rate * 12 // downloads, seed) for seed in range(downloads)]
    world = capped_world(contents, sources, 1)
    world.limit("fetcher0", Limit(down=rate))
    began = world.now
    world.fetch("fetcher0", contents)
    world.advance(14.0)
    came = world.came("fetcher0")
    assert sum(came.lengths) == sum(map(len, contents))
    assert came.rate(began) == pytest.approx(rate, rel=EXACT)
    hashes = sum(HASH_BYTES * piece_count(len(each)) for each in contents)
    assert came.worst(rate, began) <= EXACT + (max(came.lengths) + hashes) / (10 * rate)
    assert {row.state for row in rows(world, "fetcher0")} == {"done"}


@pytest.mark.parametrize("rate", [50_000, 300_000, 2_000_000])
@pytest.mark.parametrize("fetchers", [1, 4])
def test_what_goes_out_is_as_fast_as_the_cap(rate: int, fetchers: int) -> None:
    """As for what comes in; what others give one another does not count."""
    contents = [content(rate * 12 // fetchers, seed) for seed in range(fetchers)]
    world = capped_world(contents, 1, fetchers)
    world.limit("source0", Limit(up=rate))
    began = world.now
    for number in range(fetchers):
        world.fetch(f"fetcher{number}", contents[number : number + 1])
    world.advance(16.0)
    sent = world.came("source0")
    assert sum(sent.lengths) == sum(map(len, contents))
    assert sent.rate(began) == pytest.approx(rate, rel=EXACT)
    assert sent.worst(rate, began) <= EXACT + max(sent.lengths) / (10 * rate)
    assert max(sent.lengths) <= max(rate * 2 * REQUEST_S, 32 * 1024)


def test_a_small_cap_starves_no_download_and_offends_no_source() -> None:
    """At 20 kB/s four downloads get on alike, and nobody hangs up on anybody."""
    contents = [content(150_000, seed) for seed in range(4)]
    world = capped_world(contents, 2, 1)
    world.limit("fetcher0", Limit(down=20_000))
    world.fetch("fetcher0", contents)
    world.advance(15.0)
    done = [row.done_bytes for row in rows(world, "fetcher0")]
    assert min(done) >= 0.6 * max(done)
    world.advance(20.0)
    assert {row.state for row in rows(world, "fetcher0")} == {"done"}
    assert not world.all(Hangup)
    assert max(world.came("fetcher0").lengths) == 16 * 1024


def test_a_cap_that_goes_is_felt_at_once() -> None:
    """Who waits for a cap is not kept waiting by what it was."""
    data = content(3_000_000)
    world = capped_world([data], 1, 1)
    world.limit("fetcher0", Limit(down=1_000))
    world.limit("source0", Limit(up=1_000))
    world.fetch("fetcher0", [data])
    world.advance(20.0)
    assert rows(world, "fetcher0")[0].done_bytes <= 32 * 1024
    world.limit("fetcher0", Limit(down=0))
    world.limit("source0", Limit(up=0))
    world.advance(2.0)
    assert rows(world, "fetcher0")[0].state == "done"


def test_a_cap_that_comes_is_felt_at_once() -> None:
    """A cap may be set while something is under way."""
    data = content(8_000_000)
    world = capped_world([data], 1, 1)
    world.limit("fetcher0", Limit(down=1_000_000))
    world.fetch("fetcher0", [data])
    world.advance(2.0)
    world.limit("fetcher0", Limit(down=100_000))
    before = rows(world, "fetcher0")[0].done_bytes
    world.advance(10.0)
    assert rows(world, "fetcher0")[0].done_bytes - before == pytest.approx(1e6, rel=0.1)


def test_nobody_is_woken_for_nothing() -> None:
    """Between two requests a capped leaf sleeps."""
    data = content(400_000)
    world = capped_world([data], 1, 1)
    world.limit("fetcher0", Limit(down=16_384))
    world.fetch("fetcher0", [data])
    world.advance(3.0)
    core, wakes = world.nodes["fetcher0"], 0
    end = world.now + 10.0
    while (due := core.wakeup()) is not None and due <= end:
        world.advance(max(due - world.now, 0.0))
        wakes += 1
    assert wakes <= 40  # ten requests, echoes and the like


def test_limits_are_remembered() -> None:
    """What was set holds in the next life; what was not is as the settings say."""
    world = capped_world([], 1, 0)
    row = world.limit("source0", Limit(up=500_000, slots=3))
    assert (row.up_limit, row.down_limit, row.slots) == (500_000, None, 3)
    assert world.disks["source0"].limits == LimitsRecord(500_000, None, 3)
    world.leaf("source0", restored=Restored(limits=world.disks["source0"].limits))
    world.advance(0.1)
    assert holds(world) == (500_000, None)
    assert world.limit("source0", Limit()).slots == 3


def test_flags_win_until_a_limit_is_set_anew() -> None:
    """`run --up` goes before what was set, in windows too, and `leaf limit --up` before that."""
    world = capped_world([], 0, 0)
    window = CapWindow("00:00-24:00", up=70_000, down=70_000)
    stored = Restored(limits=LimitsRecord(500_000, None, 3, (window,)))
    world.leaf("source0", restored=stored, flags=LimitsRecord(up=9_000, slots=1))
    world.advance(0.1)
    assert holds(world) == (9_000, 70_000)
    assert world.limit("source0", Limit()).slots == 1
    row = world.limit("source0", Limit(up=40_000))
    assert (row.up, row.up_limit, row.slots) == (40_000, 70_000, 1)


def test_fewer_slots_are_given() -> None:
    """One slot serves one after the other."""
    data = content(2_000_000)
    world = capped_world([data], 1, 2)
    world.limit("source0", Limit(up=500_000, slots=1))
    for number in range(2):
        world.ask(f"fetcher{number}", "leaf.get", Get(_id_of(data), detach=True))
    world.advance(1.5)
    sent = [(ends, sum(each.lengths)) for ends, each in world.arrivals.items() if "source0" in ends]
    assert len(sent) == 1


def _id_of(data: bytes) -> str:
    from common.content.torrent import file_id
    from tests.memory_disk import tree_of

    return file_id(tree_of(data).root, len(data))


# --- the week -------------------------------------------------------------------------------


def test_a_window_begins_and_ends_by_itself() -> None:
    """Over midnight, to the second, with nobody asking."""
    world = capped_world([], 1, 0)
    clock(world, 2, 21, 59)
    world.limit("source0", Limit(up=100_000, down=200_000))
    row = world.limit("source0", Limit(at="22:00-06:30", up=0))
    assert (row.up_limit, row.next_change) == (100_000, "wed 22:00")
    changes = (row.up_next_change, row.down_next_change)
    assert changes == ("wed 22:00", None)  # that time says nothing of the other way
    world.advance(59.5)
    assert holds(world) == (100_000, 200_000)
    world.advance(0.6)
    assert holds(world) == (None, 200_000)
    assert world.limit("source0", Limit()).next_change == "thu 06:30"
    world.advance(8.5 * 3600 - 1.0)
    assert holds(world) == (None, 200_000)
    world.advance(1.0)
    assert holds(world) == (100_000, 200_000)


def test_weekdays() -> None:
    """From Friday evening to Monday morning a window of working days is off."""
    world = capped_world([], 1, 0)
    clock(world, 4, 17)
    row = world.limit("source0", Limit(at="mon-fri 08:00-18:00", down=50_000))
    assert (row.down_limit, row.next_change) == (50_000, "fri 18:00")
    world.advance(3600.0)
    assert holds(world) == (None, None)
    assert world.limit("source0", Limit()).next_change == "mon 08:00"
    clock(world, 0, 8)
    world.advance(60.0)
    assert holds(world) == (None, 50_000)


@pytest.mark.parametrize(
    ("jump_h", "hours_on"),
    [(1, 1), (-1, 3), (0, 2)],  # clocks go forward at two, or back at three; or neither
)
def test_a_window_follows_the_clock_when_summer_time_changes(jump_h: int, hours_on: int) -> None:
    """01:30-03:30 on the wall: an hour shorter, an hour longer, or as ever."""
    world = capped_world([], 1, 0)
    clock(world, 6, 1)
    world.limit("source0", Limit(at="01:30-03:30", up=100_000))
    on = 0
    for minute in range(300):
        if minute == (60 if jump_h > 0 else 120):
            world.clock_s += jump_h * 3600
        world.advance(60.0)
        on += holds(world)[0] == 100_000
    assert on == hours_on * 60


def test_a_machine_that_slept_is_right_within_a_minute() -> None:
    """Time that passed unseen is found out at the next full minute."""
    world = capped_world([], 1, 0)
    clock(world, 0, 12)
    world.limit("source0", Limit(at="22:00-06:00", up=100_000))
    world.clock_s += 11 * 3600
    world.advance(60.0)
    assert holds(world)[0] == 100_000


def test_windows_are_changed_and_removed() -> None:
    """The same hours again change the window; by its hours it is removed, or all are."""
    world = capped_world([], 1, 0)
    world.limit("source0", Limit(at="22:00-06:00", up=1_000))
    row = world.limit("source0", Limit(at="22:00-6:00", up=2_000, down=3_000))
    assert [(each.at, each.up, each.down) for each in row.schedule] == [
        ("22:00-06:00", 2_000, 3_000)
    ]
    world.limit("source0", Limit(at="fri 10:00-11:00", up=2_000))
    assert len(world.limit("source0", Limit(remove="22:00-06:00")).schedule) == 1
    row = world.limit("source0", Limit(remove="all"))
    assert (row.schedule, row.next_change) == ([], None)
    call = world.ask("source0", "leaf.limit", Limit(remove="all"))
    failed = world.outcome(call)
    assert isinstance(failed, Fail)
    assert failed.code is Exit.NOTHING_FOUND  # as for a time that has no limit


@pytest.mark.parametrize(
    "change",
    [
        Limit(up=999),
        Limit(down=-5),
        Limit(slots=0),
        Limit(slots=1_001),
        Limit(at="22:00-06:00"),
        Limit(at="nonsense", up=5_000),
        Limit(remove="22:00-06:00"),
    ],
)
def test_what_cannot_be_set(change: Limit) -> None:
    """One sentence, one fix, nothing changed."""
    world = capped_world([], 1, 0)
    failed = world.outcome(world.ask("source0", "leaf.limit", change))
    assert isinstance(failed, Fail)
    none = Exit.NOTHING_FOUND if change.remove else Exit.USAGE
    assert failed.code is none
    assert failed.hint
    assert world.disks["source0"].limits is None


def test_there_are_so_many_windows_at_most() -> None:
    """The 33rd is refused."""
    world = capped_world([], 1, 0)
    for minute in range(32):
        row = world.limit("source0", Limit(at=f"{minute_text(minute)[4:]}-12:00", up=5_000))
    assert isinstance(row, LimitRow)
    assert len(row.schedule) == 32
    assert isinstance(
        world.outcome(world.ask("source0", "leaf.limit", Limit(at="13:00-14:00", up=5_000))), Fail
    )


def test_a_time_that_is_set_goes_before_a_flag_then_and_only_then() -> None:
    """A command about the night leaves the day as `run --up` made it."""
    world = capped_world([], 0, 0)
    world.leaf("source0", flags=LimitsRecord(up=9_000))
    world.advance(0.1)
    world.limit("source0", Limit(up=70_000, at="00:00-24:00"))
    assert holds(world)[0] == 70_000
    row = world.limit("source0", Limit(remove="all"))
    assert (row.up, row.up_limit) == (9_000, 9_000)


def test_a_time_that_has_a_limit_gets_another_for_the_other_way() -> None:
    """What is not set anew is as it was."""
    world = capped_world([content(1000)], 1, 0)
    world.limit("source0", Limit(at="08:00-18:00", up=100_000))
    row = world.limit("source0", Limit(at="08:00-18:00", down=50_000))
    assert [(each.at, each.up, each.down) for each in row.schedule] == [
        ("08:00-18:00", 100_000, 50_000)
    ]
    row = world.limit("source0", Limit(at="08:00-18:00", up=0))
    assert [(each.up, each.down) for each in row.schedule] == [(0, 50_000)]
