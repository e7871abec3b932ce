"""What is asked of a network: weights, crowds, and who lacks what."""

from random import Random

from deploy.oracle import Held, Oracle
from deploy.scenario import Phase
from deploy.workload import questions, wanted_downloads

LEAVES = list(range(6))


def oracle(*holders: list[int]) -> Oracle:
    """A file for each list of leaves that hold it, the first of rank 0."""
    return Oracle(
        Held(leaf, f"id{rank}", f"file{rank}", "")
        for rank, leaves in enumerate(holders)
        for leaf in leaves
    )


def test_popular_files_are_asked_for_most() -> None:
    """With `zipf` a file's weight falls with its rank; without it all are alike."""
    files, phase = oracle(*[[0]] * 10), Phase("a", searches=2000)

    def first(zipf: float) -> int:
        asked = questions(phase, files, LEAVES, Random(1), zipf)
        return sum(question.words == ("file0",) for question in asked)

    assert 150 < first(0.0) < 250
    assert 600 < first(1.0) < 760  # 1 / (1 + 1/2 + ... + 1/10) is 0.34


def test_a_rank_is_kept_when_files_before_it_are_gone() -> None:
    """The weight of a file does not grow because more popular ones left."""
    files = oracle([5], *[[0]] * 9)
    asked = questions(Phase("a", searches=2000), files, [0, 1], Random(1), 1.0)
    second = sum(question.words == ("file1",) for question in asked)
    assert 460 < second < 580  # 1/2 of 1/2 + ... + 1/10 is 0.26


def test_a_crowd_wants_one_file_that_all_of_it_lack() -> None:
    """The file that fewest hold, by as many leaves as asked for."""
    wanted = wanted_downloads(Phase("a", crowd=3), oracle(LEAVES, [0, 1], [2]), LEAVES, Random(1))
    assert {held.id for _, held in wanted} == {"id2"}
    assert len({leaf for leaf, _ in wanted} - {2}) == 3


def test_downloads_go_to_leaves_that_lack_the_file() -> None:
    """Even where nearly all of them hold it, to each once, from a holder that is there."""
    files = oracle([0, 1, 2, 3, 4], [9, 5])
    wanted = wanted_downloads(Phase("a", gets=40), files, LEAVES, Random(1))
    assert len({(leaf, held.id) for leaf, held in wanted}) == len(wanted) == 6
    for leaf, held in wanted:
        assert leaf == 5 if held.id == "id0" else leaf != 5
        assert held.leaf in LEAVES


def test_what_everybody_has_is_not_fetched() -> None:
    """Where no leaf lacks anything there is nothing to do."""
    assert wanted_downloads(Phase("a", gets=4, crowd=1), oracle(LEAVES), LEAVES, Random(1)) == []


def test_nothing_there_is_asked_for_by_nobody() -> None:
    """All holders are gone."""
    assert questions(Phase("a", searches=4), oracle([7]), LEAVES, Random(1)) == []


def test_as_many_downloads_as_there_can_be() -> None:
    """A file that everybody has by then is not drawn in vain: each pair is fetched once."""
    files = oracle(LEAVES[:1], LEAVES[:1])
    pairs = 2 * (len(LEAVES) - 1)
    for seed in range(20):
        wanted = wanted_downloads(Phase("a", gets=pairs), files, LEAVES, Random(seed))
        assert len({(leaf, held.id) for leaf, held in wanted}) == pairs
