"""What the parent holds of our catalogue, and how it is brought up to date.

What is offered gets a slot and keeps it, unless the manifest of a folder needs one. Changes are
gathered for a moment into one generation, signed once and sent as a delta in small messages; the
last carries the signature. Invariant: the catalogue never changes while a generation is under way,
so its root is the one that was signed. Generations grow for ever, over restarts too, because they
begin with the epoch. A parent that holds one of this run's gets what changed since; any other gets
everything afresh.

Pacing is by time: `publish_window` messages, then a short pause. The parent acknowledges only a
whole generation, and the shell holds what a slow link does not take yet.
"""

import heapq
from collections.abc import Callable
from typing import ClassVar, Final

from common.config import ParentConfig
from common.content.catalogue import Catalogue, Entry, statement
from common.content.manifest import is_manifest_name
from common.core import Effect, Event, Notify, Received, Send, Woke
from common.deadlines import Deadlines
from common.ids import Identity, NodeId
from common.limits import CONTAINER_ITEMS_MAX, FILES_PER_LEAF_MAX
from common.messages.cluster import Publish, Published, Put
from common.rates import Bucket
from leaf.signals import Acknowledged, Joined, Offered, Orphaned

GATHER_S: Final = 0.2  # as many changes as come within it make one generation; wild guess
PACE_S: Final = 0.02  # 4 messages of 32 KiB each time: 6 MB/s, 20,000 files in half a second
ENTRY_BYTES: Final = 64  # of an entry on the wire, beside its texts
UPLOADS_PER_S: Final = 0.1  # of all that we share: parents may send us round; wild guess
UPLOADS_BURST: Final = 8
GENERATIONS_PER_LIFE_BITS: Final = 11  # of a life of a millisecond; one makes 5 a second at most


class Publisher:
    """The slots of our catalogue, and which of them the parent may not have yet."""

    __slots__ = (
        *("_above_limit", "_afresh", "_awaited", "_catalogue", "_changed", "_config"),
        *("_deadlines", "_first_generation", "_free", "_held", "_identity", "_limit"),
        *("_network", "_parent", "_pending", "_queue", "_revision", "_revision_held"),
        *("_sending", "_slots", "_uploads", "generation"),
    )

    def __init__(self, identity: Identity, network: str, config: ParentConfig, epoch: int) -> None:
        self._identity = identity
        self._network = network
        self._config = config
        self._first_generation = epoch << GENERATIONS_PER_LIFE_BITS
        self.generation = self._first_generation
        """Of the catalogue as it stands."""
        self._catalogue = Catalogue()
        self._slots: dict[str, int] = {}  # by key
        self._free: list[int] = []  # heap of slots that were used and are not
        self._changed: dict[int, int] = {}  # slot -> generation of its last change
        self._pending: dict[str, Entry | None] = {}  # by key; None takes it out
        self._above_limit: dict[str, Entry] = {}  # offered, but more than the parent takes
        self._limit = FILES_PER_LEAF_MAX
        self._parent: NodeId | None = None
        self._held = 0  # the generation that the parent holds
        self._queue: list[int] = []  # slots still to send of the generation under way, last first
        self._afresh = False
        self._sending = False  # some of the generation has still to be sent
        self._awaited = False  # it is sent, and not acknowledged
        self._revision = 0
        self._revision_held = 0  # what the catalogue as it stands includes
        self._deadlines = Deadlines()
        self._uploads = Bucket(UPLOADS_PER_S, UPLOADS_BURST, 0.0)

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take in one event."""
        return self._HANDLERS[type(event)](self, event, now)

    def wakeup(self) -> float | None:
        """The next deadline."""
        return self._deadlines.earliest()

    @property
    def entries(self) -> int:
        """How many entries the catalogue has."""
        return len(self._catalogue)

    @property
    def left_out(self) -> int:
        """How many files are shared beyond what the parent takes."""
        return len(self._above_limit)

    # --- changes ----------------------------------------------------------------------------

    def _offered(self, event: Offered, now: float) -> list[Effect]:
        for key in event.drops:
            self._pending[key] = None
        self._pending.update(event.puts)
        self._revision = max(self._revision, event.revision)
        if self._deadlines.get("gather") is None:
            self._deadlines.set("gather", now + GATHER_S)
        return []

    def _due_gather(self, now: float) -> list[Effect]:
        if self._sending or self._awaited:
            return []  # taken up when the generation under way is acknowledged
        return self._seal() + self._bring_up_to_date(now)

    def _seal(self) -> list[Effect]:
        """Put what is pending into the catalogue; that is a new generation if it changes it."""
        fitted = not self._above_limit
        changed: list[int] = []
        for key, entry in self._pending.items():
            changed += self._put(key, entry)
        self._pending.clear()
        self._deadlines.cancel("gather")
        self._commit(changed + self._refill())
        self._revision_held = self._revision
        if fitted and self._above_limit:
            fields: dict[str, object] = {"limit": self._limit, "above": self.left_out}
            return [Notify("shares_above_limit", fields, "warning")]
        return []

    def _commit(self, changed: list[int]) -> None:
        self.generation += bool(changed)
        self._changed.update(dict.fromkeys(changed, self.generation))

    def _put(self, key: str, entry: Entry | None) -> list[int]:
        """Give `key` this entry, or none; the slots that changed."""
        self._above_limit.pop(key, None)
        slot = self._slots.get(key)
        if entry is None:
            return [] if slot is None else [self._empty(key, slot)]
        if slot is None:
            if len(self._slots) >= self._limit and not self._make_way(entry):
                self._above_limit[key] = entry
                return []
            slot = heapq.heappop(self._free) if self._free else len(self._slots)
            self._slots[key] = slot
        if self._catalogue.get(slot) == entry:
            return []
        self._catalogue.put(slot, entry)
        return [slot]

    def _make_way(self, entry: Entry) -> bool:
        """A folder stands for many files that may have no slot: for it, the last file gives up its
        own, which the caller takes."""
        if not is_manifest_name(entry.name):
            return False
        for key, slot in reversed(self._slots.items()):
            there = self._catalogue.get(slot)
            if there is not None and not is_manifest_name(there.name):
                self._empty(key, slot)
                self._above_limit[key] = there
                return True
        return False

    def _empty(self, key: str, slot: int) -> int:
        del self._slots[key]
        self._catalogue.drop(slot)
        heapq.heappush(self._free, slot)
        return slot

    def _refill(self) -> list[int]:
        """Slots that got free go to those above the limit, in the order they came; manifests first,
        which make room for themselves."""
        first = [key for key, each in self._above_limit.items() if is_manifest_name(each.name)]
        changed = [slot for key in first for slot in self._put(key, self._above_limit[key])]
        room = self._limit - len(self._slots)
        keys = list(self._above_limit)[:room] if room > 0 else []
        return changed + [slot for key in keys for slot in self._put(key, self._above_limit[key])]

    def _set_limit(self, entries_max: int) -> None:
        """The parent takes slots below this: what has a higher one moves down, or waits."""
        self._limit = min(entries_max, FILES_PER_LEAF_MAX)
        beyond = [(key, slot) for key, slot in self._slots.items() if slot >= self._limit]
        changed: list[int] = []
        for key, slot in beyond:
            entry = self._catalogue.get(slot)
            changed.append(self._empty(key, slot))
            if entry is not None:
                self._above_limit[key] = entry
        self._commit(changed + self._refill())

    # --- the parent -------------------------------------------------------------------------

    def _joined(self, event: Joined, now: float) -> list[Effect]:
        self._parent, self._held = event.parent, event.generation
        self._set_limit(event.entries_max)
        return self._seal() + self._bring_up_to_date(now)

    def _orphaned(self, _event: Orphaned, now: float) -> list[Effect]:
        self._parent, self._sending, self._awaited = None, False, False
        self._queue.clear()
        self._deadlines.cancel("pace")
        self._deadlines.cancel("again")
        if self._pending:
            self._deadlines.set("gather", now + GATHER_S)
        return []

    def _bring_up_to_date(self, now: float) -> list[Effect]:
        """From the generation that the parent holds to ours."""
        if self._parent is None:
            return []
        if self._held == self.generation:
            return [Acknowledged(self._revision_held)]
        self._deadlines.cancel("again")
        self._afresh = not self._first_generation <= self._held <= self.generation
        if self._afresh and not self._uploads.take(now):
            self._deadlines.set("again", now + max(self._uploads.wait_s, 0.001))
            return []
        if self._afresh:
            slots = list(self._slots.values())
        else:
            slots = [slot for slot, changed in self._changed.items() if changed > self._held]
        self._queue = sorted(slots, reverse=True)
        self._sending = True
        return self._send_some(now)

    def _send_some(self, now: float) -> list[Effect]:
        """The next few messages; the last of all is signed."""
        effects: list[Effect] = []
        parent = self._parent or b""
        for _ in range(self._config.publish_window):
            message = self._next_message()
            effects.append(Send(parent, message))
            if message.signature is not None:
                self._sending, self._awaited = False, True
                return effects
        self._deadlines.set("pace", now + PACE_S)
        return effects

    def _next_message(self) -> Publish:
        puts: list[Put] = []
        drops: list[int] = []
        room = self._config.publish_bytes
        while self._queue and room > 0 and len(puts) + len(drops) < CONTAINER_ITEMS_MAX:
            slot = self._queue.pop()
            entry = self._catalogue.get(slot)
            if entry is None:
                drops.append(slot)
                room -= ENTRY_BYTES
            else:
                puts.append(Put(slot, entry))
                room -= ENTRY_BYTES + len(entry.name.encode()) + len(entry.folder.encode())
        afresh, self._afresh = self._afresh, False
        signature = None if self._queue else self._signature()
        return Publish(self.generation, tuple(puts), tuple(drops), signature, afresh)

    def _signature(self) -> bytes:
        root = self._catalogue.root()
        return self._identity.sign(
            statement(self._network, self._identity.node, self.generation, root)
        )

    def _received(self, event: Received, now: float) -> list[Effect]:
        published = event.message
        if event.peer != self._parent or not isinstance(published, Published):
            return []
        if not self._awaited:
            return []
        self._awaited = False
        if published.refused or published.generation != self.generation:
            self._held = 0
            self._deadlines.set("again", now + self._config.join_s)
            reason = published.refused or f"it holds generation {published.generation}"
            return [Notify("publish_refused", {"reason": reason}, "warning")]
        self._held = self.generation
        effects: list[Effect] = [Acknowledged(self._revision_held)]
        return effects + (self._due_gather(now) if self._pending else [])

    def _woke(self, _event: Woke, now: float) -> list[Effect]:
        effects: list[Effect] = []
        for key in self._deadlines.pop_due(now):
            effects += self._DUE[str(key)](self, now)
        return effects

    _HANDLERS: ClassVar[dict[type[Event], Callable[..., list[Effect]]]] = {
        Offered: _offered,
        Joined: _joined,
        Orphaned: _orphaned,
        Received: _received,
        Woke: _woke,
    }

    _DUE: ClassVar[dict[str, Callable[..., list[Effect]]]] = {
        "gather": _due_gather,
        "pace": _send_some,
        "again": _due_gather,
    }
