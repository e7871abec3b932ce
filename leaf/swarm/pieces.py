"""The pieces of one download: each is in exactly one state.

    MISSING --ask--> ASKED --came--> WRITING --stored--> DONE
       ^---give_back---'                |                  |
       '---------- wrong, lost ---------'------ lost ------'

A piece is owned while it is ASKED (by the leaves it was asked of, several in the endgame) or
WRITING (by the one leaf that sent it, which is blamed if it is wrong), and by nobody otherwise.
Which piece to ask for, and the bytes themselves, are not looked at here. `pack` and `unpack` turn
marks (a byte of 0 or 1 for each piece) into the bits of the wire.
"""

import enum
from array import array
from collections.abc import Iterator, Sequence
from itertools import compress
from typing import Final

from pyroaring import BitMap

from common.content.merkle import piece_size_bytes
from common.errors import LocalProtocolError
from common.ids import NodeId
from common.limits import HAVE_PIECES_MAX
from common.messages.swarm import Have


class State(enum.IntEnum):
    """Where a piece is."""

    MISSING = 0
    ASKED = 1
    WRITING = 2
    DONE = 3


_STATES: Final = tuple(State)  # by number; calling the class costs six times as much


class Pieces:
    """The states of all pieces of one file."""

    def __init__(self, done: bytes) -> None:
        """`done` has a 1 for each piece that is proven and stored already."""
        self._states = bytearray([State.DONE if mark else State.MISSING for mark in done])
        self._owners: dict[int, tuple[NodeId, ...]] = {}
        self._counts = {state: self._states.count(state) for state in State}
        self.missing = BitMap(range(len(done))) - marked(done)
        """Those that are missing; to be read only."""
        self._prefix = 0

    def __len__(self) -> int:
        return len(self._states)

    def count(self, state: State) -> int:
        """How many pieces are in this state."""
        return self._counts[state]

    def state(self, piece: int) -> State:
        """Where this piece is."""
        return _STATES[self._states[piece]]

    @property
    def prefix(self) -> int:
        """How many from the first on are done; looks at each piece once, unless some are lost."""
        while self._prefix < len(self._states) and self._states[self._prefix] == State.DONE:
            self._prefix += 1
        return self._prefix

    def done_bytes(self, size: int) -> int:
        """How much of a file of `size` bytes the finished pieces are."""
        piece_bytes = piece_size_bytes(size)
        is_last_done = bool(self._states) and self._states[-1] == State.DONE
        short = len(self) * piece_bytes - size if is_last_done else 0
        return self._counts[State.DONE] * piece_bytes - short

    def owners(self, piece: int) -> tuple[NodeId, ...]:
        """Of whom it was asked, or who sent it."""
        return self._owners.get(piece, ())

    @property
    def complete(self) -> bool:
        """Whether every piece is proven and stored."""
        return self._counts[State.DONE] == len(self._states)

    def marks(self) -> bytes:
        """A 1 for each piece that is done, else 0."""
        return bytes([state == State.DONE for state in self._states])

    def ask(self, piece: int, peer: NodeId) -> None:
        """It is asked of `peer` now (too)."""
        if self._states[piece] not in (State.MISSING, State.ASKED):
            raise LocalProtocolError(
                f"piece {piece} is {self.state(piece).name} and needs no asking"
            )
        self._move(piece, State.ASKED)
        self._owners[piece] = (*self._owners.get(piece, ()), peer)

    def give_back(self, piece: int, peer: NodeId) -> bool:
        """`peer` does not bring it; whether it is missing now because nobody else was asked."""
        if self._states[piece] != State.ASKED:
            return False
        others = tuple(owner for owner in self._owners[piece] if owner != peer)
        if others:
            self._owners[piece] = others
            return False
        self._move(piece, State.MISSING)
        return True

    def came(self, first: int, count: int, peer: NodeId) -> list[tuple[int, int]]:
        """`peer` sent these: the runs (first, count) that are new and have to be written."""
        new = [
            piece for piece in range(first, first + count) if self._states[piece] < State.WRITING
        ]
        for piece in new:
            self._move(piece, State.WRITING)
            self._owners[piece] = (peer,)
        return list(runs(new))

    def stored(self, piece: int) -> bool:
        """The disk has proven and stored it; False where that was not awaited."""
        return self._settle(piece, State.DONE)

    def wrong(self, piece: int) -> NodeId | None:
        """It was not what it should be: who sent it, if that was awaited."""
        sender = self._owners.get(piece, (b"",))[0]
        return sender if self._settle(piece, State.MISSING) else None

    def lost(self, piece: int) -> None:
        """The disk does not have it: it could not be written, or is not there any more."""
        if 0 <= piece < len(self._states) and self._states[piece] >= State.WRITING:
            self._move(piece, State.MISSING)
            self._prefix = min(self._prefix, piece)

    def _settle(self, piece: int, state: State) -> bool:
        if not 0 <= piece < len(self._states) or self._states[piece] != State.WRITING:
            return False
        self._move(piece, state)
        return True

    def _move(self, piece: int, state: State) -> None:
        self._counts[_STATES[self._states[piece]]] -= 1
        self._counts[state] += 1
        self._states[piece] = state
        if state is State.MISSING:
            self.missing.add(piece)
        else:
            self.missing.discard(piece)
        if state in (State.MISSING, State.DONE):
            self._owners.pop(piece, None)


def marked(marks: bytes) -> BitMap:
    """The pieces with a mark."""
    return BitMap(array("I", compress(range(len(marks)), marks)))


def haves(root: bytes, pieces: BitMap) -> Iterator[Have]:
    """These pieces as messages."""
    numbers = tuple(pieces)
    for at in range(0, len(numbers), HAVE_PIECES_MAX):
        yield Have(root, numbers[at], numbers[at + 1 : at + HAVE_PIECES_MAX])


def pieces_of(have: Have) -> BitMap:
    """The inverse for one message."""
    return BitMap((have.piece, *have.more))


def runs(pieces: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Ascending piece numbers as runs of neighbours: (first, count)."""
    begin = 0
    for at in range(1, len(pieces) + 1):
        if at == len(pieces) or pieces[at] != pieces[at - 1] + 1:
            yield pieces[begin], at - begin
            begin = at


def pack(marks: bytes) -> bytes:
    """Marks as a bit field, the first piece in the highest bit; spare bits are 0."""
    padded = marks + bytes(-len(marks) % 8)
    digits = padded.translate(_DIGITS)
    return int(digits or b"0", 2).to_bytes(len(padded) // 8, "big")


def unpack(bits: bytes, count: int) -> bytes | None:
    """A bit field as `count` marks; None where it has another length or spare bits are set."""
    if len(bits) != -(-count // 8):
        return None
    digits = bin(int.from_bytes(b"\x01" + bits, "big"))[3:].encode()
    marks = digits.translate(_MARKS)
    return None if any(marks[count:]) else marks[:count]


_DIGITS = bytes([ord("1") if value else ord("0") for value in range(256)])
_MARKS = bytes([1 if value == ord("1") else 0 for value in range(256)])
