"""The sources of one download: found, linked with, tried again, or ruled out.

No more are linked or dialled than is allotted, by lot among those that failed least often: who is
heard of first may be made up. Nor are there more than are enough on the word of the parent alone,
or of other leaves alone: whom a parent names are told of one another, and would be a clique that
each piece has to be brought to; whom leaves name may be made up, and would keep out all others. A
dial that should have been answered takes no other's place, and a place where nobody answered is not
dialled again soon, under whatever keys, by whatever download (`leaf.links.places`). A source whose
link fails is tried again after longer and longer pauses and forgotten after a few; one that lied is
remembered and never taken up again. What they are asked for stands in `leaf.swarm.fetch`.
"""

from collections.abc import Collection, Iterator, Sequence
from random import Random
from typing import Final

from pyroaring import BitMap

from common.config import SwarmConfig
from common.core import Dial, Effect, Hangup, Notify, Send
from common.deadlines import Deadlines
from common.doors import Door
from common.ids import NodeId, node_text
from common.messages.fields import Contact
from common.messages.swarm import Interested, NotInterested
from leaf.links.links import BulkLinks
from leaf.signals import PushWanted, SourcesUnwanted, SourcesWanted
from leaf.swarm.source import Phase, Source

SOURCES_MAX: Final = 200  # known for one file, as a list of hosts has
SOURCES_ENOUGH: Final = 30  # linked or dialled: the parent is asked for no more (BEP 3: plenty)
TRIES_MAX: Final = 3  # links in a row that brought nothing before it is forgotten (THREATS T3)
PUSH_S: Final = 1.0  # a dial that is not answered so long may never be; wild guess
OVERDUE_MAX: Final = 32  # dials that take nobody's place: so many made-up ones are waited for
PLACE_TURN: Final = 0.25  # of redial_s: within it all downloads that want a place come, as drawn
LIARS_MAX: Final = 1_000


class Sources:
    """Who has the file, as far as we know, and which of them we are linked with."""

    def __init__(
        self, root: bytes, size: int, links: BulkLinks, config: SwarmConfig, rng: Random
    ) -> None:
        self._root = root
        self._size = size
        self._links = links
        self._config = config
        self._rng = rng
        self._sources: dict[NodeId, Source] = {}
        self._linked = 0  # how many; asked for with each message
        self._taken = {False: 0, True: 0}  # links and dials, by whether other leaves named them
        self._overdue = 0  # dials that take no link
        self._wanted = False
        self.links_max = 1
        """With how many we may be linked."""
        self.liars: dict[NodeId, None] = {}
        self.deadlines = Deadlines()
        """("data", peer): it should have sent something; ("retry", peer): it may be tried again;
        ("push", peer): it should have answered our dial; ("place", address): it may be dialled."""

    def __iter__(self) -> Iterator[Source]:
        return iter(list(self._sources.values()))

    def get(self, peer: NodeId) -> Source | None:
        """The source that `peer` is, if it is one."""
        return self._sources.get(peer)

    @property
    def contacts(self) -> tuple[Contact, ...]:
        """All that are not ruled out, and where they are."""
        return tuple(Contact(each.peer, each.address) for each in self._sources.values())

    def is_linked(self, peer: NodeId) -> bool:
        """Whether we are linked with this source."""
        source = self._sources.get(peer)
        return source is not None and source.phase is Phase.LINKED

    @property
    def linked(self) -> list[Source]:
        """Those that there is a link to."""
        return [each for each in self._sources.values() if each.phase is Phase.LINKED]

    @property
    def have_something(self) -> bool:
        """Whether one of those has a piece, or has not shown yet that it has none."""
        for each in self._sources.values():
            if each.phase is Phase.LINKED and (not each.shown or each.has is None or each.has):
                return True
        return False

    def lacked(self, peer: NodeId, pieces: BitMap) -> BitMap:
        """Those of these pieces that a leaf does not have, as far as we know."""
        source = self._sources.get(peer)
        if source is None or not source.shown:
            return pieces
        return BitMap() if source.has is None else pieces - source.has

    @property
    def linked_count(self) -> int:
        """With how many there is a link."""
        return self._linked

    def may_end(self, source: Source, gave: Collection[NodeId]) -> bool:
        """Whether it may be asked for what another lets us wait for: only such as `gave` may, where
        there are any, since among the idle are all that never answer."""
        return source.peer in gave or not any(
            each.ready and not each.snubs and each.peer in gave for each in self._sources.values()
        )

    def choking_long(
        self, among: Sequence[Source], gave: Collection[NodeId], now: float
    ) -> list[Source]:
        """Those that have choked us for `request_s` and more, and never gave; the longest first."""
        since = now - self._config.request_s
        choking = [each for each in among if _chokes(each, gave, since)]
        return sorted(choking, key=lambda each: each.linked_at)

    @property
    def full(self) -> bool:
        """Whether all links that it may have are taken."""
        return self._busy >= self.links_max

    @property
    def crowded(self) -> bool:
        """Whether one that could be tried waits for a link."""
        return bool(self._waiting)

    @property
    def _waiting(self) -> dict[bool, None]:
        """Of such as who waits for a link: named by other leaves, or not."""
        return {
            each.is_hearsay: None
            for each in self._sources.values()
            if not self._has_link_for(each) and self._may_try(each)
        }

    @property
    def in_the_way(self) -> list[Source]:
        """Those whose link one that waits could have instead."""
        waiting = self._waiting
        if not waiting:
            return []
        any_link = any(self._taken[kind] < SOURCES_ENOUGH for kind in waiting)
        return [each for each in self.linked if any_link or each.is_hearsay in waiting]

    def room(self, *, scarce: bool) -> int:
        """How many more would be dialled at once, if other leaves named them; where pieces are
        scarce among those that are linked, as many as may be."""
        if len(self._sources) >= SOURCES_MAX or any(map(self._may_dial, self._sources.values())):
            return 0
        enough = SOURCES_ENOUGH - (self._taken[True] if scarce else self._busy)
        return max(min(self.links_max - self._busy, enough), 0)

    def _may_dial(self, source: Source) -> bool:
        """Whether it is dialled next time."""
        return self._has_link_for(source) and self._may_try(source)

    def _has_link_for(self, source: Source) -> bool:
        """Whether a link to such as this may be made."""
        return not self.full and self._taken[source.is_hearsay] < SOURCES_ENOUGH

    def _may_try(self, source: Source) -> bool:
        """Whether it is neither linked nor dialled, nor it or its place resting after a try."""
        if source.phase is not Phase.KNOWN:
            return False
        rests = (("retry", source.peer), ("place", source.address))
        return all(self.deadlines.get(key) is None for key in rests)

    def park(self, source: Source, now: float) -> list[Effect]:
        """It has nothing for us now: another may have its link, and it is tried again later."""
        self._enter(source, Phase.KNOWN)
        self.expect_nothing(source)
        pause_s = self._config.redial_max_s * self._rng.uniform(0.75, 1.25)
        self.deadlines.set(("retry", source.peer), now + pause_s)
        return [Send(source.peer, NotInterested(self._root))]

    @property
    def _busy(self) -> int:
        return self._taken[False] + self._taken[True]

    def _enter(self, source: Source, phase: Phase) -> None:
        """Another phase; one without a link has said nothing yet."""
        self._leave_phase(source)
        if phase is Phase.KNOWN:
            source.unlink()
        source.phase = phase
        self._count(source, 1)

    def _count(self, source: Source, one: int) -> None:
        """Enter what it takes into the books, or strike it out."""
        self._linked += one * (source.phase is Phase.LINKED)
        takes = source.phase is not Phase.KNOWN and not source.overdue
        self._taken[source.is_hearsay] += one * takes

    def _leave_phase(self, source: Source) -> None:
        self._count(source, -1)
        self._overdue -= source.overdue
        source.overdue = False

    def add(self, contacts: Sequence[Contact], tries_left: int = TRIES_MAX) -> None:
        """These are said to have the file; so often is each tried before it is forgotten. Nobody
        signs where a leaf is: where it was not reached it may be wherever else it is said to be."""
        for contact in contacts:
            known = self._sources.get(contact.node)
            if known is not None and known.tries and known.phase is Phase.KNOWN:
                known.address = contact.address
            if known is not None and known.is_hearsay and tries_left == TRIES_MAX:
                self._count(known, -1)
                known.is_hearsay = False  # the parent names it too
                self._count(known, 1)
            is_new = known is None and contact.node not in self.liars
            if is_new and len(self._sources) < SOURCES_MAX:
                source = Source(contact.node, contact.address, tries=TRIES_MAX - tries_left)
                source.is_hearsay = tries_left < TRIES_MAX
                self._sources[contact.node] = source

    def reach(self, now: float) -> list[Effect]:
        """Link with as many as allowed."""
        effects: list[Effect] = []
        if self.full:
            return effects
        ready = [each for each in self._sources.values() if self._may_dial(each)]
        self._rng.shuffle(ready)
        for source in sorted(ready, key=_failures):
            if self._may_dial(source):  # neither is its place dialled since, nor too many others
                effects += self._contact(source, now)
        return effects

    def _contact(self, source: Source, now: float) -> list[Effect]:
        if self._links.is_up(source.peer):
            return self.greet(source, now)
        if source.address.is_a_place:
            rests_until = self._links.places.take(source.peer, source.address, now)
            turn_s = PLACE_TURN * self._config.redial_s
            if rests_until is not None:  # another download dialled it; who comes next is drawn
                again_at = rests_until + self._rng.uniform(0.0, turn_s)
                self.deadlines.set(("place", source.address), again_at)
                return []
            again_at = now + self._config.redial_s + turn_s  # others first
            self.deadlines.set(("place", source.address), again_at)
        self._enter(source, Phase.DIALLING)
        self.deadlines.set(("push", source.peer), now + PUSH_S)
        return [Dial(source.peer, source.address, Door.BULK)]

    def linked_with(self, source: Source, now: float, *, inbound: bool) -> list[Effect]:
        """A link is up: one that we dialled for, or one of somebody whom we could not dial."""
        is_awaited = source.phase is Phase.DIALLING or (inbound and source.phase is Phase.KNOWN)
        if source.overdue and not self._has_link_for(source):
            return self.park(source, now)  # others came sooner
        return self.greet(source, now) if is_awaited else []

    def greet(self, source: Source, now: float) -> list[Effect]:
        """The link is there: say what we want."""
        self._enter(source, Phase.LINKED)
        for key in ("retry", "push"):
            self.deadlines.cancel((key, source.peer))
        self.deadlines.cancel(("place", source.address))
        source.linked_at = now
        self.expect(source, now)
        return [Send(source.peer, Interested(self._root, self._size))]

    def expect(self, source: Source, now: float) -> None:
        """It owes us something from now on."""
        self.deadlines.set(("data", source.peer), now + self._config.request_s)

    def expect_nothing(self, source: Source) -> None:
        """It owes us nothing."""
        self.deadlines.cancel(("data", source.peer))

    def unlink(self, source: Source, now: float) -> list[Effect]:
        """The link is gone: try again later, or forget it; who cannot be dialled is to dial us."""
        effects: list[Effect] = []
        if self.deadlines.get(("push", source.peer)) is not None:
            effects = self.push(source)
        source.tries += 1
        if source.tries >= TRIES_MAX:
            self.forget(source)
            return effects
        self._enter(source, Phase.KNOWN)
        self.expect_nothing(source)
        pause = self._config.redial_s * 2 ** (source.tries - 1)
        jittered = min(pause, self._config.redial_max_s) * self._rng.uniform(0.75, 1.25)
        self.deadlines.set(("retry", source.peer), now + jittered)
        return effects

    def push(self, source: Source) -> list[Effect]:
        """Our dial is not answered: it is to dial us meanwhile, and others are dialled."""
        self.deadlines.cancel(("push", source.peer))
        if source.phase is Phase.DIALLING and not source.overdue and self._overdue < OVERDUE_MAX:
            self._count(source, -1)
            source.overdue, self._overdue = True, self._overdue + 1
        cannot_dial = source.phase is Phase.DIALLING and source.address.is_a_place
        return [PushWanted(self._root, source.peer)] if cannot_dial else []

    def forget(self, source: Source) -> None:
        """It is no source any more, unless somebody names it again."""
        self.expect_nothing(source)
        for key in ("retry", "push"):
            self.deadlines.cancel((key, source.peer))
        if self._sources.pop(source.peer, None) is not None:
            self._leave_phase(source)

    def dismiss(self, source: Source) -> list[Effect]:
        """It does not have the file after all."""
        linked = source.phase is Phase.LINKED
        self.forget(source)
        return [Send(source.peer, NotInterested(self._root))] if linked else []

    def accuse(self, source: Source, reason: str) -> list[Effect]:
        """It sent wrong bytes: it is never asked for this file again."""
        self.remember_liar(source.peer)
        self.forget(source)
        fields: dict[str, object] = {"node": node_text(source.peer), "reason": reason}
        return [
            Notify("source_dropped", fields, "warning"),
            Hangup(source.peer, Door.BULK, reason),
        ]

    def remember_liar(self, peer: NodeId) -> None:
        """Its wrong bytes came to light after its link was gone."""
        if len(self.liars) < LIARS_MAX:
            self.liars[peer] = None

    def want_more(self, complete: bool, gave: Collection[NodeId], now: float) -> list[Effect]:
        """Say so when sources become too few, or enough."""
        enough = self._busy >= SOURCES_ENOUGH  # of them those count that may give something
        if enough:
            since = now - self._config.request_s
            idle = sum(each.has_none or _chokes(each, gave, since) for each in self.linked)
            enough = self._busy - idle >= SOURCES_ENOUGH
        wanted = not complete and not enough
        if wanted == self._wanted:
            return []
        self._wanted = wanted
        return [SourcesWanted(self._root, self._size) if wanted else SourcesUnwanted(self._root)]


def _chokes(source: Source, gave: Collection[NodeId], since: float) -> bool:
    """Whether it never gave, and has let us wait since it was linked, before `since`."""
    return source.choking and source.linked_at <= since and source.peer not in gave


def _failures(source: Source) -> int:
    return source.tries
