"""Requests that are refused: who takes no more for a while, and what that means to who asked."""

from common.core import Send
from common.messages.swarm import Interested, Reject, Request
from common.storage import ReadShared
from leaf.swarm.layer import AGAIN_S
from leaf.uploads.firstcopy import REST_SHARE
from leaf.uploads.showing import CROWD_MIN
from tests import test_swarm_upload as uploads
from tests.memory_disk import tree_of
from tests.test_swarm_fetch import ROOT, A, B, Fetching, requests
from tests.test_swarm_upload import Serving
from tests.test_why import DATA, cause, says, stalled, why


def test_who_refuses_is_asked_again_a_little_later() -> None:
    """Not before, whatever else moves, and others are asked meanwhile; nobody is given up for it,
    however often."""
    fetching = Fetching()
    for asked in requests(fetching.ready(A)):
        assert fetching.hears(A, Reject(ROOT, "too_many", asked.offset)) == []
    for _ in range(100):
        (asked,) = requests(fetching.wait(AGAIN_S))
        assert fetching.hears(A, Reject(ROOT, "too_many", asked.offset)) == []
    for asked in requests(fetching.ready(B), B):
        assert not requests(fetching.answers(B, asked), A)
    assert requests(fetching.wait(AGAIN_S), A)


def test_a_crowd_with_a_first_copy_is_refused_a_second_for_a_moment() -> None:
    """What was asked for first is sent; then it goes round among them, and soon all are served."""
    serving, root, size = Serving(slots=CROWD_MIN), uploads.ROOT, len(uploads.DATA)
    crowd = [bytes((number,)) * 32 for number in range(CROWD_MIN)]
    for peer in crowd:
        serving.says(peer, Interested(root, size))
    first = serving.says(crowd[0], Request(root, 0, 16384))
    last = serving.says(crowd[1], Request(root, 16384, size - 16384), now=20.0)
    assert len([each for each in serving.read(first + last) if isinstance(each, Send)]) == 2
    again, refused = Request(root, 0, 16384), Reject(root, "too_many", 0)
    assert serving.says(crowd[2], again, now=20.5) == [Send(crowd[2], refused)]
    effects = serving.says(crowd[2], again, now=20.0 + 20.0 * REST_SHARE)
    assert [type(each) for each in effects] == [ReadShared]


def test_why_nothing_comes_of_who_is_asked_by_too_many() -> None:
    """It is said, and when it is asked again."""
    world = stalled(sources=1)
    root = tree_of(DATA).root
    for offset in range(0, len(DATA), 16384):
        says(world, Reject(root, "too_many", offset))
    (row,) = why(world).sources
    assert (row.owed_bytes, row.remark) == (0, "is asked by too many")
    refused = cause(world, "refused")
    assert refused.text == "too many ask 1 of 1 linked sources; we ask again soon"
    assert refused.next_try_s is not None
    assert 0.0 < refused.next_try_s <= AGAIN_S
