"""Scenario files: what they mean, and errors that name key and line."""

from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import Exit, UserError
from deploy.lines import line_of
from deploy.loading import SCENARIOS, load, parse
from deploy.targets import Aim, TargetError, read_aim

SMALL = "super_peers = 3\nleaves = 4\n"
FILES = SMALL + "[content]\nfiles = 8\n"
LARGE = "large = true\n" + FILES


def refusal(text: str) -> str:
    """The error that a scenario of this text gives."""
    with pytest.raises(UserError) as caught:
        parse(text, "x", "x.toml")
    assert caught.value.code == Exit.USAGE
    return caught.value.message


@pytest.mark.parametrize("name", sorted(path.stem for path in SCENARIOS.glob("*.toml")))
def test_every_scenario_of_ours_loads(name: str) -> None:
    """Each file beside the loader is a scenario and carries its own name."""
    assert load(name).name == name


def test_a_path_is_taken_too(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A scenario may lie anywhere."""
    path = tmp_path_factory.mktemp("any") / "mine.toml"
    path.write_text(SMALL)
    assert load(str(path)).name == "mine"


def test_an_unknown_name_lists_the_known_ones() -> None:
    """Who mistypes a name sees what there is."""
    with pytest.raises(UserError) as caught:
        load("no-such-network")
    assert "first-network" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SMALL + "\n[overlay]\n# a comment\ndegre = 3", "x.toml:6: overlay.degre: "),
        (SMALL + "colour = 1", "x.toml:3: colour: there is no such key"),
        ("super_peers = 3\nleaves = -1", "x.toml:2: leaves: expected `int` >= 0"),
        ("super_peers = 0\nleaves = 1", "x.toml:1: super_peers: "),
        ("leaves = 1", "x.toml:1: object missing required field `super_peers`"),
        ("super_peers = ", "x.toml is not TOML"),
        (SMALL + "[overlay]\ngraph = 'star'", "x.toml:4: overlay.graph: "),
        (SMALL + "[overlay]\ngraph = 'random'\ndegree = 3", "x.toml:5: overlay.degree: "),
        (SMALL + "[overlay]\ngraph = 'explicit'", "x.toml:4: overlay.graph: "),
        (
            SMALL + "[overlay]\ngraph = 'explicit'\nlinks = [\n  [0, 1],\n  [1, 3],\n]",
            "x.toml:5: overlay.links.1: there is no super-peer 3",
        ),
        (SMALL + "[overlay]\ngraph = 'explicit'\nlinks = [[1, 1]]", "linked to itself"),
        (SMALL + "[overlay]\ndelay_min_s = 1.0", "x.toml:4: overlay.delay_min_s: "),
        (SMALL + "[attachment]\nrelays = [0, 1, 2]", "x.toml:4: attachment.relays: "),
        (SMALL + "[attachment]\nrelays = [3]", "x.toml:4: attachment.relays.0: "),
        (FILES + "copies = 5", "x.toml:5: content.copies: 5 copies"),
        (FILES + "size_min = 9\nsize_max = 8", "x.toml:5: content.size_min: "),
        (SMALL + "[content]\nfiles = 80001", "x.toml:4: content.files: "),
        (SMALL + "[[phases]]\nname = 'a'\nsearches = 1", "x.toml:5: phases.0.searches: "),
        (FILES + "[[phases]]\nname = 'a'\nttl = 11", "x.toml:7: phases.0.ttl: "),
        (
            FILES + "[[phases]]\nname = 'a'\n[[phases]]\nname = 'b'\nleaves_per_file = 5",
            "x.toml:9: phases.1.leaves_per_file: there are only 4 leaves",
        ),
        (FILES + "copies = 4\n[[phases]]\nname = 'a'\ngets = 1", "x.toml:8: phases.0.gets: "),
        (
            SMALL + "[[phases]]\nname = 'a'\n[[phases.faults]]\nat_s = 1\nkill = 'leaf 4'",
            "x.toml:7: phases.0.faults.0.kill: there is no leaf 4",
        ),
        (
            SMALL + "[[phases]]\nname = 'a'\nfaults = [{ at_s = -1, kill = 'leaf 1' }]",
            "x.toml:5: phases.0.faults.0.at_s: ",
        ),
        (
            SMALL + "[[phases]]\nname = 'a'\nfaults = [{ at_s = 1, kill = 'tree 1' }]",
            "'tree 1' is none of",
        ),
        (SMALL + "[config.link]\necho_s = -1.0", "x.toml:4: config.link.echo_s: it must not be"),
        (SMALL + "[config.link]\necho_s = 0", "x.toml:4: config.link.echo_s: it must be above 0"),
        (SMALL + "[config.swarm]\nlocate_s = inf", "x.toml:4: config.swarm.locate_s: "),
        (SMALL + "[config]\ntime_scale = 0.0", "x.toml:4: config.time_scale: it must be above 0"),
        (SMALL + "[hosts]\nup_min = inf\nup_max = inf", "x.toml:4: hosts.up_min: it must not be"),
        (SMALL + "[hosts]\nup_min = nan", "x.toml:4: hosts.up_min: "),
        (SMALL + "[timeouts]\nget_s = inf", "x.toml:4: timeouts.get_s: "),
        (
            SMALL + "[[phases]]\nname = 'a'\nfaults = [{ at_s = inf, kill = 'leaf 1' }]",
            "x.toml:5: phases.0.faults.0.at_s: it must not be negative or endless",
        ),
        ("a = " + "[" * 5000, "x.toml is not TOML"),
        ("seed = " + "9" * 5000, "x.toml is not TOML"),
        (LARGE + "[[phases]]\nname = 'a'\ngets = 1", "x.toml:8: phases.0.gets: a large world"),
        (LARGE + "[[phases]]\nname = 'a'\ncrowd = 1", "x.toml:8: phases.0.crowd: a large world"),
        (LARGE + "[hosts]\nup_min = 1.0\nup_max = 2.0", "x.toml:8: hosts.up_max: a large world"),
        (LARGE + "[hosts]\ndown_min = 1\ndown_max = 2", "x.toml:8: hosts.down_max: a large world"),
        (
            SMALL + "[[phases]]\nname = 'a'\nfaults = [{ at_s = 1, kill = 'leaf 1', for_s = 3.0 }]",
            "x.toml:5: phases.0.faults.0.for_s: what is killed stays away",
        ),
    ],
)
def test_what_cannot_be_names_key_and_line(text: str, said: str) -> None:
    """An unknown key, a negative number, an impossible count: one sentence with the place."""
    assert said in refusal(text)


ONE = "super_peers = 1\nleaves = 3\n[content]\nfiles = 1\n[[phases]]\nname = 'a'\n"
TWO = ONE + "gets = 1\n[[phases]]\nname = 'b'\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (ONE + "gets = 10000", "x.toml:7: phases.0.gets: only 2 downloads are left"),
        (ONE + "crowd = 3", "x.toml:7: phases.0.crowd: only 2 leaves can lack a file"),
        (ONE + "gets = 1\ncrowd = 2", "x.toml:8: phases.0.crowd: only 1 leaves can"),
        (TWO + "gets = 2", "x.toml:10: phases.1.gets: only 1 downloads are left"),
        (TWO + "gets = 1\n[[phases]]\nname = 'c'\ngets = 1", "phases.2.gets: every leaf has"),
        (FILES + "copies = 3\n[[phases]]\nname = 'a'\ncrowd = 2", "x.toml:8: phases.0.crowd: "),
        (FILES + "copies = 3\n[[phases]]\nname = 'a'\ngets = 9", "x.toml:8: phases.0.gets: "),
    ],
)
def test_nobody_fetches_what_all_have(text: str, said: str) -> None:
    """A leaf fetches a file once, so there are only so many downloads, and such large crowds."""
    assert said in refusal(text)


@pytest.mark.parametrize(("killed", "left"), [("leaf 1", 3), ("every leaf", 0)])
def test_nobody_asks_from_a_leaf_that_was_killed(killed: str, left: int) -> None:
    """A later phase has so many leaves fewer, until they are started again."""
    text = FILES + f"[[phases]]\nname = 'a'\nfaults = [{{ at_s = 0, kill = '{killed}' }}]\n"
    asking = f"[[phases]]\nname = 'b'\nleaves_per_file = {left + 1}\n"
    assert f"only {left} leaves are" in refusal(text + asking)
    if left:
        assert parse(text + asking.replace(f"= {left + 1}", f"= {left}"), "x")
    back = "[[phases]]\nname = 'c'\nfaults = [{ at_s = 0, restart = 'every leaf' }]\n"
    assert parse(text + back + asking.replace(f"= {left + 1}", "= 4"), "x")


def test_who_lives_with_a_super_peer_dies_with_it() -> None:
    """Together they are one node; apart the leaf goes elsewhere."""
    fault = "[[phases]]\nname = 'a'\nfaults = [{ at_s = 0, kill = 'super-peer 1' }]\n"
    text = "leaves = 4\n[content]\nfiles = 8\n" + fault
    text += "[[phases]]\nname = 'b'\nleaves_per_file = 4"
    assert parse("super_peers = 4\n" + text, "x")
    assert "only 3 leaves are" in refusal("together = true\nsuper_peers = 4\n" + text)


@pytest.mark.parametrize(
    "text",
    [
        ONE + "gets = 2",
        ONE + "crowd = 2",
        TWO + "crowd = 1",
        ONE + "may_fail = true\ngets = 2\n[[phases]]\nname = 'b'\ngets = 2",
        FILES + "copies = 4\nzipf = 1.0\n[[phases]]\nname = 'a'\ngets = 1",
        "super_peers = 1\nleaves = 0\n[[phases]]\nname = 'a'\nfor_s = 1.0",
    ],
)
def test_what_can_just_be_is_taken(text: str) -> None:
    """As many downloads as there can be; what may fail uses none up; a phase without leaves."""
    assert parse(text, "x").phases


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name = 'mine'\n" + SMALL, "x.toml:1: name: a scenario is called as its file"),
        (SMALL + "[config]\ntime_scale = 2.0", "x.toml:4: config.time_scale: say it above all"),
        (SMALL + "[overlay]\ndegree = 3", "x.toml:4: overlay.degree: a graph that is 'ring'"),
        (SMALL + "[overlay]\ngraph = 'full'\ndegree = 2", "x.toml:5: overlay.degree: "),
        (SMALL + "[attachment]\ntold = 50", "x.toml:4: attachment.told: a leaf can be told of 3"),
        (SMALL + "[attachment]\ntold = 3\nrelays = [1]", "x.toml:4: attachment.told: "),
        (FILES + "sharing_on = false", "x.toml:5: content.sharing_on: every leaf shares"),
        (FILES + "sharing_on = false\nsharers = 4", "x.toml:5: content.sharing_on: "),
        (
            SMALL + "[content]\nfiles = 1\ncopies = 4\nsharing_on = false",
            "x.toml:6: content.sharing_on: ",
        ),
    ],
)
def test_a_key_that_nothing_heeds_is_refused(text: str, said: str) -> None:
    """Nobody shall believe that it had an effect."""
    assert said in refusal(text)


@pytest.mark.parametrize(
    "text",
    [
        FILES + "sharing_on = false\nsharers = 3",
        SMALL + "[content]\nfiles = 3\nsharing_on = false",
        SMALL + "[overlay]\ngraph = 'random'\ndegree = 2",
        SMALL + "[attachment]\ntold = 2\nrelays = [1]",
        "super_peers = 1\nleaves = 1",
    ],
)
def test_a_key_that_is_heeded_is_taken(text: str) -> None:
    """And a default that is larger than the network is no claim of anybody."""
    assert parse(text, "x").leaves


def test_a_row_of_an_array_is_no_header() -> None:
    """The last row of an array over lines has no comma after it; keys below it keep their table."""
    text = SMALL + "[overlay]\ngraph = 'explicit'\nlinks = [\n  [1, 2],\n  [0, 1]\n]\ndegre = 3"
    assert refusal(text).startswith("x.toml:9: overlay.degre: ")


def test_the_leaves_hang_on_the_super_peers_in_turn() -> None:
    """Each leaf is told of its parent first and of the next ones after it, never of a relay."""
    scenario = parse(SMALL + "[attachment]\ntold = 2\nrelays = [1]", "x")
    assert [scenario.told(leaf) for leaf in range(3)] == [[0, 2], [2, 0], [0, 2]]


def test_a_seed_draws_the_same_overlay() -> None:
    """A random graph is a function of the scenario, another seed draws another one."""
    scenario = parse("super_peers = 30\nleaves = 0\n[overlay]\ngraph = 'random'", "x")
    assert scenario.edges() == scenario.edges()
    assert scenario.edges() != msgspec.structs.replace(scenario, seed=2).edges()


def test_explicit_links_are_edges_once() -> None:
    """A link named from both ends is one edge."""
    text = SMALL + "[overlay]\ngraph = 'explicit'\nlinks = [[2, 1], [1, 2], [0, 1]]"
    assert parse(text, "x").edges() == [(0, 1), (1, 2)]


def test_a_fault_names_its_victim() -> None:
    """Kind and number of who is struck, or how many of them."""
    assert read_aim("super-peer 7") == Aim("super-peer", 7)
    assert read_aim("every leaf") == Aim("leaf")
    assert read_aim("busiest super-peer") == Aim("super-peer", rank="busiest")
    assert read_aim("30 % of super-peers") == Aim("super-peer", share=0.3)
    assert read_aim("7 % of leaves") == Aim("leaf", share=0.07)
    best = read_aim("best linked 4 % of super-peers")
    assert best.hit(range(100), lambda _rank, number: number % 50, Random(1)) == [49, 99, 48, 98]
    assert len(read_aim("30 % of super-peers").hit(range(9), lambda *_: 0, Random(1))) == 3


@pytest.mark.parametrize("text", ["leaf", "0 % of leaves", "101 % of leaves", "4 % of trees", ""])
def test_a_fault_that_names_nobody_is_refused(text: str) -> None:
    """With all that may be said."""
    with pytest.raises(TargetError, match="best linked N % of super-peers"):
        read_aim(text)


@given(st.lists(st.sampled_from(["[a]", "[[b]]", "[b.c]", "x = 1", "# [d]", "y.z = 2"])))
def test_a_line_is_always_one_of_the_text(lines: list[str]) -> None:
    """Whatever is asked for, the answer is a line that exists, or the first."""
    text = "\n".join(lines)
    for path in [("a", "x"), ("b", 0, "x"), ("b", 1, "c", "y", "z"), ("q",), ()]:
        assert 1 <= line_of(text, path) <= max(len(lines), 1)
