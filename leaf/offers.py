"""Which downloads others can find: those of which something is proven and can be served.

Published under keys of our own, by the name that the file has here. What is said of a file is said
once, when it begins to be servable and when it ends.
"""

from collections.abc import Mapping

from common.catalogue import Entry
from common.core import Effect
from common.names import safe_name
from common.storage import DownloadRecord
from leaf.signals import Offered
from leaf.swarm.download import Download


class Offers:
    """The downloads that are published, by number."""

    __slots__ = ("_offered",)

    def __init__(self) -> None:
        self._offered: dict[int, None] = {}

    def update(self, downloads: Mapping[int, Download]) -> list[Effect]:
        """Tell what has changed since the last time."""
        puts = []
        drops = []
        for number, each in downloads.items():
            if each.proven and number not in self._offered:
                self._offered[number] = None
                puts.append((_key(number), _entry_of(each.record)))
        for number in list(self._offered):
            if number not in downloads or not downloads[number].proven:
                del self._offered[number]
                drops.append(_key(number))
        return [Offered(tuple(puts), tuple(drops))] if puts or drops else []


def _key(number: int) -> str:
    return f"download {number}"


def _entry_of(record: DownloadRecord) -> Entry:
    """How a download is published: by the name it has here, in no folder."""
    name = (record.path or record.target).rpartition("/")[2]
    return Entry(record.root, record.size, safe_name(name))
