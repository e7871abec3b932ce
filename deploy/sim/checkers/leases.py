"""5, 23: what a leaf shares is kept for a lease after its link is lost, and no longer.

Only a goodbye ends it at once, or word that the leaf has another parent. A lease that was promised
anew ends at its new time.
"""

from collections.abc import Callable
from typing import Final

from common.core import Effect, Event, FrameReceived
from common.ids import NodeId
from common.messages.cluster import Leave
from common.messages.link import Bye
from common.messages.overlay import Held, Hold
from deploy.sim.host import Host
from deploy.sim.inside import superpeer_of

Kept = dict[NodeId, tuple[bool, float | None]]  # has entries; lost, and kept until
ENDINGS: Final = (Bye, Leave, Held, Hold)
EPSILON_S: Final = 1e-6


class Leases:
    """Compares the leaves of each super-peer before and after each of its events."""

    def __init__(self, violate: Callable[[str, str], None]) -> None:
        self._violate = violate
        self._kept: dict[tuple[int, int], Kept] = {}

    def fed(self, host: Host, event: Event, _effects: list[Effect]) -> None:
        """An event was taken in."""
        inside = superpeer_of(host)
        if inside is None or not inside.cluster._admitting:
            return
        cluster, now = inside.cluster, host.clock
        before = self._kept.get((host.number, host.life), {})
        after: Kept = {}
        for peer, leaf in cluster._leaves.items():
            until = None
            if peer not in cluster.members:
                until = before.get(peer, (False, None))[1] or now + cluster._config.lease_s
                ends = cluster._deadlines.get(("lease", peer)) or 0.0
                if isinstance(event, FrameReceived) and isinstance(event.message, ENDINGS):
                    until = min(until, ends)  # it has another parent
                if ends > until + EPSILON_S:
                    self._tell(host, f"keeps a lost leaf for {ends - now:.1f} s more")
            after[peer] = (bool(leaf.holding), until)
        self._kept[host.number, host.life] = after
        if isinstance(event, FrameReceived) and isinstance(event.message, ENDINGS):
            return
        for peer, (has_entries, until) in before.items():
            early = until is None or now < until - EPSILON_S
            if peer in cluster.dormant:
                continue  # it has another parent, whose heir we are
            if has_entries and early and peer not in after:
                self._tell(host, "forgets what a leaf shares before its lease is over")

    def _tell(self, host: Host, what: str) -> None:
        self._violate("5: a lease is kept, and ends", f"{host.name} {what}")
