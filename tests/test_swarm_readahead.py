"""A file in order while it comes: the window, what is late, and what a player makes of it."""

import heapq
import itertools
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap

from common.addresses import Address
from common.config import SwarmConfig
from common.content.merkle import piece_count, piece_size_bytes
from common.core import Effect, Event, LinkUp, Received, Send, Woke
from common.doors import Door
from common.limits import REQUEST_BYTES_MAX
from common.messages.fields import Contact
from common.messages.swarm import Bitfield, Cancel, Piece, Request, Unchoke
from common.storage import PiecesWritten, WritePieces
from leaf.links.links import BulkLinks
from leaf.signals import Allotted, SourcesFound, Streamed
from leaf.swarm.fetch import Fetch
from leaf.swarm.picker import Picker
from leaf.swarm.pieces import Pieces, State, marked
from leaf.swarm.readahead import AHEAD_BYTES_MIN, AHEAD_S, window
from leaf.swarm.requests import ENDGAME_SHARE

MIB = 1024 * 1024
PIECE = 16384
COUNT = 400
ROOT = bytes(32)


# --- the window and the picker --------------------------------------------------------------


@given(
    size=st.integers(1, 3 * 2**31),
    done=st.integers(0, 50),
    bytes_per_s=st.floats(0, 1e9),
)
def test_the_window_begins_where_the_proven_bytes_end(
    size: int, done: int, bytes_per_s: float
) -> None:
    """So many seconds of the measured rate wide, a few megabytes before there is one, never beyond
    the end and never of no piece."""
    count = piece_count(size)
    done = min(done, count - 1)
    soon = window(Pieces(bytes([1] * done) + bytes(count - done)), size, bytes_per_s)
    assert soon[0] == done
    assert soon[-1] < count
    wanted = max(bytes_per_s * AHEAD_S, AHEAD_BYTES_MIN)
    enough = soon[-1] == count - 1 or (len(soon) + 1) * piece_size_bytes(size) > wanted
    assert enough
    assert len(soon) == 1 or len(soon) * piece_size_bytes(size) <= wanted


@given(
    wanted=st.sets(st.integers(0, COUNT - 1), min_size=1),
    has=st.sets(st.integers(0, COUNT - 1)) | st.none(),
    begin=st.integers(0, COUNT - 1),
    width=st.integers(0, COUNT),
    request_bytes=st.integers(0, 2 * REQUEST_BYTES_MAX),
    seed=st.integers(0, 9),
)
def test_what_is_in_the_window_comes_first_and_in_order(
    wanted: set[int], has: set[int] | None, begin: int, width: int, request_bytes: int, seed: int
) -> None:
    """The first piece of it that the source has, and those behind it; else anything it has."""
    soon = range(begin, min(begin + width, COUNT))
    picker = Picker(COUNT * PIECE, Random(seed))
    run = picker.choose(BitMap(wanted), None if has is None else BitMap(has), request_bytes, soon)
    there = wanted if has is None else wanted & has
    if not there:
        assert run is None
        return
    assert run is not None
    pieces = set(range(run[0], run[0] + run[1]))
    assert pieces <= there
    assert len(pieces) == 1 or len(pieces) * PIECE <= min(request_bytes, REQUEST_BYTES_MAX)
    urgent = there & set(soon)
    if urgent:
        assert run[0] == min(urgent)
        assert pieces <= urgent


def test_the_prefix_is_what_is_proven_from_the_first_piece_on() -> None:
    """It grows over what came before it, and shrinks to what the disk lost."""
    pieces = Pieces(bytes((1, 0, 1, 0)))
    assert pieces.prefix == 1
    for piece in (3, 1):
        pieces.ask(piece, b"a")
        pieces.came(piece, 1, b"a")
        assert pieces.prefix == 1  # not on the disk yet
        pieces.stored(piece)
    assert pieces.prefix == 4
    pieces.lost(2)
    assert pieces.prefix == 2


# --- with sources of a given speed ----------------------------------------------------------


class Swarm:
    """A `Fetch` among sources that each send at a rate of their own, in virtual time."""

    def __init__(self, size: int, rates: dict[bytes, float], *, is_streamed: bool) -> None:
        self.size, self.rates, self.now = size, rates, 0.0
        self.pieces = Pieces(bytes(piece_count(size)))
        layer = bytes(32 * piece_count(size))
        self.core = Fetch(
            number=1,
            root=ROOT,
            size=size,
            pieces=self.pieces,
            layer=layer,
            links=BulkLinks(SwarmConfig()),
            config=SwarmConfig(),
            rng=Random(1),
            now=0.0,
            is_streamed=is_streamed,
        )
        self.asked: list[tuple[float, bytes, Request]] = []
        self.doubled_bytes = 0
        self.prefixes: list[tuple[float, int]] = [(0.0, 0)]  # when it became how long, in bytes
        self._owed: dict[bytes, list[Request]] = {peer: [] for peer in rates}
        self._busy: dict[bytes, None] = {}
        self._count = itertools.count()
        self._heap: list[tuple[float, int, bytes, Request]] = []
        self._feed(Allotted(50, 32 * MIB))
        contacts = tuple(Contact(peer, _at(peer)) for peer in rates)
        self._feed(SourcesFound(ROOT, contacts))
        for peer in rates:
            self._feed(LinkUp(peer, Door.BULK, _at(peer), _at(peer), inbound=False))
            self.hears(peer, Bitfield(ROOT))
            self.hears(peer, Unchoke(ROOT))

    def hears(self, peer: bytes, message: Bitfield | Unchoke) -> None:
        """A source says this."""
        self._feed(Received(peer, message, None))

    def order(self, event: Event) -> None:
        """Something is decided about it."""
        self._feed(event)

    def run(self, seconds: float = 10_000.0) -> None:
        """Let this much time pass, or all that is needed."""
        end = self.now + seconds
        while not self.pieces.complete:
            wake = self.core.wakeup()
            wake = float("inf") if wake is None else max(wake, self.now)
            arrives = self._heap[0][0] if self._heap else float("inf")
            if min(wake, arrives) > end:
                self.now = end
                break
            if wake < arrives:
                self.now = wake
                self._feed(Woke())
            else:
                self.now, _, peer, request = heapq.heappop(self._heap)
                self._arrives(peer, request)

    def _arrives(self, peer: bytes, request: Request) -> None:
        self._busy.pop(peer)
        self._send_next(peer)
        data = memoryview(bytes(request.length))
        self._feed(Received(peer, Piece(ROOT, request.offset), data))

    def _send_next(self, peer: bytes) -> None:
        """A source sends one request after the other, each at its rate."""
        if peer not in self._busy and self._owed[peer]:
            self._busy[peer] = None
            request = self._owed[peer].pop(0)
            at = self.now + request.length / self.rates[peer]
            heapq.heappush(self._heap, (at, next(self._count), peer, request))

    def _feed(self, event: Event) -> None:
        for effect in self.core.handle(event, self.now):
            self._perform(effect)

    def _perform(self, effect: Effect) -> None:
        if isinstance(effect, Send) and isinstance(effect.message, Request):
            request = effect.message
            self.asked.append((self.now, effect.peer, request))
            self._owed[effect.peer].append(request)
            self._send_next(effect.peer)
        elif isinstance(effect, Send) and isinstance(effect.message, Cancel):
            offset, owed = effect.message.offset, self._owed[effect.peer]
            self._owed[effect.peer] = [each for each in owed if each.offset != offset]
        elif isinstance(effect, WritePieces):
            first = effect.offset // piece_size_bytes(self.size)
            count = -(-len(effect.data) // piece_size_bytes(self.size))
            self._feed(PiecesWritten(1, tuple(range(first, first + count)), ()))
            ready = min(self.pieces.prefix * piece_size_bytes(self.size), self.size)
            if ready > self.prefixes[-1][1]:
                self.prefixes.append((self.now, ready))


def _at(peer: bytes) -> Address:
    return Address.of(f"10.0.0.{peer[0]}", 1215)


def wait_s(swarm: Swarm, bytes_per_s: float) -> float:
    """How long a player of so many bytes a second must wait before it begins, so that it never
    stands still later: each stretch has to be proven when it comes to it."""
    steps = itertools.pairwise(swarm.prefixes)
    return max(at - ready / bytes_per_s for (_, ready), (at, _) in steps)


def proven(swarm: Swarm) -> int:
    """How many bytes are proven from the first on."""
    return swarm.prefixes[-1][1]


RATES = {b"a" * 32: 2e6, b"b" * 32: 1e6, b"c" * 32: 5e5, b"d" * 32: 5e4}


def test_a_player_can_begin_at_once_where_the_sources_are_fast_enough() -> None:
    """Four sources of very unlike speed, 3.55 MB/s in all, feed a film of 2.5 MB/s from the third
    second on; not in order it would begin ten times later. Little is asked for twice, and
    the whole file takes no longer."""
    streamed = Swarm(64 * MIB, RATES, is_streamed=True)
    streamed.run()
    at_random = Swarm(64 * MIB, RATES, is_streamed=False)
    at_random.run()
    assert wait_s(streamed, 2.5e6) <= 3.0
    assert wait_s(at_random, 2.5e6) >= 10 * wait_s(streamed, 2.5e6)
    assert sum(each.length for _, _, each in streamed.asked) <= 1.05 * streamed.size
    assert streamed.now <= 1.05 * at_random.now


def test_the_bytes_come_in_order() -> None:
    """What is proven behind the first gap never exceeds the window and what is on its way."""
    swarm = Swarm(32 * MIB, RATES, is_streamed=True)
    while not swarm.pieces.complete:
        swarm.run(0.25)
        beyond = swarm.pieces.count(State.DONE) - swarm.pieces.prefix
        rate = sum(RATES.values())
        assert beyond * piece_size_bytes(swarm.size) <= max(rate * AHEAD_S, AHEAD_BYTES_MIN) * 1.5
    readies = [ready for _, ready in swarm.prefixes]
    assert readies == sorted(readies)
    assert readies[-1] == swarm.size


def test_what_is_needed_now_and_late_is_asked_of_another_too() -> None:
    """A source that falls silent owes the next pieces: another brings them long before it is
    given up, and no piece is asked of three."""
    swarm = Swarm(16 * MIB, {b"a" * 32: 1e6, b"b" * 32: 1e6}, is_streamed=True)
    swarm.run(2.0)
    swarm.rates[b"a" * 32] = 1e-3  # from now on
    held = proven(swarm)
    late_s = SwarmConfig().request_s * ENDGAME_SHARE
    swarm.run(3 * late_s)
    assert proven(swarm) > held + MIB
    assert all(len(swarm.pieces.owners(piece)) <= 2 for piece in range(len(swarm.pieces)))


def test_a_source_without_the_next_pieces_gives_what_it_has() -> None:
    """Beyond the window everything goes as always: nobody who has something lies idle."""
    swarm = Swarm(16 * MIB, {b"a" * 32: 1e6, b"b" * 32: 1e6}, is_streamed=True)
    count = len(swarm.pieces)
    tail = bytes(count - 100) + bytes([1] * 100)
    bits = int("".join(map(str, tail)), 2).to_bytes(count // 8, "big")
    swarm.hears(b"b" * 32, Bitfield(ROOT, bits))
    before_it = len(swarm.asked)
    swarm.run(5.0)
    first = count - 100
    told = [each for _, peer, each in swarm.asked[before_it:] if peer == b"b" * 32]
    assert told
    assert all(each.offset >= first * piece_size_bytes(swarm.size) for each in told[4:])


def test_it_can_be_decided_while_it_is_fetched() -> None:
    """From then on it comes in order."""
    swarm = Swarm(32 * MIB, RATES, is_streamed=False)
    swarm.run(3.0)
    there = proven(swarm)
    swarm.order(Streamed())
    swarm.run(3.0)
    assert proven(swarm) >= there + 2 * sum(RATES.values())


@pytest.mark.parametrize("marks", [(1, 1), (0, 1), (1, 0)])
def test_a_window_without_missing_pieces_changes_nothing(marks: tuple[int, ...]) -> None:
    """Where all of it is asked for, the choice is the usual one."""
    missing = BitMap(range(100, 200))
    usual = [Picker(COUNT * PIECE, Random(1)).choose(missing, None, PIECE) for _ in range(3)]
    has = marked(bytes(marks))
    picked = [
        Picker(COUNT * PIECE, Random(1)).choose(missing, None, PIECE, range(len(has) + 1))
        for _ in range(3)
    ]
    assert picked == usual
