"""Scenarios in virtual time: what a phase owes, whatever is done to the network meanwhile."""

import pytest

from common.core import Answer, Effect
from deploy.loading import parse
from deploy.sim.host import Host
from deploy.sim.inside import superpeer_of
from deploy.sim.show import Show
from leaf.methods import SearchResult

pytestmark = pytest.mark.soak

NETWORK = """
super_peers = 5
leaves = 15
[overlay]
graph = "random"
[hosts]
delay_min_s = 0.005
delay_max_s = 0.05
[content]
files = 60
copies = 2
[timeouts]
settled_s = 90.0
[[phases]]
name = "searches, spread"
for_s = 40.0
searches = 200
"""
FAULTS = (
    '{ at_s = 5.0, kill = "super-peer 1" }',
    '{ at_s = 5.0, kill = "leaf 3" }',
    '{ at_s = 5.0, restart = "super-peer 1", for_s = 8.0 }',
    '{ at_s = 5.0, stop = "super-peer 1", for_s = 15.0 }',
    '{ at_s = 5.0, stop = "leaf 3", for_s = 25.0 }',
    '{ at_s = 5.0, cut = ["super-peer 2", "leaf 2"], for_s = 12.0 }',
    '{ at_s = 39.9, kill = "super-peer 1" }',
)


SMALL = """
super_peers = 2
leaves = 6
seed = 3
[attachment]
told = 1
[content]
files = 6
size_min = 20_000
"""


def played(text: str) -> Show:
    """A scenario, played."""
    show = Show(parse(text, "x"))
    show.run()
    return show


@pytest.mark.parametrize("gets", [0, 20])
@pytest.mark.parametrize("fault", FAULTS)
def test_what_behaves_well_under_faults_is_not_blamed(fault: str, gets: int) -> None:
    """Who was struck owes nothing, nor its leaves; nor is a download owed before it is shared."""
    show = played(f"{NETWORK}gets = {gets}\nfaults = [{fault}]\n")
    assert show.tally.violations == []
    assert (show.tally.recall, show.tally.searches > 150) == (1.0, True)


def test_content_may_grow_while_it_is_searched() -> None:
    """What is found besides is not too much."""
    assert played(NETWORK + "gets = 20\n").tally.violations == []


def test_a_quiet_phase_with_a_time_of_its_own_is_held_to_every_search() -> None:
    """Each super-peer evaluates each of them once, which is looked at when all are over."""
    show = Show(parse(NETWORK + 'strategy = "flood"\n', "x"))
    busy = show.stage.super_peers[2]

    def evaluate_one_more(_: object) -> None:
        inside = superpeer_of(busy)
        assert inside is not None
        inside.flood.evaluated += 1

    show.stage.world.schedule.at(30.0, evaluate_one_more, None)
    show.run()
    assert show.tally.violations == ["super-peer 2 evaluated 201 queries instead of 200"]


@pytest.mark.parametrize("rest", ["", "for_s = 5.0", "may_fail = true"])
def test_a_search_that_is_never_answered_is_a_violation(rest: str) -> None:
    """Whether it was one after another, spread over a time, or in a phase that may fail."""
    show = Show(parse(f"{SMALL}[[phases]]\nname = 'x'\nsearches = 3\n{rest}\n", "x"))
    swallowed: list[Effect] = []

    def perform(host: Host, effect: Effect) -> None:
        if isinstance(effect, Answer) and isinstance(effect.result, SearchResult):
            swallowed.append(effect)
        else:
            show.stage.world.people.perform(host, effect)

    for host in show.stage.leaves:
        host._people = perform
    show.run()
    told = [text for text in show.tally.violations if "is never answered" in text]
    assert (len(told), len(swallowed)) == (3, 3)


def test_a_download_that_comes_too_late_is_a_violation() -> None:
    """It has failed like any other: nobody died."""
    slow = "[hosts]\nup_min = 2000.0\nup_max = 2000.0\n[timeouts]\nget_s = 2.0\n"
    phase = "[[phases]]\nname = 'x'\ngets = 3\n"
    show = played(SMALL + slow + phase)
    assert (show.tally.downloads, show.tally.downloads_complete) == (3, 0)
    assert len(show.tally.violations) == 3
    assert played(f"{SMALL}{slow}{phase}may_fail = true\n").tally.violations == []


def test_wrong_bytes_count_whatever_may_fail() -> None:
    """What may fail gives no figures; what must never be is told all the same."""
    show = Show(parse(f"{SMALL}[[phases]]\nname = 'x'\nmay_fail = true\ngets = 4\n", "x"))
    show.stage.data.update(dict.fromkeys(show.stage.data, b"something else"))
    assert show.run().violations == 4
    assert show.tally.downloads == 0


def test_after_the_last_phase_every_leaf_must_find_a_parent() -> None:
    """Where the others are full, who loses one stays alone: the network does not settle."""
    full = SMALL + "[config.cluster]\nleaves_max = 3\n"
    last = "[[phases]]\nname = 'x'\nfaults = [{ at_s = 0.0, kill = 'super-peer 1' }]\n"
    assert played(full + last).tally.violations == ["the network does not settle within 30 s"]
    assert played(f"{full}{last}may_fail = true\n").tally.violations == []


def test_failovers_belong_to_the_phase_that_struck() -> None:
    """Those of a phase that may fail are no figure of the run."""
    phase = "[[phases]]\nname = 'x'\nfaults = [{ at_s = 0.0, kill = 'super-peer 1' }]\n"
    network = SMALL.replace("told = 1", "told = 2")
    show = played(network + phase)
    assert len(show.tally.failover_s) == 3
    show = played(f"{network}{phase}may_fail = true\n[[phases]]\nname = 'y'\n")
    assert show.tally.failover_s == []
    assert len(show.acts.tallies[0][1].failover_s) == 3


def test_load_counts_again_after_a_phase_that_may_fail() -> None:
    """What succeeds costs what it costs, whenever it comes."""
    phase = "[[phases]]\nname = 'x'\nsearches = 20\n"
    once = played(SMALL + phase)
    again = played(f"{SMALL}{phase}may_fail = true\n{phase}")
    assert again.load.finding > once.load.finding / 2 > 0


def test_nothing_is_demanded_for_a_leaf_that_hangs_on_a_liar() -> None:
    """Honest super-peers are full, so leaves join forgers that they were told of."""
    full = SMALL.replace("leaves = 6", "leaves = 8") + "[config.cluster]\nleaves_max = 3\n"
    liars = "[[hostile]]\nkind = 'forger'\nnodes = 2\n"
    phase = "[[phases]]\nname = 'x'\nfor_s = 30.0\nsearches = 40\n"
    assert played(full + liars + phase).tally.violations == []
