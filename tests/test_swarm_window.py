"""How much one source is asked for at a time, before and after it is known how fast it is."""

from itertools import pairwise

from common.addresses import Address
from leaf.swarm.source import REQUEST_BYTES_FIRST, WINDOW_BYTES_FIRST, WINDOW_S, Asked, Source

PIECE = 16_384
WINDOW_MAX = 8 * 1024 * 1024


def served(source: Source, per_s: float, seconds: float, now: float) -> float:
    """A source that is asked for piece after piece and sends so fast; the end."""
    until = now + seconds
    while now < until:
        source.asked(0, Asked(0, 1, PIECE, now))
        now += PIECE / per_s
        assert source.answered(0, WINDOW_MAX, now) is not None
    return now


def newcomer() -> Source:
    """One of which nothing is known."""
    return Source(bytes(32), Address(b"\x0a\x00\x00\x01", 1214))


def test_a_first_answer_at_once_is_no_rate() -> None:
    """Who answers the first question at once may serve a hundred others next; in a crowd all would
    ask the first one who has something for all of it. A second later it is known."""
    source = newcomer()
    now = served(source, 10e6, 0.0016, 0.0)
    assert source.request_bytes <= REQUEST_BYTES_FIRST
    assert source.window_bytes <= WINDOW_BYTES_FIRST + PIECE
    served(source, 10e6, 2 * WINDOW_S, now)
    assert source.window_bytes > 6e6


def test_who_seldom_has_anything_is_asked_for_little() -> None:
    """Its pauses count: a piece a second is a piece a second, however fast each one comes."""
    source, now = newcomer(), 0.0
    for _ in range(20):
        now = served(source, 10e6, 0.001, now) + 1.0
    assert source.window_bytes <= 3 * PIECE


def test_it_doubles_with_each_round_trip() -> None:
    """A fast link is full soon: what came in the first second may be asked for again."""
    source, now, windows = newcomer(), 0.0, []
    for _ in range(6):
        count = source.window_bytes // PIECE
        for number in range(count):
            source.asked(number * PIECE, Asked(number, 1, PIECE, now))
        now += 0.01
        for number in range(count):
            source.answered(number * PIECE, WINDOW_MAX, now)
        windows.append(source.window_bytes)
    assert all(after >= 1.5 * before for before, after in pairwise(windows))
