"""What a source was asked for and is not waited for any more: it may come all the same."""

from common.messages.swarm import Choke, Reject, Request, Unchoke
from tests.test_swarm_fetch import ROOT, A, Fetching, hung_up, requests


def test_all_that_was_taken_back_may_come() -> None:
    """Also where one place was asked for again and again, in other lengths."""
    fetching = Fetching()
    asked = requests(fetching.ready(A))
    taken_back: list[Request] = []
    for _ in range(40):
        fetching.now += 2.0
        asked += requests(fetching.answers(A, asked.pop(0)))
        taken_back += asked
        fetching.hears(A, Choke(ROOT))
        asked = requests(fetching.hears(A, Unchoke(ROOT)))
    places = [request.offset for request in taken_back]
    assert any(places.count(place) > 1 for place in places)
    for request in taken_back:
        assert hung_up(fetching.answers(A, request)) == []


def test_an_older_request_for_the_place_may_be_the_rejected_one() -> None:
    """So both may still come: which of them was meant is not said."""
    fetching = Fetching()
    request = requests(fetching.ready(A))[0]
    fetching.hears(A, Reject(ROOT, "too_many", request.offset))
    assert hung_up(fetching.answers(A, request)) == []
