"""Serving: who wants pieces of what we have, who may ask now, and what they are sent.

Invariant: a request is answered exactly once, by the bytes or by a reason, unless it was cancelled,
its leaf was choked, or its link is gone; and only bytes that the disk has just read from the proven
file are sent. Who is served says `leaf.uploads.slots`, who comes next `leaf.uploads.turns`, how far
ahead `leaf.uploads.budget`, what each is told `leaf.uploads.showing`. Who breaks the rules is hung
up on, and so is who takes nothing of what it asked for.
"""

from collections.abc import Callable, Iterable
from random import Random
from typing import ClassVar, Final

from common.config import SwarmConfig
from common.content.merkle import piece_count
from common.core import Effect, Event, Hangup, LinkDown, Received, Send, Sent, Stopped, Woke
from common.deadlines import Deadlines, soonest
from common.doors import Door
from common.ids import NodeId
from common.limits import OPEN_REQUESTS_MAX
from common.messages.fields import Message
from common.messages.swarm import (
    Cancel,
    Choke,
    Interested,
    NotInterested,
    Piece,
    Reason,
    Reject,
    Request,
    TreeRequest,
    Unchoke,
)
from common.storage import BytesRead, ReadFailed, Restored
from leaf.links.links import BulkLinks
from leaf.signals import Limited, PiecesProven, SourcesFound, Withdrawn
from leaf.swarm.download import Download
from leaf.uploads.budget import STALLED_S
from leaf.uploads.ledger import Ledger
from leaf.uploads.outlet import Outlet
from leaf.uploads.proofs import HASHES, Answer, Proofs
from leaf.uploads.remembered import RememberedLine
from leaf.uploads.showing import Showing
from leaf.uploads.slots import Slots
from leaf.uploads.stock import Stock
from leaf.uploads.turns import Key, Turn
from leaf.uploads.wants import Wants, Wish

LEAF_WAITING_MAX: Final = 4 * OPEN_REQUESTS_MAX  # requests of one leaf that the disk has not begun

_CHANGED: Final = "changed"
_STALLED: Final = "stalled"

_REASONS: Final[dict[str, Reason]] = {"changed": "changed", "gone": "gone"}


class Uploads:
    """Everybody who wants something of this leaf."""

    __slots__ = (
        *("_config", "_deadlines", "_last_read", "_ledger", "_line", "_links", "_newcomers"),
        *("_now", "_outlet", "_proofs", "_reads", "_showing", "_slots", "_stock", "_wants"),
    )

    def __init__(
        self, stock: Stock, links: BulkLinks, ledger: Ledger, config: SwarmConfig, rng: Random
    ) -> None:
        self._stock = stock
        self._links = links
        self._ledger = ledger
        self._config = config
        self._wants = Wants()
        self._slots = Slots(config, rng)
        self._line = RememberedLine(self._slots, config.ledger_s)
        self._newcomers: dict[NodeId, None] = {}  # who were not told yet where they stand
        self._showing = Showing(rng, self._waits_for_bytes, stock.has_all)
        self._proofs = Proofs()
        self._outlet = Outlet(links.caps.up, ledger.weight)  # requests the disk has not begun
        self._reads: dict[int, tuple[Key, int, int, float]] = {}  # key, offset, length, when
        self._last_read = 0
        self._deadlines = Deadlines()
        self._now = 0.0

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take in one event."""
        self._now = now
        return self._HANDLERS[type(event)](self, event, now)

    def wakeup(self) -> float | None:
        """When slots are decided anew, news are told, more may be read, or somebody stalled."""
        own, slots = self._deadlines.earliest(), self._slots.deadlines.earliest()
        shown, line = self._showing.deadlines.earliest(), self._line.deadlines.earliest()
        return soonest((self._outlet.opens_at, own, slots, shown, line))

    @property
    def served(self) -> int:
        """How many leaves have a slot."""
        return self._slots.served

    def are_awaited_by(self, peer: NodeId) -> bool:
        """Whether this leaf waits for us: for a slot, for bytes, or for pieces we do not have yet;
        one that has a slot and asks for nothing only as long as nobody else waits."""
        idles = self._slots.serve(peer) and self._slots.are_contended
        return peer in self._wants and (not idles or self._wants.waits(peer))

    def _waits_for_bytes(self, peer: NodeId) -> bool:
        """Whether it asked for some that it cannot have yet."""
        return self._wants.waits(peer) or self._outlet.is_under_way(peer)

    def is_asked_by(self, peer: NodeId, root: bytes) -> bool:
        """Whether this leaf wants this file of us."""
        return self._wants.find(peer, root) is not None

    # --- who wants what ---------------------------------------------------------------------

    def _received(self, event: Received, _now: float) -> list[Effect]:
        return self._MESSAGES[type(event.message)](self, event.peer, event.message)

    def _on_interested(self, peer: NodeId, message: Interested) -> list[Effect]:
        root = message.root
        held = self._stock.find(root, message.size)
        if held is None:
            return [Send(peer, Reject(root, "not_here"))]
        if not self._wants.has_room(peer, root):
            return [Send(peer, Reject(root, "too_many"))]
        was_served = self._slots.serve(peer)
        self._wants.add(peer, root, message.size)
        self._slots.join(peer, self._now)
        answer = self._showing.begin(peer, root, message.size, held, self._now) + self._changed()
        if not self._slots.serve(peer):
            self._newcomers[peer] = None
        elif was_served:
            answer += self._serve(peer, root)
        return answer + self._as_source(peer, root)

    def _as_source(self, peer: NodeId, root: bytes) -> list[Effect]:
        """Who wants a file of us will have pieces that we lack: a link serves both ends.

        Said only where we have some: two that have none would go on asking one another.
        """
        contact = self._links.contact(peer)
        return [] if contact is None else [SourcesFound(root, (contact,))]

    def _on_not_interested(self, peer: NodeId, message: NotInterested) -> list[Effect]:
        self._forget(peer, message.root)
        return self._changed()

    def _forget(self, peer: NodeId, root: bytes) -> None:
        self._showing.leave(peer, root)
        if self._wants.forget(peer, root):
            self._drop_turns(peer)
            self._slots.leave(peer)

    def _drop_turns(self, peer: NodeId) -> None:
        self._outlet.forget(peer)
        self._proofs.leave(peer)

    def _link_down(self, event: LinkDown, now: float) -> list[Effect]:
        if event.door is not Door.BULK:
            return []
        self._slots.drop(event.peer, now)
        self._outlet.drop(event.peer)
        for root, _ in self._wants.of(event.peer):
            self._forget(event.peer, root)
        return self._changed()

    def _limited(self, event: Limited, _now: float) -> list[Effect]:
        self._slots.allow(event.slots)
        return self._changed()

    def _proven(self, event: PiecesProven, now: float) -> list[Effect]:
        """What we have just got ourselves others may have too."""
        held = self._stock.find(event.root, event.size)
        return self._showing.proven(event, held, now) if isinstance(held, Download) else []

    def _withdrawn(self, event: Withdrawn, _now: float) -> list[Effect]:
        effects: list[Effect] = []
        for peer, wish in self._wants.of_file(event.root):
            if self._stock.find(event.root, wish.size) is None:
                self._forget(peer, event.root)
                effects.append(Send(peer, Reject(event.root, "gone")))
        return effects + self._changed()

    # --- who is served ----------------------------------------------------------------------

    def _changed(self) -> list[Effect]:
        """Who is served may be others now. Where some wait that is decided once a turn."""
        if not self._slots.have_line:
            return self._decide()
        self._deadlines.set(_CHANGED, self._now)
        return []

    def _decide(self) -> list[Effect]:
        """Who is served from now on, and where those stand who have just come to wait."""
        change = self._slots.settle(self._wants.waits, self._ledger.merit, self._now)
        for peer in change.choked:
            self._drop_turns(peer)
            for _, wish in self._wants.of(peer):
                wish.requests.clear()  # the choke answers them all
                wish.place = 0
        newcomers, self._newcomers = self._newcomers, {}
        effects = self._tell_places({**dict.fromkeys(change.choked), **newcomers})
        for peer in change.served:
            for root, wish in self._wants.of(peer):
                wish.place = 0
                effects += self._serve(peer, root)
        if self._slots.are_contended:
            self._line.begin(self._now)
        return effects

    def _serve(self, peer: NodeId, root: bytes) -> list[Effect]:
        return [Send(peer, Unchoke(root)), *self._showing.may_ask(peer, root, self._now)]

    def _tell_places(self, peers: Iterable[NodeId]) -> list[Effect]:
        """Those of them that wait hear where they stand, if they have not yet."""
        line = self._slots.line(self._ledger.merit)
        effects: list[Effect] = []
        for peer in [peer for peer in peers if peer in line]:
            place = line[peer]
            for root, wish in self._wants.of(peer):
                if wish.place != place.place:
                    wish.place = place.place
                    effects.append(Send(peer, Choke(root, place.place, round(place.wait_s))))
        return effects

    def _woke(self, _event: Woke, now: float) -> list[Effect]:
        """Tell the news, decide who is served, go on where somebody stalled."""
        effects = self._showing.due(now)
        due = list(self._deadlines.pop_due(now))
        if self._slots.is_due(now):
            effects += self._decide() + self._tell_places(self._wants.peers)
        elif _CHANGED in due:
            effects += self._decide()
        if self._outlet.opened(now):
            effects += self._read_next()
        if _STALLED in due:
            stalled = self._outlet.stalled(self._config.request_s, now)
            effects += [Hangup(peer, Door.BULK, "takes nothing") for peer in stalled]
            effects += self._read_next()
        return effects + self._line.save(now)

    def _restored(self, event: Restored, now: float) -> list[Effect]:
        self._line.restore(event, now)
        return []

    def _stopped(self, _event: Stopped, now: float) -> list[Effect]:
        return self._line.save(now, at_once=True)

    # --- requests ---------------------------------------------------------------------------

    def _on_request(self, peer: NodeId, message: Request) -> list[Effect]:
        key, offset = (peer, message.root), message.offset
        wish = self._wants.find(*key)
        if wish is None or not self._slots.serve(peer):
            return [Send(peer, Reject(message.root, "choked", offset))]
        if not wish.is_whole(offset, message.length):
            return [Hangup(peer, Door.BULK, "a request that is not whole pieces")]
        waiting, rests = self._outlet.waiting_of(peer), self._showing.rests(message.root, self._now)
        full = rests or waiting >= LEAF_WAITING_MAX or len(wish.requests) >= OPEN_REQUESTS_MAX
        if full or offset in wish.requests:
            return [Send(peer, Reject(message.root, "too_many", offset))]
        if self._proofs.waiting_bytes(*key):  # it has got the hashes elsewhere
            self._proofs.leave(peer)
            self._outlet.cancel((key, HASHES))
        wish.requests[offset] = message.length
        self._outlet.put((key, offset))
        shown = self._showing.asked(*key, wish.size, offset, message.length, self._now)
        return self._read_next() + shown

    def _on_cancel(self, peer: NodeId, message: Cancel) -> list[Effect]:
        if (wish := self._wants.find(peer, message.root)) is not None:
            wish.requests.pop(message.offset, None)
            self._outlet.cancel(((peer, message.root), message.offset))
        return []

    def _read_next(self) -> list[Effect]:
        """Hand requests to the disk while there is room for their bytes."""
        effects: list[Effect] = []
        while (passes := self._outlet.next(self._length, self._now)) is not None:
            (key, offset), length = passes
            self._last_read += 1
            if offset == HASHES:
                effects += self._answers(self._proofs.begin(key[0], self._last_read))
            else:
                effects.append(self._read(key, offset, length))
        if self._outlet and self._deadlines.get(_STALLED) is None:
            self._deadlines.set(_STALLED, self._now + STALLED_S)
        return effects

    def _length(self, turn: Turn) -> int:
        """How long the answer is that it waits for; 0: it does not wait for it any more."""
        key, offset = turn
        if offset == HASHES:
            return self._proofs.waiting_bytes(*key)
        wish = self._wants.find(*key)
        return 0 if wish is None else wish.requests.get(offset, 0)

    def _sent(self, event: Sent, now: float) -> list[Effect]:
        self._outlet.left(event.peer, event.length, now)
        self._slots.used(event.peer, now)
        return self._read_next() if self._outlet else []

    def _read(self, key: Key, offset: int, length: int) -> Effect:
        peer, root = key
        wish = self._wants.find(peer, root)
        read: Effect | Reason = "gone"
        if wish is not None:
            read = self._stock.read(self._last_read, root, wish.size, offset, length)
        if not isinstance(read, Effect):
            self._outlet.give_back(peer, length, self._now)
            return self._reject(key, offset, read)
        self._reads[self._last_read] = (key, offset, length, self._now)
        return read

    def _reject(self, key: Key, offset: int, reason: Reason) -> Effect:
        if (wish := self._wants.find(*key)) is not None:
            wish.requests.pop(offset, None)
        return Send(key[0], Reject(key[1], reason, offset))

    # --- what the disk brings ---------------------------------------------------------------

    def _bytes_read(self, event: BytesRead, _now: float) -> list[Effect]:
        if event.read not in self._reads:
            return self._layer_read(event.read, bytes(event.data))
        key, offset, wish = self._settle(event.read, sending=True)
        if wish is None:
            return self._read_next()
        del wish.requests[offset]
        return [Send(key[0], Piece(key[1], offset), event.data), *self._read_next()]

    def _read_failed(self, event: ReadFailed, _now: float) -> list[Effect]:
        if event.read not in self._reads:
            return self._layer_read(event.read, b"")
        key, offset, wish = self._settle(event.read, sending=False)
        if wish is None:
            return self._read_next()
        reason = _REASONS.get(event.kind, "disk")
        return [self._reject(key, offset, reason), *self._read_next()]

    def _settle(self, read: int, *, sending: bool) -> tuple[Key, int, Wish | None]:
        """A read is over; the wish it was for, if that still waits for just this.

        What is sent now counts until it has left.
        """
        key, offset, length, passed_at = self._reads.pop(read)
        wish = self._wants.find(*key)
        if wish is None or wish.requests.get(offset) != length:
            wish = None
        if wish is None or not sending:
            self._outlet.give_back(key[0], length, passed_at)
        return key, offset, wish

    # --- piece hashes -----------------------------------------------------------------------

    def _on_tree_request(self, peer: NodeId, message: TreeRequest) -> list[Effect]:
        root = message.root
        wish = self._wants.find(peer, root)
        if wish is None or not self._slots.serve(peer):
            return [Send(peer, Reject(root, "choked"))]
        if self._stock.find(root, wish.size) is None or message.first >= piece_count(wish.size):
            return [Send(peer, Reject(root, "gone"))]
        self._showing.asked_for_hashes(peer, root, self._now)
        if not self._proofs.join(peer, message, wish.size):
            return [Send(peer, Reject(root, "too_many"))]
        if not wish.may_have_proof():
            return [Hangup(peer, Door.BULK, "asks for the same hashes again and again")]
        self._outlet.put(((peer, root), HASHES))
        return self._read_next()

    def _layer_read(self, read: int, layer: bytes) -> list[Effect]:
        return self._answers(self._proofs.came(read, layer)) + self._read_next()

    def _answers(self, answers: list[Answer]) -> list[Effect]:
        """What is no answer with hashes is not on its way."""
        for asked, effect in answers:
            if isinstance(effect, Hangup) or (isinstance(effect, Send) and effect.data is None):
                self._outlet.give_back(asked.peer, asked.length, self._now)
        return [effect for _, effect in answers]

    _HANDLERS: ClassVar[dict[type[Event], Callable[..., list[Effect]]]] = {
        Received: _received,
        LinkDown: _link_down,
        BytesRead: _bytes_read,
        ReadFailed: _read_failed,
        Sent: _sent,
        Limited: _limited,
        PiecesProven: _proven,
        Withdrawn: _withdrawn,
        Woke: _woke,
        Restored: _restored,
        Stopped: _stopped,
    }

    _MESSAGES: ClassVar[dict[type[Message], Callable[..., list[Effect]]]] = {
        Interested: _on_interested,
        NotInterested: _on_not_interested,
        Request: _on_request,
        Cancel: _on_cancel,
        TreeRequest: _on_tree_request,
    }
