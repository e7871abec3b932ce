"""How much each node had to do: the messages that it sent and took in, and the data it gave."""

from collections import Counter
from typing import Final

from common import wire
from common.errors import RemoteProtocolError
from common.messages import cluster, overlay
from common.messages.fields import Message
from common.messages.link import Echo
from deploy.sim.host import Host

LOCATING: Final = (cluster.Locate, cluster.Sources, cluster.Forget)
SEARCHING: Final = (
    *(cluster.Search, cluster.SearchHits, cluster.SearchDone),
    *(overlay.Query, overlay.Extend, overlay.QueryHits, overlay.QueryDone, overlay.Prune),
)


class Load:
    """A watcher that counts; signs of life are not work.

    A question for sources travels among super-peers as a query too, and is counted apart.
    """

    def __init__(self) -> None:
        self.by_host: Counter[int] = Counter()
        self.data_by_host: Counter[int] = Counter()
        self.by_kind: Counter[str] = Counter()
        self.searching = 0  # messages that searches caused
        self.locating = 0  # messages that questions for sources caused
        self.paused = False
        self._locates: dict[bytes | None, bool] = {}  # queries, and whether they ask for a file

    @property
    def finding(self) -> int:
        """Messages that searches and questions for sources caused."""
        return self.searching + self.locating

    def sent(
        self, host: Host, there: Host, message: Message, data: memoryview | bytes | None
    ) -> None:
        """A message leaves."""
        kind = type(message)
        if kind is Echo or self.paused:
            return
        self.by_host[host.number] += 1
        self.by_host[there.number] += 1
        self.by_kind[kind.__name__] += 1
        if data is not None:
            self.data_by_host[host.number] += len(data)
        if kind in LOCATING or self._is_locate(message):
            self.locating += 1
        elif kind in SEARCHING:
            self.searching += 1

    def _is_locate(self, message: Message) -> bool:
        """Whether this is part of a query that asks for a file."""
        guid = getattr(message, "guid", None)
        if isinstance(message, overlay.Query) and guid not in self._locates:
            self._locates[message.guid] = _asks_for_a_file(message.body)
        return self._locates.get(guid, False)


def _asks_for_a_file(body: bytes) -> bool:
    try:
        return wire.unpack(body, overlay.QueryBody).root is not None
    except RemoteProtocolError:  # somebody sends what is no query
        return False
