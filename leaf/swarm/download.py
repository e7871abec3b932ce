"""One download from the wish to the finished file; what the disk and the swarm make of it.

    QUEUED --Started--> FETCHING --all stored--> FINISHING --PartFinished--> DONE
       ^                 |   ^                       |
       |         Halted, |   | 5 s after             | the disk is full, or does not
       |       disk full |   | trouble of the disk   | have a piece any more
       |         or busy v   |                       |
       '----Resumed---- PAUSED <---------------------'

    FAILED: the disk said no for good or too often, or all sources sent wrong bytes; Resumed: QUEUED
    DONE: opened once more in each run, only to be served; a file that is gone is not

Every change of state is remembered over restarts before anything else happens. The partial file is
the truth about what is there: after trouble it is opened again instead of guessed at. Who
waits for the download is not known here.
"""

import enum
from collections.abc import Callable
from random import Random
from typing import ClassVar, Final

import msgspec
from pyroaring import BitMap

from common.config import SwarmConfig
from common.content.manifest import MAGIC
from common.content.merkle import piece_count, piece_size_bytes
from common.core import Effect, Event, LinkDown, LinkUp, Received, Stopped, Woke
from common.deadlines import Deadlines, soonest
from common.errors import Exit
from common.ids import NodeId
from common.limits import MANIFEST_BYTES_MAX
from common.messages.fields import Contact
from common.storage import (
    ClosePart,
    DeletePart,
    DownloadRecord,
    FinishPart,
    OpenPart,
    PartFailed,
    PartFinished,
    PartOpened,
    PartSkipped,
    PiecesWritten,
    RememberDownload,
)
from leaf.links.links import BulkLinks
from leaf.signals import Allotted, Halted, Resumed, SourcesFound, Started, Streamed
from leaf.swarm.acquaintances import Acquaintances
from leaf.swarm.fetch import Fetch
from leaf.swarm.pieces import Pieces
from leaf.swarm.pieces import State as Piece
from leaf.swarm.troubles import FULL, RETRY_S, Troubles

CORRUPT_REASON: Final = "every source that was found sent wrong bytes"
GONE_REASON: Final = "the file is gone"


class State(enum.Enum):
    """What a download does; the words that people see."""

    QUEUED = "queued"
    FETCHING = "fetching"
    PAUSED = "paused"
    FINISHING = "finishing"
    DONE = "done"
    FAILED = "failed"


_STATES: Final = {state.value: state for state in State}


class Download:
    """One wanted file."""

    def __init__(
        self,
        record: DownloadRecord,
        *,
        sources: tuple[Contact, ...],
        links: BulkLinks,
        config: SwarmConfig,
        rng: Random,
        now: float,
    ) -> None:
        self.record = record
        self.began = now
        self.code = Exit.DISK
        """Why it failed, if it did."""
        self._links = links
        self._config = config
        self._rng = rng
        self._past = Acquaintances(sources)
        self._pieces: Pieces | None = None  # as long as the part is open, and after the end
        self._fetch: Fetch | None = None
        self._part = ""  # where its partial file is
        self._allotted = Allotted(1, 0)
        self._troubles = Troubles()
        self.can_be_served = False
        self.is_short_of_space = False  # paused until the disk has room
        self._deadlines = Deadlines()

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take in one event."""
        return self._HANDLERS[type(event)](self, event, now)

    def wakeup(self) -> float | None:
        """The next deadline."""
        return soonest([self._deadlines.earliest(), self._fetch.wakeup() if self._fetch else None])

    # --- what others may see ----------------------------------------------------------------

    @property
    def state(self) -> State:
        """What it does."""
        return _STATES[self.record.state]

    @property
    def standing(self) -> tuple[State, bool, bool, bool]:
        """What of it concerns the other downloads, and who waits for it."""
        return self.state, self.linked > 0, self.is_supplied, self.proven

    @property
    def fetch(self) -> Fetch | None:
        """Its swarm while it fetches; for who looks, not for who changes."""
        return self._fetch

    @property
    def retried_at(self) -> float | None:
        """When a disk in trouble is looked at again."""
        return self._deadlines.get("disk")

    @property
    def linked(self) -> int:
        """With how many sources there is a link now."""
        return self._fetch.sources.linked_count if self._fetch else 0

    @property
    def is_supplied(self) -> bool:
        """Whether a linked source has something of it, or may have."""
        return self._fetch is not None and self._fetch.sources.have_something

    def fetches_from(self, peer: NodeId) -> bool:
        """Whether it is linked with this leaf to fetch from it."""
        return self._fetch is not None and self._fetch.sources.is_linked(peer)

    @property
    def given_by(self) -> dict[NodeId, None]:
        """The leaves that sent at least one good piece."""
        return {**self._past.givers, **(self._fetch.givers if self._fetch else {})}

    @property
    def contacts(self) -> tuple[Contact, ...]:
        """Leaves that are said to have it."""
        return self._fetch.sources.contacts if self._fetch else self._past.contacts

    @property
    def received_bytes(self) -> int:
        """What came over the network in this run, wrong and doubled bytes included."""
        return self._past.received_bytes + (self._fetch.received_bytes if self._fetch else 0)

    @property
    def lied_to(self) -> bool:
        """Whether some source sent wrong bytes."""
        return bool(self._fetch and self._fetch.sources.liars)

    @property
    def done_bytes(self) -> int:
        """How much is proven and stored."""
        if self.state is State.DONE:
            return 0 if self.record.is_skipped else self.record.size
        return 0 if self._pieces is None else self._pieces.done_bytes(self.record.size)

    @property
    def proven(self) -> bool:
        """Whether there is anything to serve."""
        if not self.can_be_served or self.state is State.DONE:
            return self.can_be_served
        return self._pieces is not None and self._pieces.count(Piece.DONE) > 0

    @property
    def readable(self) -> tuple[str, int]:
        """A file, and how many bytes of it from the first on are proven; ("", 0): none."""
        if self._pieces is None or self.state in (State.DONE, State.FAILED):
            return "", 0
        ready = piece_size_bytes(self.record.size) * self._pieces.prefix
        return self._part, min(ready, self.record.size)

    def lacked(self, peer: NodeId, pieces: BitMap) -> BitMap:
        """Those of these pieces that this leaf does not have, as far as we know."""
        return self._fetch.sources.lacked(peer, pieces) if self._fetch else pieces

    def marks(self) -> bytes | None:
        """A 1 for each piece that can be served; None where all can."""
        if self.state is State.DONE or self._pieces is None or self._pieces.complete:
            return None
        return self._pieces.marks()

    def has(self, piece: int) -> bool:
        """Whether this piece can be served."""
        if self.state is State.DONE or self._pieces is None:
            return self.state is State.DONE
        return self._pieces.state(piece) is Piece.DONE

    def rate(self, now: float) -> float:
        """Bytes per second that come."""
        return self._fetch.rate.per_s(now) if self._fetch else 0.0

    # --- orders -----------------------------------------------------------------------------

    def _started(self, _event: Started, _now: float) -> list[Effect]:
        record = self.record
        target, exists = record.target, record.exists
        if self.state is State.DONE:  # only to be served: nothing is to be made
            path = record.path or target
            return [OpenPart(record.number, record.root, record.size, path, exists, create=False)]
        self._deadlines.cancel("disk")
        return [
            *self._enter(State.FETCHING),
            OpenPart(record.number, record.root, record.size, target, exists),
        ]

    def _resumed(self, _event: Resumed, _now: float) -> list[Effect]:
        self._deadlines.cancel("disk")
        self._troubles.forget()
        if self.state is State.FAILED:  # a person wants it tried again, with everybody
            self._past.liars.clear()
        return self._enter(State.QUEUED)

    def _streamed(self, event: Streamed, now: float) -> list[Effect]:
        if self.record.is_streamed:
            return []
        self.record = msgspec.structs.replace(self.record, is_streamed=True)
        return [RememberDownload(self.record), *self._to_fetch(event, now)]

    def _halted(self, event: Halted, now: float) -> list[Effect]:
        self._deadlines.cancel("disk")
        effects = self._let_go(now)
        if self.state not in (State.DONE, State.FAILED):
            effects += self._enter(State.PAUSED)
        if event.delete and self.state is not State.DONE:
            record = self.record
            self.can_be_served = False
            return [*effects, DeletePart(record.number, record.root, record.size, record.target)]
        return [*effects, self._close()]

    def _stopped(self, _event: Stopped, now: float) -> list[Effect]:
        """The program ends: let go without a change of state; finishing goes on to its end."""
        if self.state is State.FINISHING:
            return []
        self._deadlines.cancel("disk")
        return [*self._let_go(now), self._close()]

    def _close(self) -> Effect:
        self.can_be_served = False
        return ClosePart(self.record.number)

    def _allotted_now(self, event: Allotted, now: float) -> list[Effect]:
        if event == self._allotted:
            return []
        self._allotted = event
        return self._to_fetch(event, now)

    # --- the disk ---------------------------------------------------------------------------

    def _opened(self, event: PartOpened, now: float) -> list[Effect]:
        record = self.record
        if self.state is not State.FETCHING or len(event.done) != piece_count(record.size):
            return [self._close()]  # paused meanwhile
        self._pieces, self._part = Pieces(event.done), event.path
        self._troubles.opened(event.done.count(1))
        self.can_be_served = True
        self._fetch = Fetch(
            number=record.number,
            root=record.root,
            size=record.size,
            pieces=self._pieces,
            layer=event.layer,
            links=self._links,
            config=self._config,
            rng=self._rng,
            now=now,
            is_streamed=record.is_streamed,
        )
        self._fetch.sources.liars.update(self._past.liars)
        if self._pieces.complete:
            return self._finish(now)
        found = SourcesFound(record.root, self._past.contacts)
        return self._to_fetch(self._allotted, now) + self._to_fetch(found, now)

    def _skipped(self, event: PartSkipped, _now: float) -> list[Effect]:
        """What was wanted, or something that must stay, is there already."""
        self.can_be_served = event.same
        self.record = msgspec.structs.replace(self.record, is_skipped=not event.same)
        return self._enter(State.DONE, path=event.path)

    def _written(self, event: PiecesWritten, now: float) -> list[Effect]:
        if self._fetch is None:
            return []
        effects = self._fetch.handle(event, now)
        if self.state is State.FETCHING and self._fetch.pieces.complete:
            effects += self._finish(now)
        return effects

    def _finish(self, now: float) -> list[Effect]:
        goodbyes = self._let_go(now)
        record = self.record
        may_be_folder = record.is_unnamed and record.size <= MANIFEST_BYTES_MAX
        unless = MAGIC if may_be_folder else b""
        finish = FinishPart(record.number, unless, record.called)
        return [*self._enter(State.FINISHING), *goodbyes, finish]

    def _finished(self, event: PartFinished, _now: float) -> list[Effect]:
        self.can_be_served = True
        return self._enter(State.DONE, path=event.path)

    def _failed(self, event: PartFailed, now: float) -> list[Effect]:
        """Full: until there is room. Broken or busy: a few times. Anything else: for good."""
        if self.state is State.DONE:
            self.can_be_served = False
            if event.kind == "changed":  # or gone, or only its date is another: look
                return self._started(Started(), now)
            reason = GONE_REASON if event.kind == "gone" else event.reason or GONE_REASON
            return self._enter(State.DONE, reason)
        if self.state not in (State.FETCHING, State.FINISHING):
            return []
        if self._pieces is not None:
            for piece in event.lost:
                self._pieces.lost(piece)
        reason = f"{event.reason} {event.hint}".strip()
        close = self._close()
        if self._troubles.passes(event.kind):
            self._deadlines.set("disk", now + RETRY_S)
            paused = self._enter(State.PAUSED, reason)
            self.is_short_of_space = event.kind == FULL
            return [*self._let_go(now), *paused, close]
        self.code = Exit.DISK
        return [*self._let_go(now), *self._enter(State.FAILED, reason), close]

    # --- the swarm --------------------------------------------------------------------------

    def _sources_found(self, event: SourcesFound, now: float) -> list[Effect]:
        if self._fetch is None:  # its turn comes later
            self._past.add(event.contacts)
            return []
        effects = self._to_fetch(event, now)
        if event.done and self.lied_to and not self._fetch.sources.contacts:
            return effects + self._give_up(now)
        return effects

    def _give_up(self, now: float) -> list[Effect]:
        self.code = Exit.CORRUPT
        return [*self._let_go(now), *self._enter(State.FAILED, CORRUPT_REASON), self._close()]

    def _to_fetch(self, event: Event, now: float) -> list[Effect]:
        return self._fetch.handle(event, now) if self._fetch else []

    def _let_go(self, _now: float) -> list[Effect]:
        """Fetch no more, but remember from whom."""
        fetch, self._fetch = self._fetch, None
        if fetch is None:
            return []
        self._past.part_from(fetch)
        return fetch.farewell()

    def _enter(self, state: State, reason: str = "", path: str = "") -> list[Effect]:
        self.is_short_of_space = False
        changed = msgspec.structs.replace(
            self.record, state=state.value, reason=reason, path=path or self.record.path
        )
        if changed == self.record:
            return []
        self.record = changed
        return [RememberDownload(changed)]

    def _woke(self, event: Woke, now: float) -> list[Effect]:
        effects = self._to_fetch(event, now)
        if self._deadlines.pop_due(now):
            effects += self._started(Started(), now)
        return effects

    _HANDLERS: ClassVar[dict[type[Event], Callable[..., list[Effect]]]] = {
        Started: _started,
        Resumed: _resumed,
        Streamed: _streamed,
        Halted: _halted,
        Stopped: _stopped,
        Allotted: _allotted_now,
        PartOpened: _opened,
        PartSkipped: _skipped,
        PiecesWritten: _written,
        PartFinished: _finished,
        PartFailed: _failed,
        SourcesFound: _sources_found,
        LinkUp: _to_fetch,
        LinkDown: _to_fetch,
        Received: _to_fetch,
        Woke: _woke,
    }
