"""The GUIDs of queries that were met, longer than their trees are known (THREATS T9)."""

from common.config import FloodConfig
from common.ids import Guid


class Seen:
    """At most `seen_max` of them, for `seen_s`; the oldest give way."""

    def __init__(self, config: FloodConfig) -> None:
        self._config = config
        self._met_at: dict[Guid, float] = {}  # oldest first

    def __len__(self) -> int:
        return len(self._met_at)

    def __contains__(self, guid: Guid) -> bool:
        return guid in self._met_at

    def add(self, guid: Guid, now: float) -> None:
        """Note one that was met for the first time."""
        self._met_at[guid] = now
        while len(self._met_at) > self._config.seen_max or (
            self._met_at[next(iter(self._met_at))] < now - self._config.seen_s
        ):
            del self._met_at[next(iter(self._met_at))]
