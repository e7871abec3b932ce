"""The benches of safety, small: crash states, a full disk at each write, and liars in a swarm."""

import argparse
from pathlib import Path
from random import Random

import pytest

from tests.bench import crashes, fullness, kills, liars

pytestmark = pytest.mark.soak

SMALL = argparse.Namespace(mib=1.0, leaves=6, holders=3, up=125_000.0)
SLOWER_MAX = 1.5  # the promise: three stallers and a corrupter in ten slow nobody more than this
BAD_ANSWERS_MAX = 2


def test_crash_states_believe_nothing_wrong() -> None:
    """Some hundred downloads with their crashes: only what was not synced is lost, and only to
    the power."""
    bench = crashes.Bench(seed=7)
    for number in range(300):
        bench.download(number)
    assert bench.states > 200
    assert bench.figures["crashes"] > 500
    for what in ("wrong_believed", "wrong_final", "never_finished", "synced_pieces_lost"):
        assert bench.figures[what] == 0
    assert bench.figures["pieces_lost_by_kills"] == 0


@pytest.mark.parametrize("stays", [False, True])
def test_a_whole_leaf_meets_a_full_disk_at_each_write(stays: bool) -> None:
    """Once, or until there is room: it ends by itself with the right file and nothing else."""
    figures = fullness.simulated_round(96, stays=stays)
    assert figures.tried >= 10
    assert set(figures.kinds) == set(fullness.KINDS)
    assert (figures.unfinished, figures.failed, figures.wrong, figures.left_beside) == (0, 0, 0, 0)


@pytest.mark.parametrize("stays", [False, True])
def test_the_disk_code_meets_a_full_real_folder_at_each_write(tmp_path: Path, stays: bool) -> None:
    """The same on a real folder; no piece that was told to be written is lost."""
    figures = fullness.real_round(Random(3).randbytes(70_000), str(tmp_path), stays=stays)
    assert figures.tried >= 10
    assert (figures.unfinished, figures.wrong, figures.left_beside) == (0, 0, 0)
    assert figures.lost_pieces_max == 0


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_liars_slow_a_swarm_down_by_half_at_most(seed: int) -> None:
    """Who sends wrong bytes is banned at once, nobody honest is, and honest leaves are not held
    up by those who never send anything."""
    calm, storm = (
        liars.show(liars.scenario(SMALL, seed, liars=is_bad)) for is_bad in (False, True)
    )
    assert calm["whole"] == storm["whole"] == SMALL.leaves
    assert storm["median_s"] <= SLOWER_MAX * calm["median_s"]
    assert storm["last_s"] <= SLOWER_MAX * calm["last_s"]
    assert storm["bad_answers_max"] <= BAD_ANSWERS_MAX
    assert storm["liars_not_banned"] == 0
    for run in (calm, storm):
        assert run["banned"].get("honest", 0) == run["honest_hung_up"] == run["honest_blamed"] == 0
        assert run["violations"] == 0


@pytest.mark.processes
def test_a_leaf_that_is_killed_again_and_again(tmp_path: Path) -> None:
    """Real programs: nothing wrong is believed or named, every download ends, and a kill costs no
    more than what one request of each source brought."""
    totals = kills.Totals()
    args = argparse.Namespace(
        seed=1, kills=3, minutes=5.0, mib=8, seeds=2, rate=8e6, folder=str(tmp_path)
    )
    kills.run(args, totals, lambda: None)
    assert totals.kills >= 3
    assert totals.downloads >= 1
    assert totals.wrong_believed == totals.wrong_under_final_name == totals.never_finished == 0
    assert totals.kills_above_a_request_per_source == 0
