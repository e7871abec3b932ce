"""Places for neighbours: who may be one more, and who may not be one again at once.

There are at most `degree_max`, and some are kept for our own seeds. Who has enough takes those only
that have next to none by their own choice, so nobody becomes a hub; and a few that are near. Who
was parted from is not taken again at once, so nobody can make us do it over and over.
"""

from collections.abc import Mapping
from typing import Final

from common.config import OverlayConfig
from common.ids import NodeId
from common.limits import DEGREE_MAX
from common.messages.overlay import Link
from superpeer.overlay.joining import Joining
from superpeer.overlay.neighbour import Neighbour

OPEN_MIN: Final = 2  # places that are open to guests; of the others half
NEAR_SHARE: Final = 4  # one in so many of those that we want may be there for being near


class Places:
    """`neighbours` are counted, and `joining` asked for our seeds, as they are at the moment."""

    def __init__(self, config: OverlayConfig, neighbours: Mapping[NodeId, Neighbour]) -> None:
        self._config = config
        self._neighbours = neighbours
        self._parted: dict[NodeId, float] = {}  # by `Unlinked`, and when; oldest first
        self._admitting = True
        self.joining: Joining | None = None  # which asks us in turn

    def close(self) -> None:
        """Take nobody any more."""
        self._admitting = False

    def takes(self, peer: NodeId, message: Link) -> bool:
        """Whether this peer, which wants us, may be one more: who has enough takes those only that
        have next to none of their own choice, and a few that are near."""
        if not self.has_room(peer, guest=True):
            return False
        if self.joining is not None and self.joining.is_seed(peer):
            return True
        wanted = self._config.degree_wanted or self._config.degree_max
        if len(self._neighbours) < wanted:
            return True
        near = self.near > 0 and len(self._neighbours) < wanted + self.near
        has_few = len(message.neighbours) < self._config.degree_min
        chose_few = message.chosen is not None and message.chosen < wanted // 2
        return has_few or chose_few or (near and message.rtt_us > 0)

    @property
    def near(self) -> int:
        """How many more may be our neighbours for being near."""
        near = sum(each.near for each in self._neighbours.values())
        return self._config.degree_wanted // NEAR_SHARE - near

    def has_room(
        self, peer: NodeId | None = None, is_seed: bool = False, *, guest: bool = False
    ) -> bool:
        """Whether one more may be a neighbour. Who is no seed of ours leaves places for those, and
        a `guest`, who came to us, leaves places for those that we draw; but for the first."""
        places, joining = min(self._config.degree_max, DEGREE_MAX), self.joining
        is_seed = is_seed or (joining is not None and peer is not None and joining.is_seed(peer))
        if not is_seed:
            missing = joining.seeds_missing if joining is not None else 0
            kept = min(self._config.seed_places, missing) + (self._kept if guest else 0)
            places = max(places - kept, 1)
        return self._admitting and len(self._neighbours) < places

    @property
    def _kept(self) -> int:
        """Places for what our own lot lacks, and for one more in exchange for another."""
        if not self._config.degree_wanted:
            return 0
        chosen = sum(each.chosen for each in self._neighbours.values())
        lacking = max(self._config.degree_wanted // 2 - chosen, 0) + 1
        return min(lacking, max(self._config.degree_max - OPEN_MIN, 0) // 2)

    def part(self, peer: NodeId, now: float) -> None:
        """Take no `Link` of it for a while; what is over is forgotten."""
        self._parted.pop(peer, None)
        self._parted[peer] = now
        while self._parted and not self.is_parted(next(iter(self._parted)), now):
            del self._parted[next(iter(self._parted))]

    def is_parted(self, peer: NodeId, now: float) -> bool:
        """Whether it was parted from a moment ago."""
        return now < self._parted.get(peer, float("-inf")) + self._config.relink_s
