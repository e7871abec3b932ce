"""5, 6, 10, 13: an index holds what linked leaves signed, for as long as they may be believed.

Each leaf that a super-peer keeps is linked, or has a lease that will end; what can be found belongs
to one of these; its address is where the leaf was seen; no leaf and no super-peer is over a limit.
"""

from collections.abc import Callable

from common.core import Effect, Event
from common.ids import NodeId
from common.messages.cluster import Busy
from common.messages.fields import Message
from deploy.sim.host import Host
from deploy.sim.inside import SuperPeerInside, superpeer_of
from superpeer.heirs.dormant import State

RULE = "5: every entry has a live owner or expires"


class Clusters:
    """Looks into each super-peer after each of its events."""

    def __init__(
        self,
        violate: Callable[[str, str], None],
        by_node: dict[NodeId, Host],
        hostile: dict[int, str],
    ) -> None:
        self._violate, self._by_node, self._hostile = violate, by_node, hostile

    def fed(self, host: Host, _event: Event, _effects: list[Effect]) -> None:
        """An event was taken in."""
        inside = superpeer_of(host)
        if inside is not None:
            self._leaves(host, inside)
            self._index(host, inside)
            self._copies(host, inside)
            self._degree(host, inside)

    def sent(
        self, host: Host, there: Host, message: Message, _data: memoryview | bytes | None
    ) -> None:
        """A refusal names others, where others are known."""
        if not isinstance(message, Busy) or message.alternatives:
            return
        inside = superpeer_of(host)
        if inside is not None and inside.overlay.contacts():
            self._tell(host, "13: a refusal names an alternative", f"refuses {there.name}")

    def _leaves(self, host: Host, inside: SuperPeerInside) -> None:
        cluster = inside.cluster
        config = cluster._config
        if len(cluster._leaves) > config.leaves_max:
            self._tell(host, "13: no super-peer is above its capacity", "has too many leaves")
        for peer in cluster.members:
            if peer not in inside.links:
                self._tell(host, RULE, "keeps a member without a link")
            if peer not in cluster._leaves:
                self._tell(host, RULE, "has a member that it keeps nothing of")
        for peer, leaf in cluster._leaves.items():
            if peer not in cluster.members and cluster._deadlines.get(("lease", peer)) is None:
                self._tell(host, RULE, "keeps a lost leaf without a lease")
            if len(leaf.holding) > config.entries_max:
                self._tell(host, "10: no leaf is above its limit of entries", "holds too many")
            owner = self._by_node.get(peer)
            if owner is None or owner.bulk is None:
                continue
            there = leaf.source.address
            claims = owner.number in self._hostile and there.ip == owner.control.ip
            if there != owner.bulk and not claims:
                self._tell(host, "6: an address was observed", f"puts {owner.name} elsewhere")

    def _index(self, host: Host, inside: SuperPeerInside) -> None:
        cluster, dormant = inside.cluster, inside.cluster.dormant
        copies = dormant._copies
        for peer in cluster._index._shelves:
            if peer not in cluster._leaves and peer not in copies:
                self._tell(host, RULE, "finds files of a leaf that it does not keep")
        woken = {leaf: copy for leaf, copy in copies.items() if dormant.share_of(leaf) is not None}
        shown = [*cluster._leaves.values(), *woken.values()]
        if not any(leaf.unindexed for leaf in shown):
            held = sum(len(leaf.holding) for leaf in shown)
            if held != cluster.files:
                self._tell(host, RULE, f"finds {cluster.files} of the {held} entries that it holds")
        asleep = [copy for leaf, copy in copies.items() if leaf not in woken]
        if not any(copy.unindexed for copy in asleep):
            held = sum(len(copy.holding) for copy in asleep)
            if held != cluster.hidden:
                self._tell(
                    host, RULE, f"hides {cluster.hidden} of the {held} that it has copies of"
                )

    def _copies(self, host: Host, inside: SuperPeerInside) -> None:
        """A copy sleeps while its parent is linked to us, or ends with a lease; there are not too
        many, and none of a leaf of ours."""
        cluster, dormant = inside.cluster, inside.cluster.dormant
        entries_max = cluster._config.copied_entries_max
        for peer, copy in dormant._copies.items():
            if peer in cluster._leaves:
                self._tell(host, RULE, "has a copy of a leaf of its own")
            ends = dormant._deadlines.get(("end", peer)) is not None
            if ends == (copy.state is State.ASLEEP):
                self._tell(host, RULE, "shows a copy without end, or ends one that sleeps")
            if copy.state is not State.AWAKE and copy.parent not in inside.links:
                self._tell(host, RULE, "lets a copy sleep whose parent is gone")
        if sum(each.entries for each in dormant._copies.values()) > entries_max:
            self._tell(host, "10: copies are within their budget", "has copies of too many entries")

    def _degree(self, host: Host, inside: SuperPeerInside) -> None:
        overlay = inside.overlay
        if len(overlay.neighbours) > overlay._config.degree_max:
            self._tell(host, "13: degree within its bounds", "has too many neighbours")
        for peer in overlay.neighbours:
            if peer not in inside.links:
                self._tell(host, "13: a neighbour is linked", "keeps a neighbour without a link")

    def _tell(self, host: Host, rule: str, what: str) -> None:
        self._violate(rule, f"{host.name} {what}")
