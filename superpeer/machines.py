"""The machines of a super-peer, put together: what each sees of the others.

Each owns its state and answers with effects; none calls another, they only look at one another's
members, or tell what happened through what is given to them here.
"""

from random import Random

from common.config import Config
from common.core import Effect, LinkUp
from common.digest import CountedPlaces
from common.ids import Identity, NodeId
from common.meeting import Meeting, Seed
from common.messages.overlay import QueryBody
from common.network import Network
from common.proofs import Proofs
from superpeer.cluster.cluster import Cluster
from superpeer.cluster.draining import Draining
from superpeer.cluster.handing import Handing
from superpeer.digests.digests import Digests
from superpeer.flood.flood import Flood
from superpeer.flood.guide import Guide
from superpeer.hierarchy.hierarchy import Hierarchy
from superpeer.overlay.lookout import Lookout
from superpeer.overlay.overlay import Overlay
from superpeer.relays.pushes import Pushes
from superpeer.relays.relays import Relays
from superpeer.search.credit import Credit
from superpeer.search.desks import desks
from superpeer.search.questions import Questions
from superpeer.search.search import Searches
from superpeer.search.wishes import Wishes
from superpeer.succession.line import Line, Measured
from superpeer.succession.reunion import Reunion


class Machines:
    """All of them; `links` are read as they are at the moment."""

    def __init__(
        self,
        identity: Identity,
        *,
        config: Config,
        network: Network,
        rng: Random,
        seeds: tuple[Seed, ...],
        steps: tuple[str, ...],
        links: dict[NodeId, LinkUp],
    ) -> None:
        self._me, self._config, self._rng, self._links = identity.node, config, rng, links
        digest = CountedPlaces()
        self.meeting = Meeting(network, rng)
        self.wishes = Wishes(config=config.wish, rng=rng, is_leaf=self._is_leaf)
        self.credit = Credit(config.cluster.searches_max)
        self.digests = Digests(identity, network.name, config.digest, digest, self.wishes)
        self.overlay = Overlay(
            self._me,
            config=config.overlay,
            rng=rng,
            links=links,
            meeting=self.meeting,
            seeds=seeds,
            on_linked=self._linked,
            on_parted=self._parted,
        )
        self.lookout = Lookout(steps, self.overlay, config.overlay, rng)
        self.cluster = self._cluster_of(network, digest)
        self.handing = Handing(self.cluster)
        self.line = self._line_of()
        self.reunion = Reunion(self._me, config.line, network, rng, self.line, self.overlay)
        self.pushes = Pushes(self.cluster.members)
        self.relays = Relays(self.cluster.members, config.cluster)
        self.flood = self._flood_of(network)
        self.searches = self._searches_of()
        self.draining = self._draining_of()
        at = desks(config, self.credit, self.searches, self.flood)
        self.questions = Questions(at, config.cluster.late_s)
        self.hierarchy = self._hierarchy_of(identity, network)
        asked = (
            *(self.overlay, self.cluster, self.digests, self.flood, self.wishes),
            *(self.searches, self.questions, *self.hierarchy.all),
        )
        self.counting = (*asked, self.cluster.dormant)
        """Those that count what they drop."""
        self.all = (*asked, self.lookout, self.line, self.reunion, self.relays, self.draining)

    def _push_for_ours(self, body: QueryBody, now: float) -> list[Effect]:
        """One of our leaves wants to be dialled; who cannot may come for a relay."""
        if body.asker is not None:
            self.relays.named(body.asker.node, body.push, now)
        return self.pushes.of(body, now)

    def _line_of(self) -> Line:
        """Who follows when no super-peer is left."""
        return Line(
            self._me,
            config=self._config.line,
            rng=self._rng,
            leaves=self.cluster.members,
            links=self._links,
            neighbours=self.overlay.neighbours,
            measured=self._measured,
        )

    def _measured(self, leaf: NodeId, now: float) -> Measured:
        reachable, rate = self.hierarchy.vitals.seen(leaf, now)
        return Measured(rate, reachable)

    def _draining_of(self) -> Draining:
        """The end: leaves go to their heirs, neighbours get what they wait for."""
        return Draining(
            self._me,
            self.cluster,
            neighbours=self.overlay.neighbours,
            refer=self.overlay.refer,
            owed=self.flood.lanes.owed,
            retry_s=self._config.cluster.busy_retry_s,
        )

    def _hierarchy_of(self, identity: Identity, network: Network) -> Hierarchy:
        """What we know of our leaves, and who of them becomes a super-peer."""
        return Hierarchy(
            identity,
            config=self._config,
            network=network,
            rng=self._rng,
            links=self._links,
            overlay=self.overlay,
            cluster=self.cluster,
            waited_s=self.questions.waited_s,
        )

    def _is_leaf(self, peer: NodeId) -> bool:
        return peer in self.cluster.members

    def _linked(self, peer: NodeId, now: float) -> list[Effect]:
        """A new neighbour has everything to hear."""
        self.digests.neighbour_linked(peer, now)
        self.line.changed(now)
        return self.handing.linked(peer, now)

    def _is_served(self, peer: NodeId) -> bool:
        """Whether a leaf may ask us: those that we are heir of may when their parent is silent."""
        return peer in self.cluster.members or peer in self.cluster.dormant

    def _parted(self, peer: NodeId, now: float) -> list[Effect]:
        """The link may stay, but no query crosses it any more."""
        self.digests.neighbour_lost(peer, now)
        self.questions.peer_lost(peer)
        self.handing.parted(peer, now)
        return self.flood.neighbour_lost(peer, now)

    def _cluster_of(self, network: Network, digest: CountedPlaces) -> Cluster:
        """Our leaves; what they share is told of to others, and to those that wish for it."""
        return Cluster(
            network.name,
            config=self._config.cluster,
            rng=self._rng,
            links=self._links,
            alternatives=self.overlay.contacts,
            refer=self.overlay.refer,
            digest=digest,
            spread_s=self.digests.spread_s,
            wishes=self.wishes,
            credit=self.credit,
            neighbours=self.overlay.neighbours,
        )

    def _flood_of(self, network: Network) -> Flood:
        """Queries cross our neighbours, as their digests guide them, and our own index."""
        neighbours, around = self.overlay.neighbours, self.overlay.around
        return Flood(
            self._me,
            config=self._config.flood,
            links=self._links,
            neighbours=neighbours,
            askable=self.overlay.askable,
            evaluate=self.cluster.evaluate,
            guide=Guide(self._me, digests=self.digests, neighbours=neighbours, around=around),
            is_proven=Proofs(network.name).hold,
            push=self.pushes.of,
        )

    def _searches_of(self) -> Searches:
        """What our leaves ask is asked of our own index, then of others."""
        return Searches(
            self._me,
            config=self._config.cluster,
            estimate_s=self._config.flood.seen_s,
            rng=self._rng,
            links=self._links,
            leaves=self.cluster.members,
            is_served=self._is_served,
            neighbours=self.overlay.neighbours,
            evaluate=self.flood.evaluate,
            around=self.overlay.around,
            push=self._push_for_ours,
        )
