"""Whom a guided query asks, and how far that covers the network.

A query that covers `level` links from here asks everybody up to three links before its end: beyond,
digests tell. The last two links are ruled out by them, or asked if they may have something. So a
search grows by a ring of asking nobody wherever the digests suffice (two of four rings among 1,000
super-peers). Digests and neighbours are read as they are at the moment; nothing is sent here.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Final

from common.digest import place_of_root, place_of_word
from common.ids import NodeId
from common.limits import NEARBY_IDS_MAX
from common.messages.overlay import Extent, QueryBody
from superpeer.digests.digests import Digests
from superpeer.flood.query import Tree
from superpeer.overlay.neighbour import Neighbour
from superpeer.overlay.reach import Reach, short_id, within

TOLD_LINKS: Final = 2  # how far a neighbour's digests tell, itself included


class Guide:
    """What our digests and neighbours say of a query; `around` are the ids of who is near us."""

    def __init__(
        self,
        me: NodeId,
        *,
        digests: Digests,
        neighbours: Mapping[NodeId, Neighbour],
        around: Callable[[], Iterable[int]],
    ) -> None:
        self._me = me
        self._digests = digests
        self._neighbours = neighbours
        self._around = around
        self._near: tuple[Iterable[int], Reach] = ((), Reach())  # who is around us, while it lasts

    def may_reach(self, tree: Tree, peer: NodeId, now: float) -> bool:
        """Whether asking this neighbour may find something, or somebody to ask."""
        if not tree.guided or tree.level > TOLD_LINKS:
            return True
        if self._digests.may_have(peer, peer, tree.places, now):
            return True
        return tree.level == TOLD_LINKS and self._may_lead(tree, peer, now)

    def _may_lead(self, tree: Tree, peer: NodeId, now: float) -> bool:
        """Whether one of its own neighbours may have something that was not asked before it."""
        return any(
            self._digests.may_have(contact.node, peer, tree.places, now)
            for contact in self._neighbours[peer].contacts
            if contact.node not in (self._me, tree.asker)
        )

    def reach(self, tree: Tree) -> Extent | None:
        """Who is known and covered here and below, as it is reported."""
        if not tree.guided:
            return None
        covered = [short_id(self._me)]
        for peer in tree.ruled_out:
            covered.append(short_id(peer))
            if tree.level >= TOLD_LINKS:
                covered += self._neighbours[peer].beyond()
        around = self._around()
        if around is not self._near[0]:
            near = Reach()
            near.know(around)
            self._near = around, near
        return tree.reach(self._near[1], covered, partial(self._believed, tree))

    def _believed(self, tree: Tree, peer: NodeId, extent: Extent) -> Extent:
        """Where the query began we know how far each neighbour can have covered by now, and who is
        there: whoever else is said to be covered is not, so nobody ends the searches of others
        before they have come as far as digests tell. Further on we know of no shorter way."""
        links = tree.level - 1
        neighbour = self._neighbours.get(peer)
        if tree.asker != self._me or links > TOLD_LINKS or neighbour is None:
            return extent
        near = [short_id(peer)]
        if links > 0:
            near += neighbour.beyond()
        if links == TOLD_LINKS:
            if len(neighbour.nearby) == NEARBY_IDS_MAX:
                return extent  # it has not told all
            near += neighbour.nearby
        return within(extent, near)


def places(body: QueryBody) -> tuple[int, ...]:
    """Where in a digest everything stands that a hit must have."""
    if body.root is not None:
        return (place_of_root(body.root),)
    return tuple(map(place_of_word, body.terms.words if body.terms is not None else ()))
