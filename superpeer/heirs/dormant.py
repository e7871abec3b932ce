"""What we keep as heirs: copies of what leaves of neighbours share, asleep until they are needed.

    a neighbour's leaf ----------> ASLEEP --link to its parent lost--> AWAKE --lease over--> gone
                                   ^    ^-------its parent is back-------'
    a leaf of ours moves -> SHOWN -'
    in any of them: the leaf joins us, and is ours; nothing is sent again

A copy is in exactly one of these states, and changes it in `_enter` alone. It is in our index and
so in our digest from the start, and in no answer while it sleeps. When the link to the parent that
gave it is lost it wakes at once, and lives for a lease unless the leaf joins; when the parent is
back it offers the copy again, which sleeps then. What was ours is shown for a moment, for queries
that are under way, and sleeps then; if we leave, or its parent is no neighbour by then, it is gone.

A copy is held as what a leaf itself publishes is, under the leaf's own signature: a parent can hold
back what is new and forge nothing. Only neighbours give copies, with addresses that they may speak
of; what the leaf itself says by joining goes first. All copies together have a budget, and no
neighbour more than half of it; nor do we keep more of one neighbour than would find places here,
should it end.
"""

from collections import Counter
from collections.abc import Callable, Container, Mapping
from enum import Enum
from typing import Final

from common.addresses import may_tell
from common.config import ClusterConfig
from common.core import Effect, LinkUp, Send
from common.deadlines import Deadlines
from common.ids import NodeId
from common.messages.cluster import Publish
from common.messages.overlay import Held, Hold, Release
from superpeer.index.holding import Holding, PublishError
from superpeer.index.index import Index
from superpeer.index.share import Share, index_some

FULL: Final = "it holds as many copies as it can"


class State(Enum):
    """What is found here of a copy."""

    ASLEEP = "asleep"  # nothing: its parent lives
    SHOWN = "shown"  # all, for a moment: the leaf was ours until now, and its parent lives
    AWAKE = "awake"  # all, for a lease: its parent is gone


class _Copy(Share):
    """What a leaf shares, as its parent tells it."""

    __slots__ = ("awaited", "parent", "state")

    def __init__(self, parent: NodeId, share: Share) -> None:
        super().__init__(share.epoch, share.joins, share.source, share.holding)
        self.unindexed = share.unindexed
        self.parent = parent
        self.state = State.ASLEEP
        self.awaited = False  # the parent waits for our answer until all of it is in the index

    @property
    def entries(self) -> int:
        """What it counts for in the budget."""
        return len(self.holding) + self.holding.staged


class Dormant:
    """The copies by leaf, none of which is a leaf of ours. `neighbours` may give us some; `links`
    tell where they are."""

    def __init__(
        self,
        network: str,
        config: ClusterConfig,
        index: Index,
        *,
        links: Mapping[NodeId, LinkUp],
        neighbours: Container[NodeId],
        on_changed: Callable[[NodeId], None],
        on_dropped: Callable[[float], None],
    ) -> None:
        """`on_changed` hears of a leaf whose hits are not what they were, `on_dropped` that there
        is something to sweep from the index."""
        self._network = network
        self._config = config
        self._index = index
        self._links = links
        self._neighbours = neighbours
        self._on_changed = on_changed
        self._on_dropped = on_dropped
        self._copies: dict[NodeId, _Copy] = {}
        self._deadlines = Deadlines()
        self._closed = ""
        self.woken = 0
        """How often a copy woke."""
        self.inherited = 0
        """How many leaves joined us and found what they share here."""
        self.dropped: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._copies)

    def __contains__(self, leaf: NodeId) -> bool:
        """Whether we are the heir of this leaf."""
        return leaf in self._copies

    # --- questions --------------------------------------------------------------------------

    def share_of(self, leaf: NodeId) -> Share | None:
        """What may be shown of a leaf: nothing while it sleeps."""
        copy = self._copies.get(leaf)
        return None if copy is None or copy.state is State.ASLEEP else copy

    def has_place(self, peer: NodeId, leaf: NodeId, places_free: int) -> bool:
        """Whether a leaf of a neighbour would find a place here should that one end: beside its
        others that we are heir of, and those that are on their way to us now."""
        if leaf in self._copies:
            return True
        copies = self._copies.values()
        coming = sum(each.state is State.AWAKE or each.parent == peer for each in copies)
        return coming < places_free

    # --- messages ---------------------------------------------------------------------------

    def on_hold(self, peer: NodeId, message: Hold, now: float) -> list[Effect]:
        """A neighbour asks us to be an heir, or tells what is new of a leaf of its."""
        copy, why = self._copies.get(message.leaf), self.fault(peer, message)
        if why:
            return self._refuse(peer, message, why, now)
        if copy is None or copy.epoch != message.epoch:
            copy = self._begin(peer, message, now)
        elif copy.parent != peer or copy.state is State.AWAKE:
            self._enter(message.leaf, State.ASLEEP)
            copy.awaited = False  # it was another who waited, or who is gone
        copy.parent, copy.joins, copy.source = peer, message.joins, message.source
        self._on_changed(message.leaf)
        if _is_question(message):
            copy.holding.unstage()  # what comes next begins anew
            return [Send(peer, Held(message.leaf, copy.holding.generation))]
        return self._take(peer, copy, message, now)

    def on_release(self, peer: NodeId, message: Release, now: float) -> list[Effect]:
        """Its parent wants it kept here no longer."""
        copy = self._copies.get(message.leaf)
        if copy is not None and copy.parent == peer:
            self._forget(message.leaf, now)
        return []

    # --- what happens -----------------------------------------------------------------------

    def parent_lost(self, peer: NodeId, now: float) -> list[NodeId]:
        """The link to a parent is gone: its leaves that we are heir of are found from now on; who
        they are."""
        theirs = [leaf for leaf, copy in self._copies.items() if copy.parent == peer]
        for leaf in theirs:
            if not self._copies[leaf].holding.generation:
                self._forget(leaf, now)  # there is nothing to find
        woken = [leaf for leaf in theirs if leaf in self._copies]
        for leaf in woken:
            if self._copies[leaf].state is not State.AWAKE:
                self.woken += 1
                self._enter(leaf, State.AWAKE, now + self._config.lease_s)
        return woken

    def parent_parted(self, peer: NodeId, now: float) -> None:
        """It is no neighbour of ours any more, and lives: it names others."""
        for leaf, copy in list(self._copies.items()):
            if copy.parent == peer and copy.state is State.ASLEEP:
                self._forget(leaf, now)

    def adopt(self, leaf: NodeId, epoch: int, now: float) -> tuple[NodeId, Share] | None:
        """A leaf joins us: who its parent was, and what we have of it, found from now on."""
        copy = self._copies.get(leaf)
        if copy is None:
            return None
        if copy.epoch != epoch or not copy.holding.generation:
            self._forget(leaf, now)  # of another life, or nobody has proven that it was its parent
            return None
        del self._copies[leaf]
        self._quiet(leaf)
        self._index.wake(leaf)
        self.inherited += 1
        return copy.parent, copy

    def keep(
        self, leaf: NodeId, share: Share, parent: NodeId, now: float, *, shown_s: float = 0.0
    ) -> None:
        """A leaf that was ours is another's, who asks us to be its heir: it is found here for
        `shown_s` more and sleeps then, and what is not in the index yet goes there all the same. At
        the limit a copy of nothing gives way."""
        if len(self._copies) >= self._config.copies_max and (hollow := self._hollow()) is not None:
            self._forget(hollow, now)
        self._copies[leaf] = _Copy(parent, share)
        if shown_s:
            self._enter(leaf, State.SHOWN, now + shown_s)
        else:
            self._enter(leaf, State.ASLEEP)
        if share.unindexed:
            self._deadlines.set(("index", leaf), now)

    def close(self, why: str, now: float) -> list[Effect]:
        """Be nobody's heir any more."""
        self._closed = why
        refusals: list[Effect] = []
        for leaf, copy in list(self._copies.items()):
            if copy.parent in self._links:
                refusals.append(Send(copy.parent, Held(leaf, refused=why)))
            if copy.state is State.ASLEEP:
                self._forget(leaf, now)
        return refusals

    def due(self, now: float) -> list[Effect]:
        """End the copies that nobody came for, and go on indexing."""
        effects: list[Effect] = []
        for key in self._deadlines.pop_due(now):
            if isinstance(key, tuple) and key[1] in self._copies:
                if key[0] == "index":
                    effects += self._index_some(key[1], self._copies[key[1]], now)
                else:
                    self._due_end(key[1], now)
        return effects

    def wakeup(self) -> float | None:
        """The earliest deadline."""
        return self._deadlines.earliest()

    # --- states -----------------------------------------------------------------------------

    def _enter(self, leaf: NodeId, state: State, until: float | None = None) -> None:
        """What is found of a copy from now on, and when that ends by itself."""
        copy = self._copies[leaf]
        copy.state = state
        self._on_changed(leaf)
        if state is State.ASLEEP:
            self._index.hide(leaf)
        else:
            self._index.wake(leaf)
        if until is None:
            self._deadlines.cancel(("end", leaf))
        else:
            self._deadlines.set(("end", leaf), until)

    def _due_end(self, leaf: NodeId, now: float) -> None:
        """A copy was found here for as long as it may be: it sleeps if somebody wants it."""
        copy = self._copies[leaf]
        is_wanted = not self._closed and copy.parent in self._neighbours
        if copy.state is State.SHOWN and is_wanted:
            self._enter(leaf, State.ASLEEP)
        else:
            self._forget(leaf, now)

    # --- the steps they share ---------------------------------------------------------------

    def fault(self, peer: NodeId, message: Hold, entries: int = 0) -> str:
        """Why we are not to be the heir of one that has so many entries here; '' where we are."""
        copy = self._copies.get(message.leaf)
        if self._closed:
            return self._closed
        if peer not in self._neighbours or peer not in self._links:
            return "this super-peer is no neighbour"
        if message.source.node != message.leaf:
            return "its source is another node"
        if not may_tell(message.source.address, self._links[peer].address):
            return "its address is not for us to use"
        if copy is None:
            if not _is_question(message):
                return "nothing is kept of it"
        elif copy.parent != peer and self._belongs(copy, message):
            return "another super-peer is its parent"
        return "" if self._has_room(peer, message, copy, entries) else FULL

    def _belongs(self, copy: _Copy, message: Hold) -> bool:
        """Whether a copy stays another's: it knows a later join, or that one lives and has not
        released it, or is dead and its copy awake until the leaf comes or its lease is over. Nobody
        has signed the numbers of a question; a copy of which nothing signed came is nobody's."""
        if not copy.holding.generation:
            return False
        is_later = (message.epoch, message.joins) > (copy.epoch, copy.joins)
        lives = copy.parent in self._links and copy.parent in self._neighbours
        return not is_later or lives or copy.state is State.AWAKE

    def _has_room(self, peer: NodeId, message: Hold, copy: _Copy | None, entries: int) -> bool:
        """Whether the budget has room for what is told, of all and of this neighbour."""
        theirs = [each for each in self._copies.values() if each.parent == peer]
        is_new = copy is None or copy.parent != peer
        leaves_max, entries_max = self._config.copies_max, self._config.copied_entries_max
        if is_new and len(theirs) >= leaves_max // 2:
            return False
        if is_new and len(self._copies) >= leaves_max and self._hollow() is None:
            return False
        more = len(message.puts) + entries
        if not more:
            return True
        ours = sum(each.entries for each in theirs) + more
        total = sum(each.entries for each in self._copies.values()) + more
        return ours <= entries_max // 2 and total <= entries_max

    def _refuse(self, peer: NodeId, message: Hold, why: str, now: float) -> list[Effect]:
        """Say no, and keep nothing that this parent has told of the leaf."""
        copy = self._copies.get(message.leaf)
        joins = 0
        if copy is not None and copy.parent == peer:
            self._forget(message.leaf, now)
        elif copy is not None and copy.epoch == message.epoch:
            joins = copy.joins
        self.dropped["hold_refused"] += 1
        return [Send(peer, Held(message.leaf, 0, joins, why))] if peer in self._links else []

    def _begin(self, peer: NodeId, message: Hold, now: float) -> _Copy:
        """A leaf of which we have nothing, or something of an earlier life."""
        self._forget(message.leaf, now)
        holding = Holding(self._network, message.leaf, self._config.entries_max)
        share = Share(message.epoch, message.joins, message.source, holding)
        self.keep(message.leaf, share, peer, now)
        return self._copies[message.leaf]

    def _hollow(self) -> NodeId | None:
        """One of which nothing that a leaf has signed ever came: it gives way to others."""
        hollow = (leaf for leaf, copy in self._copies.items() if not copy.holding.generation)
        return next(hollow, None)

    def _take(self, peer: NodeId, copy: _Copy, message: Hold, now: float) -> list[Effect]:
        """Some of what the leaf has signed, or the last of it."""
        told = Publish(
            message.generation, message.puts, message.drops, message.signature, message.afresh
        )
        try:
            changes = copy.holding.publish(told)
        except PublishError as error:
            return self._refuse(peer, message, str(error), now)
        if changes is None:
            return [Send(peer, Held(message.leaf, copy.holding.generation))]
        copy.unindexed |= changes
        copy.awaited = True
        return self._index_some(message.leaf, copy, now)

    def _index_some(self, leaf: NodeId, copy: _Copy, now: float) -> list[Effect]:
        """A slice; the parent hears when it was the last."""
        why = index_some(self._index, leaf, copy, self._config)
        parent, is_awaited = copy.parent, copy.awaited and copy.parent in self._links
        if why:
            self._forget(leaf, now)
        elif copy.unindexed:
            self._deadlines.set(("index", leaf), now)
            return []
        copy.awaited = False
        held = Held(leaf, 0 if why else copy.holding.generation, refused=why)
        return [Send(parent, held)] if is_awaited else []

    def _forget(self, leaf: NodeId, now: float) -> None:
        """Keep nothing of a leaf."""
        if self._copies.pop(leaf, None) is None:
            return
        self._quiet(leaf)
        self._on_changed(leaf)  # its documents are somebody else's soon
        self._index.drop_leaf(leaf)
        self._on_dropped(now)

    def _quiet(self, leaf: NodeId) -> None:
        for what in ("end", "index"):
            self._deadlines.cancel((what, leaf))


def _is_question(message: Hold) -> bool:
    """Whether it asks us to be an heir, and tells nothing yet."""
    return not (message.puts or message.drops or message.signature or message.afresh)
