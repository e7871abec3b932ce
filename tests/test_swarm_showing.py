"""What those who want a file are told of it: all of it, a part each at first, and news."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap

from common import wire
from common.content.merkle import piece_count
from common.core import Effect, Send
from common.limits import HAVE_PIECES_MAX
from common.messages.swarm import Bitfield, Have
from common.storage import SharedFile
from leaf.swarm.picker import run_around
from leaf.swarm.pieces import haves, pack, pieces_of
from leaf.uploads.firstcopy import PATIENCE_S, REST_S_MAX, REST_SHARE, FirstCopy
from leaf.uploads.showing import CROWD_MIN, Showing

PIECE = 16384
COUNT = 200
SIZE = COUNT * PIECE
ROOT = b"r" * 32
A, B, C = b"a" * 32, b"b" * 32, b"c" * 32
FILE = SharedFile("/share", "file", SIZE, 0, 0, ROOT)


def have_all(_root: bytes, _size: int) -> bool:
    """Nothing vanishes."""
    return True


def seen(effects: list[Effect], peer: bytes) -> BitMap:
    """The pieces that these effects tell a leaf of."""
    told = BitMap()
    for effect in effects:
        if isinstance(effect, Send) and effect.peer == peer:
            if isinstance(effect.message, Have):
                told |= pieces_of(effect.message)
            if effect.message == Bitfield(ROOT):
                told |= BitMap(range(COUNT))
    return told


@given(st.sets(st.integers(0, 2**20 - 1), min_size=1), st.integers(0, 3 * HAVE_PIECES_MAX))
def test_any_pieces_are_told_in_few_messages(pieces: set[int], run: int) -> None:
    """All of them and no others, in messages that may be sent."""
    told = BitMap(pieces) | BitMap(range(run))
    messages = list(haves(ROOT, told))
    assert BitMap().union(*map(pieces_of, messages)) == told
    assert len(messages) == -(-len(told) // HAVE_PIECES_MAX)
    assert [wire.decode(wire.frame([wire.encode(each)])) for each in messages] == [
        [each] for each in messages
    ]


def test_who_comes_alone_sees_everything() -> None:
    """There is nobody to share with."""
    assert seen(
        Showing(Random(1), lambda _peer: False, have_all).begin(A, ROOT, SIZE, FILE, 0.0), A
    ) == BitMap(range(COUNT))


@given(st.integers(2, 12), st.randoms(use_true_random=False))
def test_of_a_first_copy_no_piece_is_shown_twice_before_all_were_shown_once(
    leaves: int, rng: Random
) -> None:
    """Each leaf asks for what it sees, whoever is quicker; in the end everybody sees everything."""
    first_copy = FirstCopy(SIZE, Random(rng.random()))
    shown: dict[bytes, list[tuple[int, int]]] = {}
    for number in range(leaves):
        peer = bytes((number,)) * 32
        first_copy.join(peer, 0.0)
        shown[peer] = first_copy.begin(peer)
        assert shown[peer]
    sees = {peer: BitMap(range(run[0], sum(run))) for peer, (run,) in shown.items()}
    asked = BitMap()
    while not first_copy.is_over:
        hidden = BitMap(range(piece_count(SIZE))) - BitMap().union(asked, *sees.values())
        peer = rng.choice([each for each in sorted(sees) if sees[each] - asked])
        pieces = sees[peer] - asked
        run = run_around(pieces, rng.choice(list(pieces)), rng.randint(1, 40))
        asked.add_range(run[0], sum(run))
        for more in first_copy.asked(peer, run, 0.0):
            new = BitMap(range(more[0], sum(more)))
            assert not new & asked
            assert new <= hidden
            sees[peer] |= new
    assert asked == BitMap(range(piece_count(SIZE)))
    assert len(first_copy.released(lambda _peer: False, 0.0)) == leaves


def test_who_comes_to_others_sees_a_part_and_then_more_for_what_it_asks() -> None:
    """What the first asks for is not shown to the second."""
    showing = Showing(Random(1), lambda _peer: False, have_all)
    showing.begin(A, ROOT, SIZE, FILE, 0.0)
    assert not seen(showing.begin(B, ROOT, SIZE, FILE, 0.0), B)
    asked = BitMap(range(COUNT - 50))
    showing.asked(A, ROOT, SIZE, 0, len(asked) * PIECE, 0.0)
    first = seen(showing.may_ask(B, ROOT, 0.0), B)
    assert first and not first & asked
    more = seen(showing.asked(B, ROOT, SIZE, first.min() * PIECE, len(first) * PIECE, 0.0), B)
    assert more and not more & first and not more & asked


def test_who_came_first_sees_a_part_too_once_it_is_not_alone() -> None:
    """What it asked for so far, and as much more as all others."""
    showing = Showing(Random(1), lambda _peer: False, have_all)
    showing.begin(A, ROOT, SIZE, FILE, 0.0)
    showing.asked(A, ROOT, SIZE, 0, 10 * PIECE, 0.0)
    told = [each for each in showing.begin(B, ROOT, SIZE, FILE, 0.0) if isinstance(each, Send)]
    marks = [each.message.bits for each in told if isinstance(each.message, Bitfield)]
    assert marks == [bytes(COUNT // 8), pack(bytes([1] * 10 + [0] * (COUNT - 10)))]
    more = seen([each for each in told if each.peer == A], A)
    assert more and not more & BitMap(range(10))
    first = seen(showing.may_ask(B, ROOT, 0.0), B)
    assert first and not first & (more | BitMap(range(10)))


def test_what_was_shown_in_vain_is_shown_to_another() -> None:
    """Who leaves, and who asks for nothing, keeps nothing back."""
    first_copy = FirstCopy(2 * PIECE, Random(1))
    for peer in (A, B, C):
        first_copy.join(peer, 0.0)
    shown = [first_copy.begin(peer) for peer in (A, B, C)]
    assert [len(each) for each in shown] == [1, 1, 0]
    first_copy.leave(A)
    assert first_copy.begin(C) == shown[0]
    assert first_copy.released({C: None}.__contains__, PATIENCE_S) == [B]
    assert first_copy.asked(C, shown[0][0], PATIENCE_S) == shown[1]


def test_who_begins_anew_over_the_same_link_sees_everything() -> None:
    """It may have lost what it had, and what it was shown."""
    showing = Showing(Random(1), lambda _peer: False, have_all)
    showing.begin(A, ROOT, SIZE, FILE, 0.0)
    showing.begin(B, ROOT, SIZE, FILE, 0.0)
    assert seen(showing.begin(B, ROOT, SIZE, FILE, 0.0), B) == BitMap(range(COUNT))


def test_when_the_last_of_the_hidden_is_asked_for_all_see_everything() -> None:
    """And whoever comes later does at once; after all have left it begins again."""
    showing = Showing(Random(1), lambda _peer: False, have_all)
    for peer in (A, B):
        showing.begin(peer, ROOT, SIZE, FILE, 0.0)
    assert seen(showing.asked(A, ROOT, SIZE, 0, SIZE, 0.0), B) == BitMap(range(COUNT))
    assert seen(showing.begin(C, ROOT, SIZE, FILE, 0.0), C) == BitMap(range(COUNT))
    for peer in (A, B, C):
        showing.leave(peer, ROOT)
    showing.begin(A, ROOT, SIZE, FILE, 0.0)
    assert not seen(showing.begin(B, ROOT, SIZE, FILE, 0.0), B)


@given(st.integers(2, 2 * CROWD_MIN), st.floats(0.0, 1_000.0))
def test_only_a_crowd_is_left_alone_with_the_first_copy_and_not_for_long(
    leaves: int, took_s: float
) -> None:
    """For a small part of the time that it took, at most ten seconds, from the last question for it
    on; among few our uplink is missed."""
    showing = Showing(Random(1), lambda _peer: False, have_all)
    for number in range(leaves):
        showing.begin(bytes([number]) * 32, ROOT, SIZE, FILE, 0.0)
    half = SIZE // 2 // PIECE * PIECE
    showing.asked(A, ROOT, SIZE, 0, half, 5.0)
    assert not showing.rests(ROOT, 5.0)
    end = 5.0 + took_s
    showing.asked(A, ROOT, SIZE, half, SIZE - half, end)
    rest_s = min(REST_SHARE * (end - 5.0), REST_S_MAX)
    assert showing.rests(ROOT, end) == (leaves >= CROWD_MIN and rest_s > 0.0)
    assert not showing.rests(ROOT, end + rest_s)
    assert not showing.rests(bytes(32), end)


def test_who_asks_for_nothing_for_a_while_sees_everything() -> None:
    """It may have got what it was shown from somebody else, who is gone."""
    showing = Showing(Random(1), lambda _peer: False, have_all)
    for peer in (A, B, C):
        showing.begin(peer, ROOT, SIZE, FILE, 0.0)
    shown = seen(showing.may_ask(C, ROOT, 0.0), C)
    showing.asked(C, ROOT, SIZE, shown.min() * PIECE, PIECE, 1.0)
    assert showing.deadlines.earliest() == PATIENCE_S
    freed = showing.due(PATIENCE_S)
    assert seen(freed, B) == BitMap(range(COUNT)) and not seen(freed, C)
    later = showing.deadlines.earliest()
    assert later == 1.0 + PATIENCE_S
    assert seen(showing.due(later), C) == BitMap(range(COUNT))
    assert showing.deadlines.earliest() is None


def test_a_file_that_is_not_whole_any_more_is_shown_to_nobody() -> None:
    """It was removed, and we fetch it again ourselves."""
    there = [True]
    showing = Showing(Random(1), lambda _peer: False, lambda _root, _size: there[0])
    for peer in (A, B):
        showing.begin(peer, ROOT, SIZE, FILE, 0.0)
    there[0] = False
    assert showing.may_ask(A, ROOT, 0.5) == []
    assert showing.due(PATIENCE_S) == []
    assert showing.deadlines.earliest() is None


def test_who_asks_for_hashes_is_not_shown_everything_meanwhile() -> None:
    """It cannot ask for pieces before: on slow uplinks that takes longer than we are patient."""
    showing = Showing(Random(1), lambda _peer: False, have_all)
    for peer in (A, B, C):
        showing.begin(peer, ROOT, SIZE, FILE, 0.0)
    showing.asked_for_hashes(B, ROOT, 1.5)
    freed = showing.due(PATIENCE_S)
    assert seen(freed, C) == BitMap(range(COUNT)) and not seen(freed, B)
    assert seen(showing.due(1.5 + PATIENCE_S), B) == BitMap(range(COUNT))
    showing.asked_for_hashes(C, ROOT, 4.0)  # it sees everything already


@given(st.floats(0.0, 1e7))
def test_patience_is_over_when_it_was_said_to_be(joined_at: float) -> None:
    """To the last bit: who is woken then and finds nothing to do would be woken for ever."""
    first_copy = FirstCopy(SIZE, Random(1))
    first_copy.join(A, joined_at)
    due = first_copy.wakeup()
    assert due is not None
    assert first_copy.released(lambda _peer: False, due) == [A]
    assert first_copy.wakeup() is None


def test_who_waits_for_what_it_asked_is_shown_no_more() -> None:
    """However long: a seed with many leaves serves each of them seldom."""
    waiting: dict[bytes, None] = {B: None}
    showing = Showing(Random(1), waiting.__contains__, have_all)
    for peer in (A, B):
        showing.begin(peer, ROOT, SIZE, FILE, 0.0)
    showing.may_ask(B, ROOT, 0.0)
    told: list[Effect] = []
    due = showing.deadlines.earliest()
    while due is not None and due < 100.0:
        told += showing.due(due)
        due = showing.deadlines.earliest()
    assert not seen(told, B)
    assert due is not None
    waiting.clear()
    assert seen(showing.due(due), B) == BitMap(range(COUNT))
