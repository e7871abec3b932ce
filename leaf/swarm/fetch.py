"""Fetching one file from several leaves at once: the conversation with its sources.

Invariants: no piece is asked for before the piece layer is proven, and a leaf that sent wrong bytes
is not asked again; one that only breaks the rules is hung up on. What comes before a source has
shown its bit field answers an earlier conversation and is dropped. Sources that let us wait come
last and lose what they owe to others. Who is linked is decided in `leaf.swarm.sources`, who is
asked when in `leaf.swarm.pipeline`, and for what in `leaf.swarm.requests`; proving and storing is
the disk's business.
"""

from collections.abc import Callable
from random import Random
from typing import ClassVar

from pyroaring import BitMap

from common.config import SwarmConfig
from common.core import Effect, Event, Hangup, LinkDown, LinkUp, Received, Send, Woke
from common.deadlines import soonest
from common.doors import Door
from common.ids import NodeId
from common.messages.fields import Message
from common.messages.swarm import (
    Bitfield,
    Cancel,
    Choke,
    Have,
    NotInterested,
    Piece,
    Reject,
    TreeHashes,
    Unchoke,
)
from common.rates import Rate
from common.storage import KeepLayer, PiecesWritten, WritePieces
from leaf.links.caps import Gate
from leaf.links.links import BulkLinks
from leaf.signals import Allotted, Given, PiecesProven, SourcesFound, SourcesUnwanted, Streamed
from leaf.swarm.layer import LayerFetch
from leaf.swarm.pieces import Pieces, marked, pieces_of, unpack
from leaf.swarm.pipeline import Pipeline
from leaf.swarm.requests import Requests
from leaf.swarm.source import SNUBS_MAX, Phase, Source
from leaf.swarm.sources import TRIES_MAX, Sources


class Fetch:
    """The swarm of one download, as seen from here."""

    def __init__(
        self,
        *,
        number: int,
        root: bytes,
        size: int,
        pieces: Pieces,
        layer: bytes,
        links: BulkLinks,
        config: SwarmConfig,
        rng: Random,
        now: float,
        is_streamed: bool = False,
    ) -> None:
        self._number = number
        self._root = root
        self._size = size
        self.pieces = pieces
        self._requests = Requests(root, size, pieces, config.request_s, rng, Gate(links.caps.down))
        self._requests.is_streamed = is_streamed
        self._layer = LayerFetch(root, size, layer, self._requests.lateness_s)
        self._config = config
        self.sources = Sources(root, size, links, config, rng)
        self.givers: dict[NodeId, None] = {}  # who sent at least one good piece
        self.received_bytes = 0
        self.rate = Rate(now)
        self._pipeline = Pipeline(
            self.sources, self._requests, self._layer, self.rate, self.givers, rng
        )

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take in one event."""
        effects = self._HANDLERS[type(event)](self, event, now)
        return effects + self.sources.want_more(self.pieces.complete, self.givers, now)

    def wakeup(self) -> float | None:
        """The next deadline."""
        return soonest([self._pipeline.wakeup(), self.sources.deadlines.earliest()])

    @property
    def requests(self) -> Requests:
        """Who is asked for what; for who looks, not for who changes."""
        return self._requests

    @property
    def room(self) -> int:
        """How many more it would link with at once, if other leaves named them."""
        return self.sources.room(scarce=self._requests.is_scarce(self.sources.linked))

    @property
    def has_layer(self) -> bool:
        """Whether there are hashes to prove pieces by."""
        return self._layer.complete

    def farewell(self) -> list[Effect]:
        """What is said when no more is fetched."""
        self._requests.gate.leave()
        goodbyes = [Send(each.peer, NotInterested(self._root)) for each in self.sources.linked]
        return [*goodbyes, SourcesUnwanted(self._root)]

    # --- sources come and go ----------------------------------------------------------------

    def _allotted_now(self, event: Allotted, now: float) -> list[Effect]:
        self.sources.links_max, self._requests.bytes_max = event.links, event.bytes_max
        return self._go_on(now)

    def _streamed(self, _event: Streamed, now: float) -> list[Effect]:
        return self._pipeline.stream(now)

    def _sources_found(self, event: SourcesFound, now: float) -> list[Effect]:
        self.sources.add(event.contacts, tries_left=1 if event.is_hearsay else TRIES_MAX)
        return self._make_room(now) + self.sources.reach(now)

    def _make_room(self, now: float) -> list[Effect]:
        """Where links are scarce, one that has nothing we lack (and, where some are left, has had a
        while), or has choked for long and never gave, gives its own to one that may have it."""
        in_the_way = self.sources.in_the_way
        if not in_the_way:
            return []
        since = now if self.sources.full else now - self._config.request_s
        met = [each for each in in_the_way if each.linked_at <= since]
        useless = [each for each in met if self._requests.has_nothing(each)]
        useless = useless or self.sources.choking_long(in_the_way, self.givers, now)
        if not useless:
            return []
        self._let_go(useless[0])
        return self.sources.park(useless[0], now)

    def _link_up(self, event: LinkUp, now: float) -> list[Effect]:
        source = self.sources.get(event.peer)
        if event.door is Door.BULK and source is not None:
            return self.sources.linked_with(source, now, inbound=event.inbound)
        return []

    def _link_down(self, event: LinkDown, now: float) -> list[Effect]:
        source = self.sources.get(event.peer)
        if event.door is not Door.BULK or source is None or source.phase is Phase.KNOWN:
            return []
        return self._unlink(source, now)

    def _unlink(self, source: Source, now: float) -> list[Effect]:
        self._let_go(source)
        return self.sources.unlink(source, now) + self._go_on(now)

    def _dismiss(self, source: Source, now: float) -> list[Effect]:
        self._let_go(source)
        return self.sources.dismiss(source) + self._go_on(now)

    def _hang_up(self, source: Source, reason: str, now: float) -> list[Effect]:
        """It keeps us waiting or breaks the rules: the link ends, and may be tried again."""
        return [Hangup(source.peer, Door.BULK, reason), *self._unlink(source, now)]

    def _accuse(self, source: Source, reason: str, now: float) -> list[Effect]:
        """It sent wrong bytes: it is never asked for this file again."""
        self._let_go(source)
        return self.sources.accuse(source, reason) + self._go_on(now)

    def _go_on(self, now: float) -> list[Effect]:
        """Something is free: a link, or pieces that somebody else may bring."""
        return self.sources.reach(now) + self._pipeline.fill_all(now)

    def _let_go(self, source: Source) -> None:
        """What it owes is missing again, and what it had does not count any more."""
        self._take_back(source)
        if source.has is not None:
            self._requests.picker.source_left(source.has)
            source.has = None

    def _take_back(self, source: Source) -> list[int]:
        self._layer.give_back(source.peer)
        return self._requests.take_back(source)

    # --- what sources say -------------------------------------------------------------------

    def _received(self, event: Received, now: float) -> list[Effect]:
        source = self.sources.get(event.peer)
        if source is None or source.phase is not Phase.LINKED:
            return []  # it was let go of while this was on its way
        return self._MESSAGES[type(event.message)](self, source, event, now)

    def _on_bitfield(self, source: Source, event: Received, now: float) -> list[Effect]:
        bits = event.message.bits if isinstance(event.message, Bitfield) else b""
        marks = unpack(bits, len(self.pieces)) if bits else None
        if bits and marks is None:
            return self._hang_up(source, "a bit field of the wrong length", now)
        if source.has is not None:
            self._requests.picker.source_left(source.has)
        source.has, source.shown = None if marks is None else marked(marks), True
        if source.has is not None:
            self._requests.picker.source_came(source.has)
        if not source.requests and not self._layer.owes(source.peer):
            self.sources.expect_nothing(source)  # to say it again pays no debt
        return self._pipeline.fill(source, now)

    def _on_have(self, source: Source, event: Received, now: float) -> list[Effect]:
        message = event.message
        told = pieces_of(message) if isinstance(message, Have) else BitMap()
        if not told or told.max() >= len(self.pieces):
            return self._hang_up(source, "a piece beyond the end of the file", now)
        if source.has is None:
            return []
        gained = told - source.has
        source.has |= gained
        self._requests.picker.source_came(gained)
        return self._pipeline.fill(source, now)

    def _on_choke(self, source: Source, event: Received, now: float) -> list[Effect]:
        source.choke(event.message, now)
        self._take_back(source)
        self.sources.expect_nothing(source)
        return self._pipeline.fill_all(now)

    def _on_unchoke(self, source: Source, _event: Received, now: float) -> list[Effect]:
        source.choking = False
        return self._pipeline.fill(source, now)

    def _on_tree_hashes(self, source: Source, event: Received, now: float) -> list[Effect]:
        message, hashes = event.message, bytes(event.data or b"")
        if not isinstance(message, TreeHashes) or not self._layer.awaits(
            source.peer, message.first
        ):
            return []  # late: it was asked of another since
        if not self._layer.take(source.peer, message, hashes):
            return self._accuse(source, "piece hashes that do not lead to the root", now)
        self._requests.gate.charge(len(hashes), now)
        self._heard(source, now)
        layer = self._layer.layer  # empty while ranges are missing
        keep: list[Effect] = [KeepLayer(self._number, layer)] if layer else []
        return keep + self._pipeline.fill_all(now)

    def _on_piece(self, source: Source, event: Received, now: float) -> list[Effect]:
        message, data = event.message, event.data
        if not source.shown:
            return []  # asked for before a pause of ours
        if not isinstance(message, Piece) or data is None:
            return self._hang_up(source, "a piece without data", now)
        request = source.requests.get(message.offset)
        if request is not None and request.length == len(data):
            source.answered(message.offset, self._config.window_bytes, now)
        elif source.came_late(message.offset, len(data)):
            self._requests.gate.charge(len(data), now)
        else:
            return self._hang_up(source, "a piece that nobody asked for", now)
        self._heard(source, now)
        source.tries = 0
        self.received_bytes += len(data)
        self.rate.add(len(data), now)
        cancels = self._requests.cancel_others(source, message.offset, len(data), self.sources)
        return (
            self._write(source, message.offset, data) + cancels + self._pipeline.fill(source, now)
        )

    def _heard(self, source: Source, now: float) -> None:
        """Data came: the clock starts again if it owes more."""
        source.snubs = 0
        if source.requests or self._layer.owes(source.peer):
            self.sources.expect(source, now)
        else:
            self.sources.expect_nothing(source)

    def _write(self, source: Source, begin: int, data: memoryview) -> list[Effect]:
        """Have the pieces that are new proven and stored."""
        return [
            WritePieces(self._number, offset, data[offset - begin : offset - begin + length])
            for offset, length in self._requests.came(source, begin, len(data))
        ]

    def _on_reject(self, source: Source, event: Received, now: float) -> list[Effect]:
        message = event.message
        if not isinstance(message, Reject):
            return []
        if message.offset is not None:
            # taken back, since an older request for that place may be meant, and this one answered
            self._requests.returned(source, source.take_back(message.offset))
        if message.reason == "choked":
            return self._on_choke(source, event, now)
        if message.reason == "too_many" and message.offset is not None:
            self._pipeline.refused(source, now)
            return []
        if message.reason == "too_many" and source.shown:  # hashes; perhaps of another by now
            owes = self._layer.owes(source.peer)
            return self._pipeline.layer_refused(source, now) if owes else []
        return self._dismiss(source, now)

    # --- what the disk says -----------------------------------------------------------------

    def _written(self, event: PiecesWritten, now: float) -> list[Effect]:
        effects: list[Effect] = []
        outcome = self._requests.written(event.good, event.bad)
        for sender in outcome.liars:
            effects += self._blame(sender, now)
        self.givers.update(dict.fromkeys(outcome.given))
        effects += [Given(peer, length) for peer, length in outcome.given.items()]
        if outcome.proven:
            effects.append(PiecesProven(self._root, self._size, tuple(outcome.proven)))
        return effects + self._pipeline.fill_all(now)

    def _blame(self, peer: NodeId, now: float) -> list[Effect]:
        if (source := self.sources.get(peer)) is not None:
            return self._accuse(source, "wrong bytes", now)
        self.sources.remember_liar(peer)
        return []

    # --- time -------------------------------------------------------------------------------

    def _woke(self, _event: Woke, now: float) -> list[Effect]:
        effects = self._pipeline.due(now)
        for key in self.sources.deadlines.pop_due(now):
            what, whom = key if isinstance(key, tuple) else ("", b"")
            source = self.sources.get(whom)
            if source is not None and what == "push":
                effects += self.sources.push(source)
            owes = source if what == "data" else None
            effects += self._due_data(owes, now) if owes is not None else self._go_on(now)
        return effects

    def _due_data(self, source: Source, now: float) -> list[Effect]:
        """It let us wait: others may have what it owes; the third time we hang up."""
        if source.shown and not source.requests and not self._layer.owes(source.peer):
            return self._pipeline.fill(source, now)  # another brought it
        source.snubs += 1
        if source.snubs >= SNUBS_MAX or not source.shown:
            return self._hang_up(source, "no data in time", now)
        self.sources.expect(source, now)
        if not any(each.ready and not each.snubs for each in self.sources):
            return []  # slow is better than nobody
        cancels = [Cancel(self._root, offset) for offset in self._take_back(source)]
        return [*(Send(source.peer, each) for each in cancels), *self._pipeline.fill_all(now)]

    _HANDLERS: ClassVar[dict[type[Event], Callable[..., list[Effect]]]] = {
        Allotted: _allotted_now,
        Streamed: _streamed,
        SourcesFound: _sources_found,
        LinkUp: _link_up,
        LinkDown: _link_down,
        Received: _received,
        PiecesWritten: _written,
        Woke: _woke,
    }

    _MESSAGES: ClassVar[dict[type[Message], Callable[..., list[Effect]]]] = {
        Bitfield: _on_bitfield,
        Have: _on_have,
        Choke: _on_choke,
        Unchoke: _on_unchoke,
        TreeHashes: _on_tree_hashes,
        Piece: _on_piece,
        Reject: _on_reject,
    }
