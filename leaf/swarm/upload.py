"""Serving: who wants pieces of what we have, who may ask now, and what they are sent.

Invariant: a request is answered exactly once, by the bytes or by a reason, unless it was cancelled
or its link is gone; and only bytes that the disk has just read from the proven file are sent. A
free slot goes to the wish that has waited longest; it is kept until its leaf wants no more, or asks
for nothing while others wait. Reads under way are bounded and further requests wait. Who breaks the
rules is hung up on. Choosing whom to serve by what they give is not done yet.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import ClassVar, Final

import msgspec

from common.config import SwarmConfig
from common.core import Effect, Event, Hangup, LinkDown, Received, Send, Sent, Woke
from common.deadlines import Deadlines
from common.doors import Door
from common.ids import NodeId
from common.limits import OPEN_REQUESTS_MAX
from common.merkle import TreeError, piece_count, piece_size_bytes
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
from common.storage import BytesRead, ReadFailed, ReadLayer, ReadPart, ReadShared, SharedFile
from leaf.signals import Limited, PiecesProven, SourcesFound, Withdrawn
from leaf.swarm.budget import Budget
from leaf.swarm.caps import Gate
from leaf.swarm.download import Download
from leaf.swarm.links import BulkLinks
from leaf.swarm.showing import Showing
from leaf.swarm.stock import Stock
from leaf.swarm.trees import Trees

WISHES_MAX: Final = 4_000  # leaves that want something, waiting ones included (PARQ: 4,000)
WISHES_PER_LEAF_MAX: Final = 64  # files; wild guess
WAITING_MAX: Final = OPEN_REQUESTS_MAX * 64  # requests that the disk has not begun, of all leaves

SLOT_IDLE_S: Final = 10.0  # BEP 3 decides anew who is served as often
_IDLE: Final = "idle"

_REASONS: Final[dict[str, Reason]] = {"changed": "changed", "gone": "gone"}

Key = tuple[NodeId, bytes]  # who, and the root of what


@dataclass(slots=True)
class _Wish:
    """One leaf that wants one file."""

    size: int
    unchoked: bool = False
    asked_at: float = 0.0  # when it was unchoked or asked for something last
    requests: dict[int, int] = field(default_factory=dict)  # offset -> length, not answered yet


class Uploads:
    """Everybody who wants something of this leaf."""

    __slots__ = (
        *("_budget", "_config", "_deadlines", "_gate", "_last_read", "_links", "_now", "_reads"),
        *("_showing", "_stock", "_trees", "_waiting", "_wishes"),
    )

    def __init__(self, stock: Stock, links: BulkLinks, config: SwarmConfig, rng: Random) -> None:
        self._stock = stock
        self._links = links
        self._config = config
        self._wishes: dict[Key, _Wish] = {}  # in the order they came
        self._showing = Showing(rng)
        self._trees = Trees()
        self._waiting: list[tuple[Key, int]] = []  # requests not yet handed to the disk
        self._reads: dict[int, tuple[Key, int, int]] = {}  # read -> key, offset, length
        self._budget = Budget()
        self._gate = Gate(links.caps.up)
        self._last_read = 0
        self._deadlines = Deadlines()
        self._now = 0.0

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take in one event."""
        self._now = now
        return self._HANDLERS[type(event)](self, event, now)

    def wakeup(self) -> float | None:
        """When slots that nobody uses are looked for, news are told, or more may be read."""
        own, news = self._deadlines.earliest(), self._showing.deadlines.earliest()
        times = (own, news, self._gate.opens_at)
        return min((time for time in times if time is not None), default=None)

    @property
    def served(self) -> int:
        """How many wishes have a slot."""
        return sum(wish.unchoked for wish in self._wishes.values())

    def are_awaited_by(self, peer: NodeId) -> bool:
        """Whether this leaf waits for us: for a slot, for bytes, or for pieces we do not have yet.

        One that has a slot and asks for nothing waits only as long as nobody else does.
        """
        contended = self.served < len(self._wishes)
        mine = [wish for key, wish in self._wishes.items() if key[0] == peer]
        return any(wish.requests or not (wish.unchoked and contended) for wish in mine)

    # --- who wants what ---------------------------------------------------------------------

    def _received(self, event: Received, _now: float) -> list[Effect]:
        return self._MESSAGES[type(event.message)](self, event.peer, event.message)

    def _on_interested(self, peer: NodeId, message: Interested) -> list[Effect]:
        held = self._stock.find(message.root, message.size)
        if held is None:
            return [Send(peer, Reject(message.root, "not_here"))]
        key = (peer, message.root)
        if key not in self._wishes and self._is_full(peer):
            return [Send(peer, Reject(message.root, "too_many"))]
        wish = self._wishes.setdefault(key, _Wish(message.size))
        was_unchoked = wish.unchoked
        answer = (
            self._showing.begin(peer, message.root, message.size, held, self._now)
            + self._fill_slots()
        )
        if was_unchoked:
            answer.append(Send(peer, Unchoke(message.root)))
        elif not wish.unchoked:
            answer.append(Send(peer, Choke(message.root)))
        return answer + self._as_source(peer, message.root)

    def _as_source(self, peer: NodeId, root: bytes) -> list[Effect]:
        """Who wants a file of us will have pieces that we lack: a link serves both ends.

        Said only where we have some: two that have none would go on asking one another.
        """
        contact = self._links.contact(peer)
        return [] if contact is None else [SourcesFound(root, (contact,))]

    def _is_full(self, peer: NodeId) -> bool:
        mine = sum(key[0] == peer for key in self._wishes)
        return len(self._wishes) >= WISHES_MAX or mine >= WISHES_PER_LEAF_MAX

    def _on_not_interested(self, peer: NodeId, message: NotInterested) -> list[Effect]:
        self._forget((peer, message.root))
        return self._fill_slots()

    def _forget(self, key: Key) -> None:
        self._wishes.pop(key, None)
        self._showing.leave(*key)

    def _link_down(self, event: LinkDown, _now: float) -> list[Effect]:
        if event.door is not Door.BULK:
            return []
        self._budget.forget(event.peer)
        for key in [key for key in self._wishes if key[0] == event.peer]:
            self._forget(key)
        return self._fill_slots()

    def _fill_slots(self) -> list[Effect]:
        """Give free slots to those who have waited longest."""
        free = self._config.upload_slots - self.served
        effects: list[Effect] = []
        for (peer, root), wish in self._wishes.items():
            if free <= 0:
                break
            if not wish.unchoked:
                wish.unchoked, wish.asked_at = True, self._now
                free -= 1
                effects += [
                    Send(peer, Unchoke(root)),
                    *self._showing.may_ask(peer, root, self._now),
                ]
        if self.served < len(self._wishes) and self._deadlines.get(_IDLE) is None:
            self._deadlines.set(_IDLE, self._now + SLOT_IDLE_S)
        return effects

    def _woke(self, _event: Woke, now: float) -> list[Effect]:
        """Tell the news; while others wait, who asks for nothing gives his slot to them."""
        effects = self._showing.due(now)
        if self._gate.opened(now):
            effects += self._read_next()
        if not self._deadlines.pop_due(now):
            return effects
        idle = [
            key
            for key, wish in self._wishes.items()
            if wish.unchoked and not wish.requests and now - wish.asked_at >= SLOT_IDLE_S
        ]
        waiting = len(self._wishes) - self.served
        for peer, root in idle[:waiting]:
            wish = self._wishes.pop((peer, root))
            self._wishes[peer, root] = wish
            wish.unchoked = False
            effects.append(Send(peer, Choke(root)))
        return effects + self._fill_slots()

    def _limited(self, event: Limited, _now: float) -> list[Effect]:
        self._config = msgspec.structs.replace(self._config, upload_slots=event.slots)
        return self._fill_slots() + self._read_next()

    def _proven(self, event: PiecesProven, now: float) -> list[Effect]:
        """What we have just got ourselves others may have too."""
        held = self._stock.find(event.root, event.size)
        return self._showing.proven(event, held, now) if isinstance(held, Download) else []

    def _withdrawn(self, event: Withdrawn, _now: float) -> list[Effect]:
        effects: list[Effect] = []
        for key, wish in list(self._wishes.items()):
            if key[1] == event.root and self._stock.find(event.root, wish.size) is None:
                self._forget(key)
                effects.append(Send(key[0], Reject(event.root, "gone")))
        return effects + self._fill_slots()

    # --- requests ---------------------------------------------------------------------------

    def _on_request(self, peer: NodeId, message: Request) -> list[Effect]:
        key, offset = (peer, message.root), message.offset
        wish = self._wishes.get(key)
        if wish is None or not wish.unchoked:
            return [Send(peer, Reject(message.root, "choked", offset))]
        if not _is_whole(wish.size, offset, message.length):
            return [Hangup(peer, Door.BULK, "a request that is not whole pieces")]
        full = len(wish.requests) >= OPEN_REQUESTS_MAX or len(self._waiting) >= WAITING_MAX
        if full or offset in wish.requests:
            return [Send(peer, Reject(message.root, "too_many", offset))]
        wish.requests[offset], wish.asked_at = message.length, self._now
        self._waiting.append((key, offset))
        shown = self._showing.asked(*key, wish.size, offset, message.length, self._now)
        return self._read_next() + shown

    def _on_cancel(self, peer: NodeId, message: Cancel) -> list[Effect]:
        wish = self._wishes.get((peer, message.root))
        if wish is not None:
            wish.requests.pop(message.offset, None)
        return []

    def _read_next(self) -> list[Effect]:
        """Hand requests to the disk while there is room for their bytes."""
        effects: list[Effect] = []
        kept: list[tuple[Key, int]] = []
        while self._waiting and not self._budget.spent:
            key, offset = self._waiting.pop(0)
            wish = self._wishes.get(key)
            if wish is None or offset not in wish.requests:
                continue
            room = self._budget.has_room(key[0])
            if room and self._gate.may_pass(wish.requests[offset], self._now):
                effects.append(self._read(key, wish, offset))
                continue
            kept.append((key, offset))
            if room:
                break
        self._waiting[:0] = kept
        return effects

    def _sent(self, event: Sent, _now: float) -> list[Effect]:
        self._budget.give_back(event.peer, event.length)
        return self._read_next() if self._waiting else []

    def _read(self, key: Key, wish: _Wish, offset: int) -> Effect:
        length = wish.requests[offset]
        held = self._stock.find(key[1], wish.size)
        if held is None:
            return self._reject(key, wish, offset, "gone")
        self._last_read += 1
        if isinstance(held, SharedFile):
            read: Effect = ReadShared(self._last_read, held, offset, length)
        else:
            piece_bytes = piece_size_bytes(wish.size)
            pieces = range(offset // piece_bytes, -(-(offset + length) // piece_bytes))
            if not all(held.has(piece) for piece in pieces):
                return self._reject(key, wish, offset, "not_here")
            read = ReadPart(self._last_read, held.record.number, offset, length)
        self._reads[self._last_read] = (key, offset, length)
        self._budget.take(key[0], length)
        return read

    def _reject(self, key: Key, wish: _Wish, offset: int, reason: Reason) -> Effect:
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
        return [self._reject(key, wish, offset, reason), *self._read_next()]

    def _settle(self, read: int, *, sending: bool) -> tuple[Key, int, _Wish | None]:
        """A read is over; the wish it was for, if that still waits for just this.

        What is sent now counts until it has left.
        """
        key, offset, length = self._reads.pop(read)
        wish = self._wishes.get(key)
        if wish is None or wish.requests.get(offset) != length:
            wish = None
        if wish is None or not sending:
            self._budget.give_back(key[0], length)
            self._gate.give_back(length)
        return key, offset, wish

    # --- piece hashes -----------------------------------------------------------------------

    def _on_tree_request(self, peer: NodeId, message: TreeRequest) -> list[Effect]:
        root = message.root
        wish = self._wishes.get((peer, root))
        if wish is None or not wish.unchoked:
            return [Send(peer, Reject(root, "choked"))]
        wish.asked_at = self._now
        if self._stock.find(root, wish.size) is None or message.first >= piece_count(wish.size):
            return [Send(peer, Reject(root, "gone"))]
        if not self._budget.has_room(peer):
            return [Send(peer, Reject(root, "too_many"))]
        if root in self._trees:
            return self._answer_tree(peer, message)
        if not self._trees.wait(root, peer, message):
            return [Send(peer, Reject(root, "too_many"))]
        if self._trees.is_read(root):
            return []
        self._last_read += 1
        self._trees.reading(self._last_read, root, wish.size)
        return [ReadLayer(self._last_read, root, wish.size)]

    def _layer_read(self, read: int, layer: bytes) -> list[Effect]:
        root, waiting = self._trees.came(read, layer)
        effects: list[Effect] = []
        for peer, message in waiting:
            if root in self._trees:
                effects += self._answer_tree(peer, message)
            else:
                effects.append(Send(peer, Reject(message.root, "gone")))
        return effects

    def _answer_tree(self, peer: NodeId, message: TreeRequest) -> list[Effect]:
        try:
            answer, hashes = self._trees.answer(message)
        except TreeError as error:
            return [Hangup(peer, Door.BULK, str(error))]
        self._budget.take(peer, len(hashes))
        return [Send(peer, answer, hashes)]

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
    }

    _MESSAGES: ClassVar[dict[type[Message], Callable[..., list[Effect]]]] = {
        Interested: _on_interested,
        NotInterested: _on_not_interested,
        Request: _on_request,
        Cancel: _on_cancel,
        TreeRequest: _on_tree_request,
    }


def _is_whole(size: int, offset: int, length: int) -> bool:
    """Whether a span is whole pieces inside the file."""
    piece_bytes, end = piece_size_bytes(size), offset + length
    return offset % piece_bytes == 0 and end <= size and (end % piece_bytes == 0 or end == size)
