"""How much each node had to do: the messages that it sent and took in, and of which kinds."""

from collections import Counter
from typing import Final

from common.messages import cluster, overlay
from common.messages.fields import Message
from common.messages.link import Echo
from deploy.sim.host import Host

FINDING: Final = (
    *(cluster.Search, cluster.SearchHits, cluster.SearchDone),
    *(cluster.Locate, cluster.Sources, cluster.Forget),
    *(overlay.Query, overlay.Extend, overlay.QueryHits, overlay.QueryDone, overlay.Prune),
)


class Load:
    """A watcher that counts; signs of life are not work."""

    def __init__(self) -> None:
        self.by_host: Counter[int] = Counter()
        self.by_kind: Counter[str] = Counter()
        self.finding = 0  # messages that a search or a question for sources caused

    def sent(
        self, host: Host, there: Host, message: Message, _data: memoryview | bytes | None
    ) -> None:
        """A message leaves."""
        kind = type(message)
        if kind is Echo:
            return
        self.by_host[host.number] += 1
        self.by_host[there.number] += 1
        self.by_kind[kind.__name__] += 1
        self.finding += kind in FINDING
