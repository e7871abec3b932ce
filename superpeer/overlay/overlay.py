"""Our neighbours: agreeing to be neighbours, and telling one another of change.

A neighbour is a peer that both ends agreed on over a proven link. Who may be one is said by
`superpeer.overlay.places`; who comes when there is no room is told of others. What a neighbour says
about addresses is believed within its scope only, and its own address is where we saw it. How those
that we want are found and kept is `superpeer.overlay.joining`; queries are no business of this
file.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from random import Random
from typing import Final

from common.addresses import may_tell
from common.config import OverlayConfig
from common.core import DatagramReceived, Effect, LetGo, LinkUp, Notify, Send
from common.deadlines import Deadlines, soonest
from common.doors import Door
from common.hostcache import HostCache
from common.ids import NodeId, node_text
from common.limits import DEGREE_MAX
from common.meeting import Meeting, Seed
from common.messages.fields import Contact
from common.messages.overlay import Link, Linked, Neighbourhood, Unlinked
from common.rates import Bucket
from superpeer.methods import Graph, NeighbourRow
from superpeer.overlay.joining import PARTED, Joining, Why
from superpeer.overlay.keeping import Keeping
from superpeer.overlay.neighbour import Neighbour, graph, rows, staying
from superpeer.overlay.places import Places
from superpeer.overlay.pongs import Pongs
from superpeer.overlay.reach import unpack
from superpeer.overlay.vicinity import Vicinity

NOTES_PER_S: Final = 1.0  # of neighbours that come and go, for the log; wild guess
NOTES_BURST: Final = 4 * DEGREE_MAX
NEWS_HEARD: Final = 2.0  # times `news_s`: by then all that lost somebody have told so
LOSS_TOLD_S: Final = 0.2  # after it: all around know it, and have orphans to take in; wild guess

_GOSSIP: Final = "gossip"
_LEAVE: Final = "leave"


class Overlay:
    """Our place among the super-peers. `links` is read as it is at the moment; `on_linked` hears of
    each new neighbour, `on_parted` of each that is none any more though its link is there."""

    def __init__(
        self,
        me: NodeId,
        *,
        config: OverlayConfig,
        rng: Random,
        links: Mapping[NodeId, LinkUp],
        meeting: Meeting,
        seeds: tuple[Seed, ...],
        on_linked: Callable[[NodeId, float], list[Effect]],
        on_parted: Callable[[NodeId, float], list[Effect]],
    ) -> None:
        self._me = me
        self._on_linked = on_linked
        self._on_parted = on_parted
        self._config = config
        self._rng = rng
        self._meeting = meeting
        self._links = links
        self._deadlines = Deadlines()
        self._told_at = float("-inf")
        self._told = b""  # of who is near us
        self._leaves = 0
        self._notes = Bucket(NOTES_PER_S, NOTES_BURST, 0.0)
        self.neighbours: dict[NodeId, Neighbour] = {}
        self._vicinity = Vicinity(self.neighbours, NEWS_HEARD * config.news_s)
        self.dropped: Counter[str] = Counter()
        self.cache = HostCache(me, rng)
        self.places = Places(config, self.neighbours)
        self.places.joining = self.joining = Joining(
            me,
            config=config,
            rng=rng,
            links=links,
            neighbours=self.neighbours,
            has_room=self.places.has_room,
            greeting=self._greeting,
            cache=self.cache,
            meeting=meeting,
            seeds=seeds,
        )
        self.pongs = Pongs(config.pong_s, rng, self.neighbours)
        self.keeping = Keeping(
            config,
            rng,
            links=links,
            neighbours=self.neighbours,
            cache=self.cache,
            joining=self.joining,
            places=self.places,
            meeting=meeting,
            part=self._leave,
        )

    def start(self, now: float) -> list[Effect]:
        """Our doors are open: go and find neighbours."""
        self.keeping.start(now)
        return self.joining.start(now)

    def stop(self) -> list[Effect]:
        """Take no neighbours any more and look for none."""
        self.places.close()
        return self.keeping.stop()

    # --- messages ---------------------------------------------------------------------------

    def on_link(self, peer: NodeId, message: Link, now: float) -> list[Effect]:
        """Somebody wants us as a neighbour."""
        if peer not in self.neighbours:
            if self.places.is_parted(peer, now):
                self.dropped["link_too_soon"] += 1
                return [Send(peer, Unlinked())]
            if peer == self._me or not self.places.takes(peer, message):
                self.places.part(peer, now)
                self._hear_of(peer, now)
                return [Send(peer, Unlinked(self._alternatives(peer)))]
        linked = Linked(self._leaves, self.contacts(but=peer), self._vicinity.told())
        return [Send(peer, linked), *self._admit(peer, message, now)]

    def on_linked(self, peer: NodeId, message: Linked, now: float) -> list[Effect]:
        """Somebody we asked agrees."""
        if peer not in self.neighbours:
            if not self.joining.has_asked(peer):
                return self._drop("linked_unasked")
            if not self.places.has_room(peer):
                return [Send(peer, Unlinked(self._alternatives(peer)))]
        return self._admit(peer, message, now)

    def on_unlinked(self, peer: NodeId, message: Unlinked, now: float) -> list[Effect]:
        """Somebody does not want us, or not any more: later again, and one of the others now."""
        if peer not in self.neighbours and not self.joining.has_asked(peer):
            return self._drop("unlinked_unasked")
        if message.leaving and peer in self.neighbours:
            self._mark_leaving(peer, now + 2 * self._config.leave_s, now)
            return []
        was_neighbour = peer in self.neighbours
        effects = self._on_parted(peer, now) if was_neighbour else []
        if was_neighbour:
            self.places.part(peer, now)
        learned_from = self._links[peer].address
        others = [one for one in message.alternatives if may_tell(one.address, learned_from)]
        self.cache.hear(others, Contact(peer, learned_from), now)
        effects += self._lose(peer, now)
        if was_neighbour:
            effects.append(LetGo(peer, Door.CONTROL, PARTED))
        return effects + (self.joining.want_one_of(others, now) if self.places.has_room() else [])

    def on_neighbourhood(self, peer: NodeId, message: Neighbourhood, now: float) -> list[Effect]:
        """A neighbour's load or neighbours changed."""
        if peer not in self.neighbours:
            return self._drop("neighbourhood_of_stranger")
        self._hear(peer, message, now)
        self._tell_news(now)
        return []

    # --- links and time ---------------------------------------------------------------------

    def linked(self, event: LinkUp, now: float) -> list[Effect]:
        """A link is up; whom we reached ourselves is remembered."""
        peer, effects = event.peer, list[Effect]()
        if peer != self._me and not event.inbound and event.address.is_a_place:
            contact = Contact(peer, event.address)
            self.cache.worked(contact)
            self.pongs.saw(contact, now)
            effects += self.keeping.feelers.remember(contact)
        effects += self.joining.peer_linked(peer, now)
        return effects + self.keeping.feelers.linked(peer)

    def link_lost(self, peer: NodeId, now: float, *, was_up: bool) -> list[Effect]:
        """The link to a peer is gone, or could not be made."""
        if not was_up:
            self.cache.failed(peer)
        neighbour = self.neighbours.get(peer)
        if neighbour is not None and not neighbour.leaving:
            self._vicinity.lost(peer, now)
        return self._lose(peer, now)

    def on_pong(self, event: DatagramReceived, now: float) -> list[Effect]:
        """Somebody that we pinged is there."""
        heard = self._meeting.heard(event)
        if heard is None:
            return []
        key, pong = heard
        if pong.superpeer is not None and pong.superpeer.node == pong.node:
            self.pongs.saw(Contact(pong.node, event.address), now)
        self.cache.hear(pong.others, Contact(pong.node, event.address), now)
        if isinstance(key, tuple):
            self.keeping.turnover.on_pong(key[1], pong, now)
            return []
        return self.joining.on_pong(str(key), pong, event.address, now)

    def measured(self, peer: NodeId, rtt_s: float) -> None:
        """The round trip to a neighbour."""
        if peer in self.neighbours:
            self.neighbours[peer].rtt_s = rtt_s

    def due(self, now: float) -> list[Effect]:
        """Tell the neighbours what changed, and go on with those that we want."""
        effects = [*self.joining.due(now), *self.keeping.due(now)]
        if self._vicinity.due(now):
            self._tell_news(now)
        for key in self._deadlines.pop_due(now):
            if isinstance(key, tuple):
                effects += self._due_leave(key[1], now)
                continue
            self._told_at, self._told = now, self._vicinity.told()
            effects += [
                Send(peer, Neighbourhood(self._leaves, self.contacts(but=peer), self._told))
                for peer in self.neighbours
            ]
        return effects

    def wakeup(self) -> float | None:
        """The earliest deadline."""
        parts = (self.joining, self.keeping, self._vicinity)
        return soonest([self._deadlines.earliest(), *(part.wakeup() for part in parts)])

    # --- leaves -----------------------------------------------------------------------------

    def load(self, leaves: int, now: float) -> None:
        """How many leaves we have; neighbours are told when it changes."""
        if leaves != self._leaves:
            self._leaves = leaves
            self._tell_later(now, self._config.gossip_s)

    def refer(self) -> tuple[Contact, ...]:
        """Send a leaf that we do not take to our neighbours, who has fewest leaves first: those are
        counted that were sent to it since it said its load, so not all are sent to one. Before them
        the better of two by lot: who always says that it has none gets no more than that
        (Mitzenmacher 2001: two choices)."""
        beside = self.neighbours

        def load(contact: Contact) -> int:
            return beside[contact.node].leaves + beside[contact.node].referred

        contacts = sorted(self.contacts(), key=load)
        if not contacts:
            return ()
        first = min(self._rng.sample(contacts, min(2, len(contacts))), key=load)
        beside[first.node].referred += 1
        return (first, *(one for one in contacts if one is not first))

    # --- questions --------------------------------------------------------------------------

    def needs(self, peer: NodeId) -> bool:
        """Whether we want the link to `peer`: it is our neighbour, or may become one."""
        return peer in self.neighbours or self.joining.why(peer) is not None

    def contacts(self, but: NodeId = b"") -> tuple[Contact, ...]:
        """Our neighbours and where we see them, but for those that leave."""
        return tuple(
            Contact(peer, neighbour.address)
            for peer, neighbour in self.neighbours.items()
            if peer != but and neighbour.address.port and not neighbour.leaving
        )

    def askable(self) -> list[NodeId]:
        """The neighbours of whom anything new may be asked: those that stay."""
        return [peer for peer, each in self.neighbours.items() if not each.leaving]

    def around(self) -> frozenset[int]:
        """The ids of who is three links away or less."""
        return self._vicinity.around()

    def rows(self, now: float) -> list[NeighbourRow]:
        """Our neighbours, for people."""
        return rows(self.neighbours, now)

    def graph(self, address: str) -> Graph:
        """Us at `address`, our neighbours, and theirs."""
        return graph(self._me, address, self._leaves, self.neighbours)

    # --- the steps they share ---------------------------------------------------------------

    def _admit(self, peer: NodeId, message: Link | Linked, now: float) -> list[Effect]:
        """Be neighbours from here on, or hear the news of one."""
        effects: list[Effect] = []
        is_new = peer not in self.neighbours
        if is_new:
            address, why = self._links[peer].address, self.joining.why(peer)
            asked_near = isinstance(message, Link) and message.rtt_us > 0 and self.places.near > 0
            self.neighbours[peer] = Neighbour(
                address,
                now,
                ours=why is not None,
                chosen=why in (Why.SEED, Why.DRAWN),
                near=asked_near or why is Why.NEAR,
            )
            self._vicinity.linked(peer)
            self._hear_of(peer, now)
            effects += self._on_linked(peer, now)
            self._tell_later(now, self._config.news_s)
            fields: dict[str, object] = {"node": node_text(peer), "address": str(address)}
            effects += self._note("neighbour_linked", fields, now)
        self._hear(peer, message, now)
        self.keeping.changed(now)
        effects += self.joining.settle(peer, now)
        return effects + (self.keeping.turnover.linked(peer, now) if is_new else [])

    def _lose(self, peer: NodeId, now: float) -> list[Effect]:
        effects: list[Effect] = []
        if self.neighbours.pop(peer, None) is not None:
            self.keeping.changed(now)
            self._deadlines.cancel((_LEAVE, peer))
            self._vicinity.changed()
            effects += self._note("neighbour_lost", {"node": node_text(peer)}, now)
            self._tell_later(now + LOSS_TOLD_S, self._config.news_s)
        return effects + self.joining.peer_lost(peer, now)

    # --- leaving in peace -------------------------------------------------------------------

    def leave_all(self, now: float) -> list[Effect]:
        """Part from all neighbours, in peace."""
        staying = [peer for peer, each in self.neighbours.items() if not each.leaving]
        return [effect for peer in staying for effect in self._leave(peer, now)]

    def _leave(self, peer: NodeId, now: float) -> list[Effect]:
        """Ask nothing new of a neighbour, and part from it when nothing can be under way."""
        self._mark_leaving(peer, now + self._config.leave_s, now)
        return [Send(peer, Unlinked(self._alternatives(peer), leaving=True))]

    def _mark_leaving(self, peer: NodeId, until: float, now: float) -> None:
        self.neighbours[peer].leaving = True
        self._deadlines.set((_LEAVE, peer), until)
        self.joining.forget(peer)
        self.keeping.changed(now)
        self._tell_later(now, self._config.news_s)

    def _due_leave(self, peer: NodeId, now: float) -> list[Effect]:
        effects: list[Effect] = [Send(peer, Unlinked()), *self._on_parted(peer, now)]
        self.places.part(peer, now)
        return [*effects, *self._lose(peer, now), LetGo(peer, Door.CONTROL, PARTED)]

    # --- what we say and hear ---------------------------------------------------------------

    def _greeting(self, peer: NodeId, rtt_s: float) -> Link:
        chosen = None
        if self._config.degree_wanted > 0:
            chosen = sum(each.chosen for each in staying(self.neighbours).values())
            if self.keeping.turnover.awaits(peer):  # it takes the place of one that goes
                chosen = min(chosen, self._config.degree_wanted // 2) - 1
            chosen = min(max(chosen, 0), DEGREE_MAX)
        contacts, rtt_us = self.contacts(but=peer), round(rtt_s * 1e6)
        return Link(self._leaves, contacts, self._vicinity.told(), chosen, rtt_us)

    def _alternatives(self, peer: NodeId) -> tuple[Contact, ...]:
        """Our neighbours, the least linked first: so nobody becomes a hub."""
        contacts = self.contacts(but=peer)
        return tuple(sorted(contacts, key=lambda one: self.neighbours[one.node].degree))

    def _hear(self, peer: NodeId, message: Link | Linked | Neighbourhood, now: float) -> None:
        neighbour = self.neighbours[peer]
        self._vicinity.changed()
        neighbour.leaves, neighbour.referred = message.leaves, 0
        neighbour.nearby = tuple(unpack(message.nearby))
        neighbour.contacts = tuple(
            contact
            for contact in message.neighbours[:DEGREE_MAX]
            if may_tell(contact.address, neighbour.address)
        )
        if neighbour.ours or neighbour.chosen:  # who came to us fills no cache of ours
            self.cache.hear(neighbour.contacts, Contact(peer, neighbour.address), now)

    def _hear_of(self, peer: NodeId, now: float) -> None:
        """Who came to us says itself where it is, and our lot may fall on it: on one as well that
        found no place as a guest."""
        address, before = self._links[peer].address, len(self.cache)
        contact = Contact(peer, address)
        if address.is_a_place:
            self.cache.hear([contact], contact, now)
        if len(self.cache) > before:
            self.keeping.changed(now)

    def _note(self, name: str, fields: dict[str, object], now: float) -> list[Effect]:
        """A line for the log, unless strangers come and go so fast that they would fill it."""
        return [Notify(name, fields)] if self._notes.take(now) else self._drop("notes")

    def _tell_news(self, now: float) -> None:
        """Tell the neighbours who is near us, where that has changed."""
        if self._vicinity.told() != self._told:
            self._tell_later(now, self._config.news_s)

    def _tell_later(self, now: float, pause_s: float) -> None:
        """Tell the neighbours once this much time has passed since they were told last."""
        at, set_to = max(now, self._told_at + pause_s), self._deadlines.get(_GOSSIP)
        if set_to is None or at < set_to:
            self._deadlines.set(_GOSSIP, at)

    def _drop(self, why: str) -> list[Effect]:
        self.dropped[why] += 1
        return []
