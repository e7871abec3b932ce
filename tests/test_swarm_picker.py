"""Which pieces are asked for next."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap

from common.content.merkle import piece_count, piece_size_bytes
from common.limits import REQUEST_BYTES_MAX
from leaf.swarm.picker import RANDOM_FIRST, Picker
from leaf.swarm.pieces import Pieces, State, marked

MIB = 1024 * 1024


@given(
    size=st.integers(1, 40 * MIB),
    seed=st.integers(0, 99),
    request_bytes=st.integers(0, 2 * REQUEST_BYTES_MAX),
)
def test_every_piece_is_chosen_once(size: int, seed: int, request_bytes: int) -> None:
    """Runs cover the file without overlap: one piece, or no longer than a request is to be."""
    pieces, picker = Pieces(bytes(piece_count(size))), Picker(size, Random(seed))
    while run := picker.choose(pieces.missing, None, request_bytes):
        first, count = run
        length = count * piece_size_bytes(size)
        assert count == 1 or length <= min(request_bytes, REQUEST_BYTES_MAX)
        for piece in range(first, first + count):
            pieces.ask(piece, b"p")
    assert pieces.count(State.ASKED) == len(pieces)


@given(marks=st.lists(st.booleans(), min_size=70, max_size=70), seed=st.integers(0, 99))
def test_only_what_the_source_has(marks: list[bool], seed: int) -> None:
    """Of a partial source exactly its pieces are asked for."""
    size = 70 * 16384
    pieces, picker = Pieces(bytes(70)), Picker(size, Random(seed))
    has = marked(bytes(marks))
    picker.source_came(has)
    while run := picker.choose(pieces.missing, has):
        for piece in range(run[0], run[0] + run[1]):
            pieces.ask(piece, b"p")
    assert [pieces.state(n) is State.ASKED for n in range(70)] == marks


@given(
    st.lists(st.sets(st.integers(0, 69)), min_size=1, max_size=6),
    st.sets(st.integers(0, 69), min_size=1),
    st.integers(0, 5),
    st.integers(0, 99),
)
def test_the_rarest_of_what_is_wanted_comes_first(
    sources: list[set[int]], wanted: set[int], leaving: int, seed: int
) -> None:
    """After the first few: whoever came, whatever they gained one by one, and whoever left."""
    picker = Picker(70 * 16384, Random(seed))
    for _ in range(RANDOM_FIRST):
        picker.choose(BitMap((0,)), None)
    for number, has in enumerate(sources):
        for part in [BitMap(has)] if number % 2 else [BitMap((piece,)) for piece in has]:
            picker.source_came(part)
    left = sources[:leaving] if leaving < len(sources) else []
    for has in left:
        picker.source_left(BitMap(has))
    here = sources[len(left) :]
    copies = {piece: sum(piece in has for has in here) for piece in wanted}
    run = picker.choose(BitMap(wanted), None, 0)
    assert run is not None
    assert copies[run[0]] == min(copies.values())


def test_small_requests_crumble_few_blocks() -> None:
    """Blocks nest, and who asks for little asks for more of what it began: of 64 pieces in blocks
    of eight 16 asked for two by two leave six blocks whole."""
    pieces = Pieces(bytes(64))
    picker = Picker(2048 * 128 * 1024, Random(3))
    for _ in range(8):
        run = picker.choose(pieces.missing, None, 3 * 128 * 1024)
        assert run is not None
        assert (run[0] % 2, run[1]) == (0, 2)
        for piece in range(run[0], run[0] + run[1]):
            pieces.ask(piece, b"p")
    whole = [at for at in range(0, 64, 8) if all(n in pieces.missing for n in range(at, at + 8))]
    assert len(whole) == 6
    runs = []
    while run := picker.choose(pieces.missing, None):
        runs.append(run)
        for piece in range(run[0], run[0] + run[1]):
            pieces.ask(piece, b"p")
    assert [run[1] for run in runs] == [8] * 6


def test_those_who_begin_together_take_different_pieces() -> None:
    """Else they have nothing to give one another."""
    missing = BitMap(range(512))
    runs = [Picker(512 * 16384, Random(seed)).choose(missing, None, 16384) for seed in range(8)]
    assert len(set(runs)) == len(runs)


def test_what_is_given_back_is_chosen_again() -> None:
    """It is missing, and that is all that counts."""
    pieces, picker = Pieces(bytes(1)), Picker(100, Random(1))
    assert picker.choose(pieces.missing, None) == (0, 1)
    pieces.ask(0, b"p")
    assert picker.choose(pieces.missing, None) is None
    pieces.give_back(0, b"p")
    assert picker.choose(pieces.missing, None) == (0, 1)
