"""The conversation of a download with its sources, word by word."""

from random import Random

import pytest

from common.addresses import Address
from common.config import SwarmConfig
from common.content.merkle import piece_count, piece_span
from common.core import Dial, Effect, Event, Hangup, LinkDown, LinkUp, Received, Send, Woke
from common.doors import Door
from common.limits import REQUEST_BYTES_MAX
from common.messages.fields import Contact, Message
from common.messages.swarm import (
    Bitfield,
    Cancel,
    Choke,
    Have,
    Interested,
    NotInterested,
    Piece,
    Reject,
    Request,
    TreeHashes,
    TreeRequest,
    Unchoke,
)
from common.storage import KeepLayer, PiecesWritten, WritePieces
from leaf.links.links import BulkLinks
from leaf.signals import Allotted, PiecesProven, SourcesFound, SourcesUnwanted, SourcesWanted
from leaf.swarm.fetch import Fetch
from leaf.swarm.pieces import Pieces, State
from leaf.swarm.source import REQUEST_BYTES_FIRST, REQUEST_S, WINDOW_S
from leaf.swarm.sources import PUSH_S, SOURCES_ENOUGH, SOURCES_MAX, TRIES_MAX
from tests.memory_disk import tree_of

MIB = 1024 * 1024
DATA = Random(1).randbytes(3 * MIB)
TREE = tree_of(DATA)
ROOT = TREE.root
PIECES = piece_count(len(DATA))
PER_REQUEST = REQUEST_BYTES_FIRST // 16384  # pieces in a first request
A, B = b"a" * 32, b"b" * 32
CONFIG = SwarmConfig()


def at(peer: bytes) -> Address:
    """Where a source is."""
    return Address.of(f"10.0.0.{peer[0]}", 1215)


class Fetching:
    """A `Fetch` that knows its layer, unless told otherwise."""

    def __init__(
        self, *, size: int = len(DATA), layer: bytes = TREE.layer, bytes_max: int = 64 * MIB
    ) -> None:
        self.now = 0.0
        self.links = BulkLinks(CONFIG)
        self.pieces = Pieces(bytes(piece_count(size)))
        self.core = Fetch(
            number=1,
            root=ROOT,
            size=size,
            pieces=self.pieces,
            layer=layer,
            links=self.links,
            config=CONFIG,
            rng=Random(1),
            now=0.0,
        )
        self.feed(Allotted(10, bytes_max))

    def feed(self, event: Event) -> list[Effect]:
        """What an event causes."""
        return self.core.handle(event, self.now)

    def find(self, *peers: bytes) -> list[Effect]:
        """These are said to have the file."""
        return self.feed(SourcesFound(ROOT, tuple(Contact(peer, at(peer)) for peer in peers)))

    def link(self, peer: bytes) -> list[Effect]:
        """The link to a source is there."""
        return self.feed(LinkUp(peer, Door.BULK, at(peer), at(peer), inbound=False))

    def hears(self, peer: bytes, message: Message, data: bytes | None = None) -> list[Effect]:
        """A source says this."""
        return self.feed(Received(peer, message, None if data is None else memoryview(data)))

    def ready(self, peer: bytes, bits: bytes = b"") -> list[Effect]:
        """From finding a source to what is first asked of it."""
        self.find(peer)
        self.link(peer)
        return self.hears(peer, Bitfield(ROOT, bits)) + self.hears(peer, Unchoke(ROOT))

    def answers(self, peer: bytes, request: Request) -> list[Effect]:
        """A source sends what was asked for."""
        data = DATA[request.offset : request.offset + request.length]
        return self.hears(peer, Piece(ROOT, request.offset), data)

    def wait(self, seconds: float) -> list[Effect]:
        """What the time causes."""
        end, effects = self.now + seconds, []
        while (due := self.core.wakeup()) is not None and due <= end:
            self.now = max(due, self.now)
            effects += self.feed(Woke())
        self.now = end
        return effects


def requests(effects: list[Effect], peer: bytes = A) -> list[Request]:
    """What is asked of a source."""
    sent = [each for each in effects if isinstance(each, Send) and each.peer == peer]
    return [each.message for each in sent if isinstance(each.message, Request)]


def hung_up(effects: list[Effect]) -> list[bytes]:
    """On whom we hang up."""
    return [effect.peer for effect in effects if isinstance(effect, Hangup)]


def test_from_a_contact_to_requests() -> None:
    """Dial, say what we want, and ask once there is a bit field and a slot."""
    fetching = Fetching()
    assert Dial(A, at(A), Door.BULK) in fetching.find(A)
    assert Send(A, Interested(ROOT, len(DATA))) in fetching.link(A)
    assert requests(fetching.hears(A, Bitfield(ROOT))) == []
    asked = requests(fetching.hears(A, Unchoke(ROOT)))
    assert [each.length for each in asked] == [REQUEST_BYTES_FIRST, REQUEST_BYTES_FIRST]


def test_a_link_that_is_there_is_not_dialled() -> None:
    """A leaf that is linked already is told at once."""
    fetching = Fetching()
    fetching.links.handle(LinkUp(A, Door.BULK, at(A), at(A), inbound=True), 0.0)
    assert Send(A, Interested(ROOT, len(DATA))) in fetching.find(A)


def test_a_second_bit_field_pays_no_debt() -> None:
    """Who shows again what it has and sends no hashes is given up like any other."""
    fetching = Fetching(layer=b"")
    fetching.ready(A)
    assert fetching.hears(A, Bitfield(ROOT, b"")) == []
    assert hung_up(fetching.wait(4 * CONFIG.request_s)) == [A]


def test_the_layer_comes_first_and_is_kept() -> None:
    """No piece is asked for before its hashes are proven."""
    fetching = Fetching(layer=b"")
    assert Send(A, TreeRequest(ROOT, 0, 256)) in fetching.ready(A)
    effects = fetching.hears(A, TreeHashes(ROOT, 0), TREE.layer)
    assert KeepLayer(1, TREE.layer) in effects
    assert requests(effects)


def test_what_comes_is_written_and_told_when_it_holds() -> None:
    """A piece counts once the disk has proven and stored it."""
    fetching = Fetching()
    request = requests(fetching.ready(A))[0]
    effects = fetching.answers(A, request)
    (write,) = [each for each in effects if isinstance(each, WritePieces)]
    assert (write.offset, len(write.data)) == (request.offset, request.length)
    first = request.offset // 16384
    done = tuple(range(first, first + PER_REQUEST))
    assert PiecesProven(ROOT, PIECES * 16384, done) in fetching.feed(PiecesWritten(1, done, ()))
    assert fetching.pieces.count(State.DONE) == PER_REQUEST
    assert list(fetching.core.givers) == [A]


def test_wrong_bytes_end_it_with_their_sender() -> None:
    """Who sent them is hung up on, what it owed goes to others, and it is never taken up again."""
    fetching = Fetching()
    asked = requests(fetching.ready(A))
    fetching.ready(B)
    fetching.answers(A, asked[0])
    first = asked[0].offset // 16384
    effects = fetching.feed(PiecesWritten(1, (), tuple(range(first, first + PER_REQUEST))))
    assert hung_up(effects) == [A]
    assert A not in [each for _, owners in _owned(fetching.pieces) for each in owners]
    assert list(fetching.core.sources.liars) == [A]
    assert not [each for each in fetching.find(A) if isinstance(each, Dial)]


def _owned(pieces: Pieces) -> list[tuple[int, tuple[bytes, ...]]]:
    return [(piece, pieces.owners(piece)) for piece in range(len(pieces))]


@pytest.mark.parametrize(
    ("message", "data"),
    [
        (Piece(ROOT, 5), b"x"),
        (Piece(ROOT, 2 * MIB + 16384), b"x" * MIB),
        (Bitfield(ROOT, b"\xff"), None),
        (Have(ROOT, PIECES), None),
    ],
)
def test_who_breaks_the_rules_is_hung_up_on(message: Message, data: bytes | None) -> None:
    """Pieces nobody asked for, odd bit fields, pieces beyond the end; that makes no liar."""
    fetching = Fetching()
    fetching.ready(A)
    assert hung_up(fetching.hears(A, message, data)) == [A]
    assert not fetching.core.sources.liars
    assert [each for each in fetching.wait(60.0) if isinstance(each, Dial)]


def test_what_was_asked_for_before_a_pause_is_dropped() -> None:
    """Until the bit field answers our interest, pieces belong to an earlier conversation."""
    fetching = Fetching()
    fetching.find(A)
    fetching.link(A)
    assert fetching.hears(A, Piece(ROOT, 0), DATA[:16384]) == []
    assert requests(fetching.hears(A, Bitfield(ROOT)) + fetching.hears(A, Unchoke(ROOT)))


def test_wrong_piece_hashes_end_it_and_late_ones_do_not() -> None:
    """Hashes that do not lead to the root are a lie; those no longer awaited are not looked at."""
    fetching = Fetching(layer=b"")
    fetching.ready(A)
    assert fetching.hears(A, TreeHashes(ROOT, 256), b"x") == []
    assert hung_up(fetching.hears(A, TreeHashes(ROOT, 0), bytes(len(TREE.layer)))) == [A]
    assert list(fetching.core.sources.liars) == [A]


def test_a_piece_of_another_length_is_refused() -> None:
    """A request is answered by all of its bytes or not at all."""
    fetching = Fetching()
    (request, _) = requests(fetching.ready(A))
    assert hung_up(fetching.hears(A, Piece(ROOT, request.offset), b"short")) == [A]


def test_partial_sources_are_asked_for_what_they_have() -> None:
    """Only that, and more as they get it."""
    fetching = Fetching()
    bits = b"\x80" + bytes(PIECES // 8 - 1)
    assert requests(fetching.ready(A, bits)) == [Request(ROOT, 0, 16384)]
    more = requests(fetching.hears(A, Have(ROOT, 100)))
    assert more == [Request(ROOT, 100 * 16384, 16384)]
    assert requests(fetching.hears(A, Have(ROOT, 100))) == []


def test_who_has_nothing_for_us_gives_its_link_to_another() -> None:
    """Where links are scarce; one that still has a piece that we lack keeps it."""
    fetching = Fetching()
    fetching.feed(Allotted(1, 64 * MIB))
    bits = b"\x80" + bytes(PIECES // 8 - 1)
    (request,) = requests(fetching.ready(A, bits))
    assert fetching.find(B) == []
    fetching.answers(A, request)
    fetching.feed(PiecesWritten(1, (0,), ()))
    effects = fetching.find(B)
    assert effects[:2] == [Send(A, NotInterested(ROOT)), Dial(B, at(B), Door.BULK)]
    fetching.wait(PUSH_S)  # the dial is not answered: B is to dial us
    assert fetching.wait(60.0) == []  # A is tried again, once there is a link for it


def test_a_choke_gives_everything_back() -> None:
    """What a choking source owes is asked of others; what still comes is taken."""
    fetching = Fetching()
    asked = requests(fetching.ready(A))
    fetching.hears(A, Choke(ROOT))
    assert fetching.pieces.count(State.ASKED) == 0
    assert requests(fetching.ready(B), B)
    late = fetching.answers(A, asked[0])
    assert [each for each in late if isinstance(each, WritePieces)]
    assert hung_up(late) == []


@pytest.mark.parametrize("reason", ["gone", "changed", "not_here", "disk"])
def test_a_reject_ends_a_source(reason: str) -> None:
    """Who cannot serve is let go without blame, and may be found again."""
    fetching = Fetching()
    request = requests(fetching.ready(A))[0]
    effects = fetching.hears(A, Reject(ROOT, reason, request.offset))  # type: ignore[arg-type]
    assert Send(A, NotInterested(ROOT)) in effects
    assert hung_up(effects) == []
    assert fetching.pieces.count(State.ASKED) == 0
    assert fetching.find(A) != []


def test_who_is_asked_for_too_much_is_asked_for_less() -> None:
    """`too_many` takes one request back and narrows the window."""
    fetching = Fetching()
    asked = requests(fetching.ready(A))
    assert fetching.hears(A, Reject(ROOT, "too_many", asked[1].offset)) == []
    assert fetching.pieces.count(State.ASKED) == PER_REQUEST


def test_what_a_silent_source_owes_goes_to_others() -> None:
    """After the request time it is cancelled and asked of another; the third time we hang up."""
    fetching = Fetching()
    asked = requests(fetching.ready(A))
    fetching.ready(B, bytes(PIECES // 8))  # has nothing yet
    effects = fetching.wait(CONFIG.request_s)
    assert [Send(A, Cancel(ROOT, each.offset)) for each in asked] == effects[:2]
    assert len(requests(effects)) == 1  # one at a time from now on
    assert hung_up(fetching.wait(3 * CONFIG.request_s)) == [A]


def test_slow_is_better_than_nobody() -> None:
    """The only source keeps its requests, and its late answer counts."""
    fetching = Fetching()
    asked = requests(fetching.ready(A))
    assert requests(fetching.wait(CONFIG.request_s)) == []
    assert [w for w in fetching.answers(A, asked[0]) if isinstance(w, WritePieces)]


def test_the_endgame_asks_twice_and_cancels() -> None:
    """When nothing is missing an idle source is asked too; the first answer cancels the other."""
    fetching = Fetching()
    asked = requests(fetching.ready(A))
    while fetching.pieces.count(State.MISSING):  # it is fast, and soon owes all that is left
        asked += requests(fetching.answers(A, asked.pop(0)))
    fetching.ready(B)
    assert fetching.pieces.count(State.MISSING) == 0
    doubled = requests(fetching.wait(CONFIG.request_s * 0.2), B)
    assert len(doubled) == 1
    effects = fetching.answers(B, doubled[0])
    assert Send(A, Cancel(ROOT, doubled[0].offset)) in effects
    late = fetching.answers(A, doubled[0])
    assert not [each for each in late if isinstance(each, WritePieces)]
    assert hung_up(late) == []


def test_links_that_fail_are_tried_a_few_times() -> None:
    """With growing pauses, then the source is forgotten; more sources are wanted meanwhile."""
    fetching = Fetching()
    fetching.find(A)
    dials = 1
    for _ in range(5):
        fetching.feed(LinkDown(A, Door.BULK, "refused"))
        dials += sum(isinstance(each, Dial) for each in fetching.wait(60.0))
    assert dials == TRIES_MAX


def test_sources_are_wanted_while_there_are_few() -> None:
    """Said once when they become too few, and once when there are enough."""
    fetching = Fetching()
    assert SourcesWanted(ROOT, len(DATA)) not in fetching.find()
    fetching.feed(Allotted(SOURCES_ENOUGH, 10**9))
    many = [bytes([number]) * 32 for number in range(1, SOURCES_ENOUGH + 1)]
    assert SourcesUnwanted(ROOT) in fetching.find(*many)
    assert SourcesWanted(ROOT, len(DATA)) in fetching.feed(LinkDown(many[0], Door.BULK, "x"))


def test_sources_are_bounded() -> None:
    """However many are named, only so many are kept."""
    fetching = Fetching()
    fetching.find(*[number.to_bytes(32, "little") for number in range(1, 250)])
    assert len(fetching.core.sources.contacts) == SOURCES_MAX


def test_nothing_is_asked_beyond_the_allotment() -> None:
    """What is asked for and not yet stored stays within it."""
    fetching = Fetching(bytes_max=REQUEST_BYTES_FIRST)
    (request,) = requests(fetching.ready(A))
    assert requests(fetching.answers(A, request)) == []
    first = request.offset // 16384
    effects = fetching.feed(PiecesWritten(1, tuple(range(first, first + PER_REQUEST)), ()))
    assert len(requests(effects)) == 1


def streamed(bytes_per_s: float, seconds: float) -> tuple[Fetching, list[Request]]:
    """A big file from one source of this speed: all that was asked, in order."""
    fetching = Fetching(size=1024 * MIB)
    waiting = requests(fetching.ready(A))
    asked = list(waiting)
    while fetching.now < seconds:
        request = waiting.pop(0)
        fetching.now += request.length / bytes_per_s
        new = requests(fetching.hears(A, Piece(ROOT, request.offset), bytes(request.length)))
        waiting += new
        asked += new
    return fetching, asked


@pytest.mark.parametrize("bytes_per_s", [10_000, 200_000, 1_000_000, 50_000_000])
def test_requests_and_window_follow_the_measured_rate(bytes_per_s: int) -> None:
    """A request takes half a second, what is owed a second; within the limits of both."""
    fetching, asked = streamed(bytes_per_s, 10.0 if bytes_per_s < 10_000_000 else 1.0)
    (source,) = fetching.core.sources
    piece = piece_span(1024 * MIB, 0)[1]
    assert asked[0].length == max(REQUEST_BYTES_FIRST // piece, 1) * piece
    expected = min(bytes_per_s * REQUEST_S, REQUEST_BYTES_MAX)
    assert max(expected * 0.8 - piece, piece) <= asked[-1].length <= max(expected * 1.2, piece)
    window = min(max(bytes_per_s * WINDOW_S, 2 * asked[-1].length), CONFIG.window_bytes)
    assert source.owed_bytes <= window * 1.2 + asked[-1].length
    assert source.owed_bytes >= min(window * 0.5, source.owed_bytes + 1 - piece)


def test_a_choke_does_not_count_as_slow() -> None:
    """A source that let us wait for a slot is as fast as before."""
    fetching, _ = streamed(50_000_000, 1.0)
    (source,) = fetching.core.sources
    before = source.request_bytes
    fetching.hears(A, Choke(ROOT))
    fetching.now += 600.0
    (request, *_) = requests(fetching.hears(A, Unchoke(ROOT)))
    fetching.now += request.length / 50_000_000
    fetching.hears(A, Piece(ROOT, request.offset), bytes(request.length))
    assert source.request_bytes == before
