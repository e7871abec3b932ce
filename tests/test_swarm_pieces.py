"""Each piece of a download is in exactly one state."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from common.errors import LocalProtocolError
from leaf.swarm.pieces import Pieces, State, pack, runs, unpack

PIECES = 12
PEERS = (b"a", b"b", b"c")

piece_numbers = st.integers(0, PIECES - 1)
peers = st.sampled_from(PEERS)


class PiecesMachine(RuleBasedStateMachine):
    """Any order of asking, answering, giving up, storing and losing."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces = Pieces(bytes([1, *bytes(PIECES - 1)]))
        self.model = dict.fromkeys(range(PIECES), State.MISSING) | {0: State.DONE}

    @rule(piece=piece_numbers, peer=peers)
    def ask(self, piece: int, peer: bytes) -> None:
        """Only what is missing or already asked for can be asked for."""
        if self.model[piece] in (State.MISSING, State.ASKED):
            if peer not in self.pieces.owners(piece):
                self.pieces.ask(piece, peer)
            self.model[piece] = State.ASKED
        else:
            with pytest.raises(LocalProtocolError):
                self.pieces.ask(piece, peer)

    @rule(piece=piece_numbers, peer=peers)
    def give_back(self, piece: int, peer: bytes) -> None:
        """It is missing again when the last one gives it back."""
        owners = self.pieces.owners(piece)
        missing = self.pieces.give_back(piece, peer)
        assert missing == (self.model[piece] is State.ASKED and owners == (peer,))
        if missing:
            self.model[piece] = State.MISSING

    @rule(first=piece_numbers, count=st.integers(1, 4), peer=peers)
    def came(self, first: int, count: int, peer: bytes) -> None:
        """What came is written once, whoever sent it."""
        span = range(first, min(first + count, PIECES))
        new = [each for each in span if self.model[each] in (State.MISSING, State.ASKED)]
        assert self.pieces.came(first, len(span), peer) == list(runs(new))
        self.model.update(dict.fromkeys(new, State.WRITING))

    @rule(piece=piece_numbers)
    def stored(self, piece: int) -> None:
        """Only what is being written can be stored."""
        assert self.pieces.stored(piece) == (self.model[piece] is State.WRITING)
        if self.model[piece] is State.WRITING:
            self.model[piece] = State.DONE

    @rule(piece=piece_numbers)
    def wrong(self, piece: int) -> None:
        """A wrong piece names who sent it and is missing again."""
        writing = self.model[piece] is State.WRITING
        sender = self.pieces.owners(piece)[0] if writing else None
        assert self.pieces.wrong(piece) == sender
        if writing:
            self.model[piece] = State.MISSING

    @rule(piece=piece_numbers)
    def lost(self, piece: int) -> None:
        """What the disk lost, or could not write, is missing again."""
        self.pieces.lost(piece)
        if self.model[piece] in (State.WRITING, State.DONE):
            self.model[piece] = State.MISSING

    @invariant()
    def one_state_each(self) -> None:
        """States, counts and owners agree."""
        states = [self.pieces.state(piece) for piece in range(PIECES)]
        assert states == [self.model[piece] for piece in range(PIECES)]
        assert [self.pieces.count(state) for state in State] == [states.count(s) for s in State]
        for piece, state in enumerate(states):
            owned = state in (State.ASKED, State.WRITING)
            assert bool(self.pieces.owners(piece)) == owned
            assert state is not State.WRITING or len(self.pieces.owners(piece)) == 1
        assert self.pieces.complete == all(state is State.DONE for state in states)


TestPieces = PiecesMachine.TestCase


@given(st.lists(st.booleans(), max_size=100))
def test_bits_and_marks(flags: list[bool]) -> None:
    """Marks survive the wire; the first piece is the highest bit."""
    marks = bytes(flags)
    assert unpack(pack(marks), len(marks)) == marks
    if flags:
        assert bool(pack(marks)[0] & 0x80) == flags[0]


@pytest.mark.parametrize(("bits", "count"), [(b"", 1), (b"\0\0", 8), (b"\x01", 7), (b"\xff", 3)])
def test_odd_bits_are_refused(bits: bytes, count: int) -> None:
    """A field of another length, or with spare bits set, is none."""
    assert unpack(bits, count) is None
