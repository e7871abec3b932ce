"""How often each asker may ask: a token bucket for each, made when it first asks."""

from collections.abc import Callable, Iterator

from common.ids import NodeId
from common.rates import Bucket


class Paces:
    """The buckets by asker; `rate_of` tells how many a second and how many at once it may have."""

    def __init__(self, rate_of: Callable[[NodeId], tuple[float, int]]) -> None:
        self._rate_of = rate_of
        self._buckets: dict[NodeId, Bucket] = {}

    def __iter__(self) -> Iterator[NodeId]:
        return iter(self._buckets)

    def pause_s(self, asker: NodeId, now: float) -> float:
        """How long it must pause before it asks once more; 0.0, and counted, if it may now."""
        bucket = self._buckets.get(asker)
        if bucket is None:
            bucket = self._buckets[asker] = Bucket(*self._rate_of(asker), now)
        return 0.0 if bucket.take(now) else bucket.wait_s

    def leave(self, asker: NodeId) -> None:
        """It is gone."""
        self._buckets.pop(asker, None)
