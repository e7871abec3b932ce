"""Leaves between super-peers: whose they are when two think so, and who inherits when a link goes.

What a leaf says by joining goes first: while its link is up it is ours, whatever a neighbour says;
who claims it by a later join, and asks us to be its heir, is answered when the leaf has left us,
and only if it is whom we named as its heir, or the leaf itself has said that it goes.
A leaf whose link we have lost is another's as soon as its heir tells that it has joined there, by a
later join of the same life. So two that hold the same leaf after a partition agree within a message
of meeting again, and before that for no longer than a lease.
"""

from enum import Enum

from common.core import Effect, Notify, Send
from common.ids import NodeId, node_text
from common.messages.overlay import Held, Hold, Release
from superpeer.cluster.cluster import Cluster


class Verdict(Enum):
    """Whose a leaf is that a neighbour wants us to be the heir of."""

    STAYS = "stays"  # it belongs here, whatever the neighbour says
    WAITS = "waits"  # it is the neighbour's as soon as its link to us is gone
    GOES = "goes"  # it belonged here until now, and is the neighbour's
    FULL = "full"  # it is the neighbour's, and would find no place here
    THEIRS = "theirs"  # it is the neighbour's; whether we keep a copy is for `Dormant` to say


def verdict_on(cluster: Cluster, peer: NodeId, claim: Hold) -> Verdict:
    """Whose a leaf is by what we know, when `peer` says that it is its own; nothing is done."""
    leaf, dormant = cluster.get(claim.leaf), cluster.dormant
    if leaf is None:
        has_place = dormant.has_place(peer, claim.leaf, cluster.places_free)
        return Verdict.THEIRS if has_place else Verdict.FULL
    # another life would cost what we have of this one, and nobody has signed its number
    is_later = claim.epoch == leaf.epoch and claim.joins > leaf.joins
    heir = cluster.heirs.heir_of(claim.leaf)  # it moves there; nobody else takes it away
    is_heir = leaf.has_left or (heir is not None and heir.node == peer)
    if not is_later or not is_heir or dormant.fault(peer, claim, len(leaf.holding)):
        return Verdict.STAYS
    return Verdict.WAITS if claim.leaf in cluster.members else Verdict.GOES


class Handing:
    """What super-peers say to one another of leaves."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._claims: dict[NodeId, tuple[NodeId, Hold]] = {}  # of leaves that are ours until now

    # --- messages ---------------------------------------------------------------------------

    def on_hold(self, peer: NodeId, message: Hold, now: float) -> list[Effect]:
        """A neighbour wants us to be the heir of a leaf, which may have been ours until now."""
        cluster, leaf = self._cluster, message.leaf
        verdict = verdict_on(cluster, peer, message)
        if verdict is Verdict.STAYS:
            return [Send(peer, cluster.our_word(leaf))]
        if verdict is Verdict.FULL:
            return [Send(peer, Held(leaf, refused="it takes no more leaves"))]
        if verdict is Verdict.WAITS:
            self._claims[leaf] = peer, message
            return []
        moved = cluster.put_to_sleep(leaf, peer, now) if verdict is Verdict.GOES else []
        return moved + cluster.dormant.on_hold(peer, message, now)

    def on_held(self, peer: NodeId, message: Held, now: float) -> list[Effect]:
        """An heir answers, or tells that a leaf which we lost is its own."""
        cluster = self._cluster
        leaf, heir = cluster.get(message.leaf), cluster.heirs.heir_of(message.leaf)
        is_heir = heir is not None and heir.node == peer
        if leaf is None or not is_heir or message.joins <= leaf.joins:
            return cluster.heirs.on_held(peer, message, now)
        if message.leaf in cluster.members:  # who will say so itself in a moment
            return cluster.heirs.on_moving(peer, message.leaf, now)
        return cluster.moved_away(message.leaf, now) + cluster.heirs.on_held(peer, message, now)

    def on_release(self, peer: NodeId, message: Release, now: float) -> list[Effect]:
        """We are the heir of this one no longer."""
        if message.leaf in self._claims and self._claims[message.leaf][0] == peer:
            del self._claims[message.leaf]
        return self._cluster.dormant.on_release(peer, message, now)

    def left(self, leaf: NodeId, now: float) -> list[Effect]:
        """A leaf of ours has left us, or we have lost it: who claims it is answered."""
        claim = self._claims.pop(leaf, None)
        if claim is None or leaf in self._cluster.members:
            return []
        return self.on_hold(*claim, now)

    # --- neighbours -------------------------------------------------------------------------

    def linked(self, peer: NodeId, now: float) -> list[Effect]:
        """A neighbour is there, or there again: it may not know whose leaves have come to us."""
        self._cluster.heirs.peers_changed(now)
        return [
            effect
            for leaf in self._cluster.members
            if (kept := self._cluster.get(leaf)) is not None and kept.came_from == peer
            for effect in self._cluster.tell_moved(leaf)
        ]

    def parted(self, peer: NodeId, now: float) -> None:
        """It is no neighbour any more, though its link may stay."""
        self._cluster.heirs.peers_changed(now)
        self._cluster.dormant.parent_parted(peer, now)

    def lost(self, peer: NodeId, now: float) -> list[Effect]:
        """The link is gone: what we inherit is found at once."""
        self._claims = {leaf: each for leaf, each in self._claims.items() if each[0] != peer}
        woken = self._cluster.dormant.parent_lost(peer, now)
        fields: dict[str, object] = {"node": node_text(peer), "leaves": len(woken)}
        self._cluster.heirs.peer_lost(peer, now)
        answered = self.left(peer, now)
        return [*answered, Notify("copies_woken", fields)] if woken else answered
