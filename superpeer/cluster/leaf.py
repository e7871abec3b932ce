"""What we keep of one leaf."""

from common.ids import NodeId
from superpeer.index.share import Share


class Leaf(Share):
    """One leaf in one of its lives."""

    __slots__ = ("came_from", "has_left", "here_since", "joined_at", "rtt_s", "unacknowledged")

    def __init__(self, share: Share, here_since: float) -> None:
        super().__init__(share.epoch, share.joins, share.source, share.holding)
        self.unindexed = share.unindexed
        self.has_left = False  # it said so, or its heir did
        self.here_since = here_since  # over all its lives, while we hold a place for it
        self.joined_at = 0.0  # for the last time
        self.rtt_s: float | None = None
        self.unacknowledged: list[int] = []  # generations to confirm when they are findable
        self.came_from: NodeId | None = None  # the parent before us, whose heir we were
