"""Serving pieces: who may ask, for what, and what comes back."""

from random import Random

import pytest

from common.addresses import Address
from common.config import SwarmConfig
from common.content.merkle import verify_layer
from common.core import Effect, Event, Hangup, LinkDown, LinkUp, Received, Send, Sent, Stopped, Woke
from common.doors import Door
from common.ids import Identity
from common.limits import OPEN_REQUESTS_MAX
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
from common.storage import (
    BytesRead,
    FilesShared,
    FilesUnshared,
    FollowShare,
    ReadFailed,
    ReadShared,
    RememberLine,
    Restored,
)
from leaf.downloads.downloads import Downloads
from leaf.library.library import Library
from leaf.links.links import BulkLinks
from leaf.signals import SourcesFound, Withdrawn
from leaf.uploads.budget import LEAF_BYTES_MAX, STALLED_S
from leaf.uploads.ledger import Ledger
from leaf.uploads.slots import Change, Slots, Waits, Weight
from leaf.uploads.stock import Stock
from leaf.uploads.upload import Uploads
from leaf.uploads.wants import PROOFS_EACH
from tests.memory_disk import MemoryDisk, shared, tree_of

DATA = Random(1).randbytes(100_000)  # 7 pieces
TREE = tree_of(DATA)
ROOT = TREE.root
A, B, C = b"a" * 32, b"b" * 32, b"c" * 32
SLOT_IDLE_S = SwarmConfig().slot_idle_s


class Serving:
    """Uploads with one shared file on a disk in memory."""

    def __init__(self, slots: int = 1) -> None:
        config = SwarmConfig(upload_slots=slots)
        self.disk = MemoryDisk()
        self.disk.shares["/share"] = {"file.bin": DATA}
        self.library = Library(("/share",))
        self.library.handle(Restored(), 0.0)
        for event in self.disk.perform(FollowShare("/share")):
            self.library.handle(event, 0.0)
        self.links = BulkLinks(config)
        downloads = Downloads(
            me=Identity(bytes(32)).node,
            folder="/downloads",
            library=self.library,
            links=self.links,
            config=config,
            rng=Random(1),
        )
        self.ledger = Ledger(config)
        stock = Stock(self.library, downloads)
        self.uploads = Uploads(stock, self.links, self.ledger, config, Random(1))

    def says(self, peer: bytes, message: Message, now: float = 0.0) -> list[Effect]:
        """What a message causes."""
        return self.feed(Received(peer, message), now)

    def feed(self, event: Event, now: float) -> list[Effect]:
        """What an event causes, in the turn that begins with it."""
        effects = self.uploads.handle(event, now)
        while (due := self.uploads.wakeup()) is not None and due <= now:
            effects += self.uploads.handle(Woke(), now)
        return effects

    def read(self, effects: list[Effect]) -> list[Effect]:
        """Let the disk answer."""
        events: list[Event] = []
        for effect in effects:
            if self.disk.performs(effect):
                events += self.disk.perform(effect)
        return [out for event in events for out in self.uploads.handle(event, 0.0)]


def plain(effects: list[Effect]) -> list[Effect]:
    """Without what is shown or remembered."""
    shown = (Bitfield, Have)
    return [
        each
        for each in effects
        if not isinstance(each, RememberLine)
        if not (isinstance(each, Send) and isinstance(each.message, shown))
    ]


def test_a_request_is_answered_with_its_bytes() -> None:
    """Interest brings a bit field and a slot; a request the bytes that were asked for."""
    serving = Serving()
    assert serving.says(A, Interested(ROOT, len(DATA))) == [
        Send(A, Bitfield(ROOT)),
        Send(A, Unchoke(ROOT)),
    ]
    effects = serving.says(A, Request(ROOT, 32768, len(DATA) - 32768))
    assert serving.read(effects) == [Send(A, Piece(ROOT, 32768), memoryview(DATA)[32768:])]


def test_who_wants_what_we_have_is_a_source_of_it() -> None:
    """Whoever wants what we lack wholly is not: two that have nothing would ask each other on."""
    serving = Serving()
    here = Address.of("10.0.0.1", 1215)
    serving.links.handle(LinkUp(A, Door.BULK, here, here, inbound=True), 0.0)
    found = SourcesFound(ROOT, (Contact(A, here),))
    assert found in serving.says(A, Interested(ROOT, len(DATA)))
    assert serving.says(A, Interested(bytes(32), 5)) == [Send(A, Reject(bytes(32), "not_here"))]


def test_slots_go_to_who_waited_longest() -> None:
    """One slot: the second leaf is choked until the first leaves, and its requests are refused."""
    serving = Serving(slots=1)
    serving.says(A, Interested(ROOT, len(DATA)))
    assert Send(B, Choke(ROOT, 1, 60)) in serving.says(B, Interested(ROOT, len(DATA)))
    refused = [Send(B, Reject(ROOT, "choked", 0))]
    assert serving.says(B, Request(ROOT, 0, 16384)) == refused
    assert plain(serving.says(A, NotInterested(ROOT))) == [Send(B, Unchoke(ROOT))]
    serving.says(A, Interested(ROOT, len(DATA)))
    gone = serving.feed(LinkDown(B, Door.BULK, "gone"), 0.0)
    assert plain(gone) == [Send(A, Unchoke(ROOT))]


def test_a_slot_that_nobody_uses_goes_to_who_waits() -> None:
    """Who has a slot and asks for nothing comes last, and comes up again the same way."""
    serving = Serving(slots=1)
    for peer in (A, B):
        serving.says(peer, Interested(ROOT, len(DATA)))
    due = serving.uploads.wakeup()
    assert due is not None and due <= SLOT_IDLE_S
    swapped = serving.feed(Woke(), SLOT_IDLE_S)
    assert plain(swapped) == [Send(A, Choke(ROOT, 1, 50)), Send(B, Unchoke(ROOT))]
    serving.feed(Received(B, Request(ROOT, 0, 16384)), SLOT_IDLE_S + 1)
    assert plain(serving.feed(Woke(), 2 * SLOT_IDLE_S)) == []
    serving.feed(Received(B, NotInterested(ROOT)), 2 * SLOT_IDLE_S)
    assert serving.uploads.served == 1


def test_a_choke_answers_all_that_was_asked() -> None:
    """What the disk brings for a leaf that has lost its slot is not sent."""
    serving = Serving(slots=1)
    for peer in (A, B):
        serving.says(peer, Interested(ROOT, len(DATA)))
    reads = serving.says(A, Request(ROOT, 0, 16384))
    later = SwarmConfig().slot_s
    effects = serving.feed(Woke(), later)
    assert plain(effects) == [Send(A, Choke(ROOT, 1, 60)), Send(B, Unchoke(ROOT))]
    assert serving.read(reads) == []


def test_who_waits_hears_where_it_stands() -> None:
    """The place and the time are told at once, and again when they change."""
    serving = Serving(slots=1)
    serving.says(A, Interested(ROOT, len(DATA)))
    serving.says(B, Interested(ROOT, len(DATA)))
    assert Send(C, Choke(ROOT, 2, 120)) in serving.says(C, Interested(ROOT, len(DATA)))
    serving.says(A, Request(ROOT, 0, 16384))
    serving.says(B, NotInterested(ROOT))
    told = [each for t in (10.0, 20.0) for each in serving.feed(Woke(), t)]
    assert Send(C, Choke(ROOT, 1, 60)) in told
    assert told.count(Send(C, Choke(ROOT, 1, 60))) == 1


def test_a_place_in_the_line_survives_a_lost_link_and_a_restart() -> None:
    """Who was first in the line is first again; who comes too late is last."""
    serving = Serving(slots=1)
    for peer in (A, B):
        serving.says(peer, Interested(ROOT, len(DATA)))
    serving.feed(LinkDown(B, Door.BULK, "gone"), 0.0)
    serving.says(C, Interested(ROOT, len(DATA)), 1.0)
    assert Send(B, Choke(ROOT, 1, 60)) in serving.says(B, Interested(ROOT, len(DATA)), 2.0)
    (remembered,) = serving.uploads.handle(Stopped(5.0), 30.0)
    assert isinstance(remembered, RememberLine)
    again = Serving(slots=1)
    again.uploads.handle(Restored(line=remembered.places), 0.0)
    for peer in (A, C):
        again.says(peer, Interested(ROOT, len(DATA)), 1.0)
    assert Send(B, Choke(ROOT, 1, 60)) in again.says(B, Interested(ROOT, len(DATA)), 2.0)


def test_who_takes_nothing_is_hung_up_on() -> None:
    """Where others wait, who has taken nothing for `request_s` loses the link."""
    big = bytes(64 * 2**20)
    serving = Serving(slots=2)
    serving.library.handle(FilesShared((shared("big.bin", big),)), 0.0)
    root = tree_of(big).root
    serving.says(A, Interested(root, len(big)))
    for number in range(2):
        serving.says(A, Request(root, number * 2**20, 2**20))
    hangups: list[Effect] = []
    while not hangups:
        due = serving.uploads.wakeup()
        assert due is not None
        hangups = [e for e in serving.feed(Woke(), due) if isinstance(e, Hangup)]
    assert hangups == [Hangup(A, Door.BULK, "takes nothing")]


def test_unknown_files_are_refused() -> None:
    """Another root, or the same with another size, is not here."""
    serving = Serving()
    other = bytes(32)
    assert serving.says(A, Interested(other, 5)) == [Send(A, Reject(other, "not_here"))]
    assert serving.says(A, Interested(ROOT, 5)) == [Send(A, Reject(ROOT, "not_here"))]


@pytest.mark.parametrize(
    ("offset", "length"), [(1, 16384), (0, 100), (0, 2**20), (98304, 16384), (2**40, 16384)]
)
def test_a_request_for_parts_of_pieces_ends_the_link(offset: int, length: int) -> None:
    """Whole pieces inside the file, or a hang-up."""
    serving = Serving()
    serving.says(A, Interested(ROOT, len(DATA)))
    (end,) = serving.says(A, Request(ROOT, offset, length))
    assert isinstance(end, Hangup)


def test_a_cancelled_request_brings_nothing() -> None:
    """Bytes that come from the disk after a cancel, or after the link is gone, are not sent."""
    serving = Serving()
    serving.says(A, Interested(ROOT, len(DATA)))
    reads = serving.says(A, Request(ROOT, 0, 16384)) + serving.says(A, Request(ROOT, 16384, 16384))
    serving.says(A, Cancel(ROOT, 0))
    assert [send.message for send in serving.read(reads)] == [Piece(ROOT, 16384)]  # type: ignore[attr-defined]


def test_reads_and_requests_are_bounded() -> None:
    """No more bytes are read ahead than the limit, and no more requests kept than the limit."""
    big = bytes(200 * 2**20)
    serving = Serving()
    serving.library.handle(FilesShared((shared("big.bin", big),)), 0.0)
    root = tree_of(big).root
    serving.says(A, Interested(root, len(big)))
    effects: list[Effect] = []
    for number in range(OPEN_REQUESTS_MAX):
        effects += serving.says(A, Request(root, number * 2**20, 2**20))
    assert len(effects) == 1  # nothing has left yet, so nobody knows how fast it leaves
    offset = OPEN_REQUESTS_MAX * 2**20
    refused = [Send(A, Reject(root, "too_many", offset))]
    assert serving.says(A, Request(root, offset, 2**20)) == refused
    sent = serving.feed(BytesRead(1, memoryview(bytes(2**20))), 0.0)
    assert [type(effect) for effect in sent] == [Send]
    more = serving.feed(Sent(A, 2**20), 0.01)
    assert len(more) == LEAF_BYTES_MAX // 2**20  # 100 MB/s: as much as a leaf ever has


def test_a_leaf_that_takes_nothing_holds_nobody_else_up() -> None:
    """What one does not take is read no further for it; soon another is read for."""
    big = bytes(64 * 2**20)
    serving = Serving(slots=2)
    serving.library.handle(FilesShared((shared("big.bin", big),)), 0.0)
    root = tree_of(big).root
    for peer in (A, B):
        serving.says(peer, Interested(root, len(big)))
    for number in range(20):
        serving.says(A, Request(root, number * 2**20, 2**20))
    assert plain(serving.says(B, Request(root, 0, 2**20))) == []
    due = serving.uploads.wakeup()
    while due is not None and due < STALLED_S:
        serving.feed(Woke(), due)
        due = serving.uploads.wakeup()
    (read,) = plain(serving.feed(Woke(), STALLED_S))
    assert isinstance(read, ReadShared)
    (sent,) = serving.feed(BytesRead(read.read, memoryview(bytes(2**20))), STALLED_S)
    assert isinstance(sent, Send)
    assert sent.peer == B


@pytest.mark.parametrize(("kind", "reason"), [("changed", "changed"), ("x", "disk")])
def test_a_failed_read_is_rejected(kind: str, reason: str) -> None:
    """The asker hears why."""
    serving = Serving()
    serving.says(A, Interested(ROOT, len(DATA)))
    serving.says(A, Request(ROOT, 0, 16384))
    rejected = [Send(A, Reject(ROOT, reason, 0))]  # type: ignore[arg-type]
    assert serving.feed(ReadFailed(1, kind), 0.0) == rejected


def test_piece_hashes_come_with_their_proof() -> None:
    """A tree request is answered by hashes that lead to the root; the layer is read once."""
    serving = Serving(slots=2)
    for peer in (A, B):
        serving.says(peer, Interested(ROOT, len(DATA)))
    reads = serving.says(A, TreeRequest(ROOT, 0, 4))
    assert serving.says(B, TreeRequest(ROOT, 4, 4)) == []
    answers = serving.read(reads)
    assert len(answers) == 2
    for send in answers:
        assert isinstance(send, Send)
        assert isinstance(send.message, TreeHashes)
        hashes = bytes(send.data or b"")
        assert verify_layer(ROOT, len(DATA), send.message.first, hashes, send.message.proof)
    (end,) = serving.says(A, TreeRequest(ROOT, 1, 4))
    assert isinstance(end, Hangup)


def test_a_withdrawn_file_is_gone_for_all() -> None:
    """Who waits for a file that we no longer have is told so."""
    serving = Serving()
    serving.says(A, Interested(ROOT, len(DATA)))
    assert serving.feed(Withdrawn(ROOT), 0.0) == []  # another share has it still
    told = serving.library.handle(FilesUnshared("/share", ("file.bin",)), 0.0)
    assert Withdrawn(ROOT) in told
    assert serving.feed(Withdrawn(ROOT), 0.0) == [Send(A, Reject(ROOT, "gone"))]
    assert serving.uploads.served == 0


def test_asking_again_for_less_is_answered_with_less() -> None:
    """The bytes of a cancelled request never answer a later one for the same place."""
    serving = Serving()
    serving.says(A, Interested(ROOT, len(DATA)))
    first = serving.says(A, Request(ROOT, 0, 65_536))
    serving.says(A, Cancel(ROOT, 0))
    second = serving.says(A, Request(ROOT, 0, 16_384))
    assert second == []  # it comes next
    again = serving.read(first)
    assert serving.read(again) == [Send(A, Piece(ROOT, 0), memoryview(DATA)[:16_384])]


def test_requests_that_are_taken_back_leave_room_for_others() -> None:
    """One leaf that asks and cancels without end fills no line: another is served as before."""
    big = bytes(64 * 2**20)
    serving = Serving(slots=2)
    serving.library.handle(FilesShared((shared("big.bin", big),)), 0.0)
    root = tree_of(big).root
    for peer in (A, B):
        serving.says(peer, Interested(root, len(big)))
    serving.says(A, Request(root, 0, 2**20))
    for _ in range(10_000):
        assert plain(serving.says(A, Request(root, 2**20, 2**20))) == []
        serving.says(A, Cancel(root, 2**20))
    assert plain(serving.says(B, Request(root, 0, 2**20))) == []  # it waits, and is not refused


def test_hashes_are_not_given_out_without_end() -> None:
    """A few times each range; who goes on is hung up on."""
    serving = Serving()
    serving.says(A, Interested(ROOT, len(DATA)))
    answers = [serving.read(serving.says(A, TreeRequest(ROOT, 0, 8))) for _ in range(1)]
    answers += [serving.says(A, TreeRequest(ROOT, 0, 8)) for _ in range(PROOFS_EACH)]
    assert answers[-1] == [Hangup(A, Door.BULK, "asks for the same hashes again and again")]


def test_a_frame_full_of_changes_has_the_line_decided_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However many come and go in one turn of the loop; then all hear where they stand."""
    serving, decided = Serving(slots=2), list[float]()
    settle = Slots.settle

    def counted(self: Slots, waits: Waits, weight: Weight, now: float) -> Change:
        decided.append(now)
        return settle(self, waits, weight, now)

    monkeypatch.setattr(Slots, "settle", counted)
    crowd = [bytes((number,)) * 32 for number in range(1, 101)]
    for peer in crowd[:3]:
        serving.says(peer, Interested(ROOT, len(DATA)))
    before = len(decided)
    for peer in crowd[3:]:
        for message in (Interested(ROOT, len(DATA)), NotInterested(ROOT)) * 5:
            serving.uploads.handle(Received(peer, message), 1.0)
        serving.uploads.handle(Received(peer, Interested(ROOT, len(DATA))), 1.0)
    assert len(decided) == before
    told = serving.feed(Woke(), 1.0)
    assert len(decided) == before + 1
    places = [each for each in told if isinstance(each, Send) and isinstance(each.message, Choke)]
    assert [each.peer for each in places] == crowd[3:]
