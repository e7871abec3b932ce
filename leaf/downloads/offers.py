"""Which downloads others can find: those of which something is proven and can be served.

Published under keys of our own, by the name that the file has here. What is said of a file is said
once, when it begins to be servable and when it ends.
"""

from common.content.catalogue import Entry
from common.core import Effect
from common.names import safe_name
from common.storage import DownloadRecord
from leaf.signals import Offered
from leaf.swarm.download import Download


class Offers:
    """The downloads that are published, by number."""

    __slots__ = ("_noted", "_offered", "bytes")

    def __init__(self) -> None:
        self._offered: dict[int, int] = {}  # and how large each is
        self._noted: dict[int, Download | None] = {}  # by number; None: it is none any more
        self.bytes = 0
        """How many bytes the published files have."""

    def __len__(self) -> int:
        return len(self._offered)

    def note(self, download: Download, *, removed: bool = False) -> None:
        """What it has to serve may have changed; of thousands, only such are looked at."""
        self._noted[download.record.number] = None if removed else download

    def update(self) -> list[Effect]:
        """Tell what has changed since the last time."""
        puts = []
        drops = []
        for number, each in self._noted.items():
            proven = each is not None and each.proven
            if each is not None and proven and number not in self._offered:
                self._offered[number] = each.record.size
                self.bytes += each.record.size
                puts.append((_key(number), _entry_of(each.record)))
            elif not proven and number in self._offered:
                self.bytes -= self._offered.pop(number)
                drops.append(_key(number))
        self._noted.clear()
        return [Offered(tuple(puts), tuple(drops))] if puts or drops else []


def _key(number: int) -> str:
    return f"download {number}"


def _entry_of(record: DownloadRecord) -> Entry:
    """How a download is published: by the name it has here, in no folder."""
    name = (record.path or record.target).rpartition("/")[2]
    return Entry(record.root, record.size, safe_name(name))
