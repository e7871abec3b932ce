"""Whose request is read next: shares by weight, whoever asks for how much."""

from hypothesis import given
from hypothesis import strategies as st

from leaf.uploads.turns import Turns

A, B, C = (bytes([number]) * 32 for number in range(3))
ROOT = bytes(32)
PIECE = 65_536


def serve(turns: Turns, weights: dict[bytes, float], times: int) -> list[bytes]:
    """Who had the next turns; each asks again at once."""
    served = []
    for number in range(times):
        turn = turns.next(lambda _peer: True)
        assert turn is not None
        peer = turn[0][0]
        served.append(peer)
        turns.took(peer, PIECE, weights[peer])
        turns.put(((peer, ROOT), number * PIECE))
    return served


@given(st.lists(st.integers(1, 16), min_size=2, max_size=8), st.integers(1, 5))
def test_shares_are_as_the_weights(weights: list[int], ahead: int) -> None:
    """Over any time each leaf has its share to within one turn and its weight, however many
    requests it keeps waiting."""
    turns = Turns()
    peers = {bytes([number]) * 32: float(weight) for number, weight in enumerate(weights)}
    for peer in peers:
        for number in range(ahead):
            turns.put(((peer, ROOT), number))
    rounds = 10
    served = serve(turns, peers, rounds * sum(weights))
    for peer, weight in peers.items():
        assert abs(served.count(peer) - rounds * weight) <= 1 + weight


def test_who_was_away_does_not_get_the_turns_it_left_out() -> None:
    """Two that come at different times share from then on."""
    turns = Turns()
    turns.put(((A, ROOT), 0))
    serve(turns, {A: 1.0}, 100)
    turns.put(((B, ROOT), 0))
    served = serve(turns, {A: 1.0, B: 1.0}, 10)
    assert served.count(A) in (4, 5, 6)


def test_who_may_not_is_passed_over() -> None:
    """Its turn comes when it may; who is forgotten has none."""
    turns = Turns()
    for peer in (A, B, C):
        turns.put(((peer, ROOT), 7))
    assert len(turns) == 3
    turns.forget(C)
    assert turns.next(lambda peer: peer != A) == ((B, ROOT), 7)
    assert turns.next(lambda peer: peer != A) is None
    assert turns.next(lambda _peer: True) == ((A, ROOT), 7)
    assert len(turns) == 0


def test_a_leaf_has_its_requests_in_order() -> None:
    """Whatever file they are of."""
    turns = Turns()
    wanted = [((A, bytes([number]) * 32), number) for number in range(5)]
    for turn in wanted:
        turns.put(turn)
    assert [turns.next(lambda _peer: True) for _ in wanted] == wanted


def test_what_is_put_back_is_next_again() -> None:
    """Nobody's order changes, and nothing is lost, also where it was the only one."""
    turns = Turns()
    for number in range(2):
        turns.put(((A, ROOT), number))
    turns.put(((B, ROOT), 7))
    for _ in range(3):
        turn = turns.next(lambda _peer: True)
        assert turn == ((A, ROOT), 0)
        turns.put_back(turn)
    assert turns.next(lambda peer: peer == B) == ((B, ROOT), 7)
    turns.put_back(((B, ROOT), 7))
    assert len(turns) == 3
    assert turns.next(lambda peer: peer == B) == ((B, ROOT), 7)


def test_who_goes_and_comes_again_finds_its_clock_where_it_was() -> None:
    """A leaf of little weight gains nothing by that."""
    turns = Turns()
    weights = {A: 9.0, B: 1.0}
    for peer in weights:
        turns.put(((peer, ROOT), 0))
    served = []
    for number in range(1, 101):
        turn = turns.next(lambda _peer: True)
        assert turn is not None
        peer = turn[0][0]
        served.append(peer)
        turns.took(peer, PIECE, weights[peer])
        if peer == B:
            turns.forget(B)
        turns.put(((peer, ROOT), number * PIECE))
    assert served.count(B) <= 11


def test_what_is_cancelled_does_not_wait() -> None:
    """It leaves no turn behind, and what was never asked for is no matter."""
    turns = Turns()
    for offset in (1, 2):
        turns.put(((A, ROOT), offset))
    turns.cancel(((A, ROOT), 1))
    turns.cancel(((B, ROOT), 1))
    assert (len(turns), turns.waiting_of(A)) == (1, 1)
    turns.cancel(((A, ROOT), 2))
    assert turns.next(lambda _peer: True) is None
