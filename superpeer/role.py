"""The super-peer: its machines, and the tables that pass them what comes in.

`Overlay` knows our neighbours, `Cluster` our leaves and what they share, `Digests` what others
have, `Flood` our part in every query, `Searches` what our own leaves asked, `Wishes` what they go
on asking, `Questions` whose turn it is; `superpeer.machines` puts them together, and
`superpeer.tables` says which takes what message. The role adds what concerns all of them: who is
linked to us, the loop from the origin of a query to its own tree, the end of it all, and the
methods that people call.
"""

from collections import Counter, deque
from collections.abc import Callable
from random import Random
from typing import Any

from common.config import Config
from common.core import (
    Answer,
    Asked,
    Bound,
    DatagramReceived,
    Effect,
    Event,
    Exited,
    Fail,
    HostMeasured,
    LinkDown,
    LinkMeasured,
    LinkUp,
    Promoted,
    Received,
    Send,
    Stopped,
    Woke,
)
from common.deadlines import soonest
from common.doors import Door
from common.errors import Exit
from common.ids import Identity, NodeId, node_text
from common.ladder import Found
from common.meeting import Facts, Seed
from common.messages.fields import Contact
from common.messages.link import Ping
from common.network import Network
from common.storage import Restored
from superpeer.cluster.draining import BYE
from superpeer.hierarchy.explaining import explained
from superpeer.listing import listed
from superpeer.machines import Machines
from superpeer.methods import Drain, Status
from superpeer.search.wishes import STANDING
from superpeer.tables import of_others, of_ourselves, of_wishes

_OnEvent = Callable[[Any, float], list[Effect]]


class SuperPeer:
    """A core. `seeds` are the super-peers to join, `steps` of the ladder where else to look for
    others; `version` is shown to people."""

    def __init__(
        self,
        identity: Identity,
        *,
        config: Config,
        network: Network,
        rng: Random,
        seeds: tuple[Seed, ...] = (),
        version: str = "",
        steps: tuple[str, ...] = (),
    ) -> None:
        self._me = identity.node
        self._is_told = bool(seeds)
        self._config = config
        self._network = network
        self._version = version
        self._links: dict[NodeId, LinkUp] = {}
        self._bound: Bound | None = None
        self._started_at: float | None = None
        self._now = 0.0
        self._host = HostMeasured(0)
        self._dropped: Counter[str] = Counter()

        machines = Machines(
            identity,
            config=config,
            network=network,
            rng=rng,
            seeds=seeds,
            steps=steps,
            links=self._links,
        )
        self._machines, self._counting = machines.all, machines.counting
        self._meeting, self._credit, self._lookout = (
            *(machines.meeting, machines.credit, machines.lookout),
        )
        self._overlay, self._cluster, self._digests = (
            *(machines.overlay, machines.cluster, machines.digests),
        )
        self._handing, self._draining = machines.handing, machines.draining
        self._flood, self._searches = machines.flood, machines.searches
        self._reunion, self._relays = machines.reunion, machines.relays
        self._questions, self._wishes = machines.questions, machines.wishes
        self._hierarchy = machines.hierarchy
        self._on_event = self._event_table()
        self._on_message = of_others(machines)
        self._on_inner_message = {self._me: of_ourselves(machines), STANDING: of_wishes(machines)}
        self._on_method = self._method_table()

    # --- who takes what ---------------------------------------------------------------------

    def _event_table(self) -> dict[type[Event], _OnEvent]:
        return {
            Restored: self._on_restored,
            Bound: self._on_bound,
            LinkUp: self._on_link_up,
            LinkDown: self._on_link_down,
            LinkMeasured: self._on_link_measured,
            Received: self._on_received,
            DatagramReceived: self._on_datagram,
            Found: self._lookout.found,
            Promoted: self._on_promoted,
            Asked: self._on_asked,
            HostMeasured: self._on_host_measured,
            Stopped: self._on_stopped,
            Woke: self._on_woke,
        }

    def _method_table(self) -> dict[str, _OnEvent]:
        return {
            "superpeer.status": self._status,
            "superpeer.leaves": self._leaves,
            "superpeer.neighbours": self._neighbours,
            "superpeer.graph": self._graph,
            "superpeer.drain": self._drain,
            "superpeer.explain": self._explain,
        }

    # --- the contract -----------------------------------------------------------------------

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take in one event; say what is to be done."""
        if self._started_at is None:
            self._started_at = now
        self._now = now
        on_event = self._on_event.get(type(event))
        if on_event is None:
            return []
        effects = self._settled(on_event(event, now), now)
        leaves = self._cluster.members
        self._overlay.load(len(leaves), now)
        effects += self._credit.look(leaves, now)
        self._digests.look(now)
        return effects + self._draining.look(now) if self._draining.is_on else effects

    def wakeup(self) -> float | None:
        """The earliest deadline of the machines."""
        return soonest([machine.wakeup() for machine in self._machines])

    def snapshot(self) -> Status:
        """The status as of the last event."""
        dropped = sum([each.dropped for each in self._counting], Counter(self._dropped))
        return Status(
            node=node_text(self._me),
            listen=str(self._bound.control) if self._bound else "",
            uptime_s=self._uptime_s(),
            leaves=len(self._cluster.members),
            leaves_max=self._config.cluster.leaves_max,
            files=self._cluster.files,
            neighbours=len(self._overlay.neighbours),
            searches=len(self._searches),
            queries_evaluated=self._flood.evaluated,
            queries_forwarded=self._flood.forwarded,
            queries_duplicate=self._flood.duplicates,
            rss_bytes=self._host.rss_bytes,
            version=self._version,
            network=self._network.name,
            dropped={**self._host.dropped, **dropped},
            wishes=len(self._wishes),
            sources=dict(self._lookout.named),
            promotions=self._hierarchy.promotion.promotions,
            demotions=self._hierarchy.stepdown.demotions,
            heirs=len(self._cluster.heirs),
            copies=len(self._cluster.dormant),
            copied_files=self._cluster.hidden,
            copies_woken=self._cluster.dormant.woken,
            leaves_inherited=self._cluster.dormant.inherited,
            leaves_moved=self._cluster.moved,
            index_uploads=self._cluster.uploads,
        )

    def needs(self, peer: NodeId, door: Door) -> bool:
        """Whether we want the link to `peer`: our leaf, our neighbour, or to be one. Bulk doors we
        only look at."""
        is_ours = peer in self._cluster.members or self._overlay.needs(peer)
        return door is Door.CONTROL and is_ours

    # --- links and messages -----------------------------------------------------------------

    def _on_link_up(self, event: LinkUp, now: float) -> list[Effect]:
        seen = self._hierarchy.link_up(event, now)
        if event.door is not Door.CONTROL:
            return seen or []
        self._links[event.peer] = event
        return self._overlay.linked(event, now) if seen is None else seen

    def _on_link_down(self, event: LinkDown, now: float) -> list[Effect]:
        peer = event.peer
        if event.door is not Door.CONTROL:
            return self._hierarchy.link_down(peer, event.door, now)
        was_up = self._links.pop(peer, None) is not None
        on_purpose = event.reason.startswith(BYE)
        effects = self._cluster.leaf_lost(peer, now, on_purpose=on_purpose)
        self._digests.neighbour_lost(peer, now)
        self._questions.peer_lost(peer)
        return [
            *effects,
            *self._searches.leaf_lost(peer),
            *self._wishes.leaf_lost(peer, now),
            *self._relays.peer_lost(peer),
            *self._flood.neighbour_lost(peer, now),
            *self._overlay.link_lost(peer, now, was_up=was_up),
            *self._hierarchy.link_down(peer, event.door, now),
            *self._handing.lost(peer, now),
        ]

    def _on_link_measured(self, event: LinkMeasured, _now: float) -> list[Effect]:
        if event.door is Door.CONTROL:
            self._cluster.measured(event.peer, event.rtt_s)
            self._overlay.measured(event.peer, event.rtt_s)
        return []

    def _on_received(self, event: Received, now: float) -> list[Effect]:
        on_message = self._on_message.get(type(event.message))
        if on_message is None or event.peer not in self._links:
            self._dropped["not_for_us"] += 1
            return []
        return on_message(event.peer, event.message, now)

    def _settled(self, effects: list[Effect], now: float) -> list[Effect]:
        """Deliver what we sent to ourselves: the origin of a query is asked by itself."""
        inner = self._on_inner_message
        if not effects or not any(type(each) is Send and each.peer in inner for each in effects):
            return effects
        waiting = deque(effects)
        settled: list[Effect] = []
        while waiting:
            effect = waiting.popleft()
            on_message = None
            if isinstance(effect, Send) and effect.peer in inner:
                on_message = inner[effect.peer].get(type(effect.message))
            if on_message is not None and isinstance(effect, Send):
                waiting.extend(on_message(effect.peer, effect.message, now))
            else:
                settled.append(effect)
        return settled

    # --- beginning and end ------------------------------------------------------------------

    def _on_promoted(self, event: Promoted, now: float) -> list[Effect]:
        return [*self._reunion.promoted(event, now), *self._hierarchy.promoted(event, now)]

    def _on_restored(self, event: Restored, _now: float) -> list[Effect]:
        self._overlay.joining.restore(event.pins)
        self._overlay.cache.restore(event.known)
        return []

    def _on_bound(self, event: Bound, now: float) -> list[Effect]:
        self._bound = event
        return self._overlay.start(now) + self._lookout.start(now, is_told=self._is_told)

    def _on_datagram(self, event: DatagramReceived, now: float) -> list[Effect]:
        if not isinstance(event.message, Ping):
            return self._reunion.on_pong(event, now) + self._overlay.on_pong(event, now)
        others = self._overlay.pongs.others(event.address, now)
        facts = Facts(
            node=self._me,
            superpeer=Contact(self._me, self._bound.control) if self._bound else None,
            leaves=len(self._cluster.members),
            leaves_max=self._config.cluster.leaves_max,
            uptime_s=self._uptime_s(),
            others=tuple(others),
            hops=tuple(others.values()),
        )
        return [*self._meeting.answer(event, facts)]

    def _on_woke(self, _event: Woke, now: float) -> list[Effect]:
        effects = [effect for machine in self._machines for effect in machine.due(now)]
        return effects + self._hierarchy.stepdown.settle(now)

    def _on_stopped(self, event: Stopped, now: float) -> list[Effect]:
        return self._end(event.grace_s, now)

    def _end(self, grace_s: float, now: float, call: int | None = None) -> list[Effect]:
        """Take nobody any more, hand over what we have, and end when all are gone."""
        effects: list[Effect] = [*self._overlay.stop(), *self._lookout.stop()]
        self._reunion.stop()
        return effects + self._draining.begin(grace_s, now, last=Exited(), call=call)

    # --- methods ----------------------------------------------------------------------------

    def _on_asked(self, event: Asked, now: float) -> list[Effect]:
        method = self._on_method.get(event.method)
        if method is None:
            return [Fail(event.call, Exit.USAGE, f"there is no method {event.method!r}")]
        return method(event, now)

    def _on_host_measured(self, event: HostMeasured, _now: float) -> list[Effect]:
        self._host = event
        return []

    def _status(self, event: Asked, _now: float) -> list[Effect]:
        return [Answer(event.call, self.snapshot())]

    def _leaves(self, event: Asked, now: float) -> list[Effect]:
        return [listed(event, self._hierarchy.rated(self._cluster.rows(now), now))]

    def _neighbours(self, event: Asked, now: float) -> list[Effect]:
        return [listed(event, self._overlay.rows(now))]

    def _graph(self, event: Asked, _now: float) -> list[Effect]:
        address = str(self._bound.control) if self._bound else ""
        return [Answer(event.call, self._overlay.graph(address))]

    def _explain(self, event: Asked, now: float) -> list[Effect]:
        return [explained(event, self._hierarchy.promotion, now)]

    def _drain(self, event: Asked, now: float) -> list[Effect]:
        grace_s = event.params.grace_s if isinstance(event.params, Drain) else 0.0
        return self._end(grace_s, now, event.call)

    def _uptime_s(self) -> float:
        return self._now - (self._started_at or 0.0)
