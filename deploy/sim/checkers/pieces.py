"""1, 3: nobody passes on a wrong byte, and what stands under a final name is the very content.

An honest leaf sends only what is true of the file that it names, whatever was edited, lost or
torn below it. A leaf whose disk decayed in silence may pass on what it read: that its reader
rejects it is for others to check.
"""

from collections.abc import Callable

import msgspec

from common.content.torrent import parse_file_id
from common.core import Effect, Event
from common.messages.fields import Message
from common.messages.swarm import Bitfield, Piece
from common.storage import PartFinished, PartSkipped
from deploy.sim.chaos.truth import Content, Truth
from deploy.sim.filesystem import FileSystem
from deploy.sim.host import Host
from deploy.sim.inside import leaf_of
from leaf.methods import GetResult


class PiecesAreTrue:
    """Holds every byte that is sent, and every finished file, against the truth."""

    def __init__(
        self,
        violate: Callable[[str, str], None],
        truth: Truth,
        files: dict[int, FileSystem],
    ) -> None:
        self._violate, self._truth, self._files = violate, truth, files
        self._finals: dict[tuple[int, str], Content] = {}
        self._by_root: dict[bytes, bytes] = {}

    def sent(
        self, host: Host, there: Host, message: Message, data: memoryview | bytes | None
    ) -> None:
        """A message leaves."""
        if isinstance(message, Bitfield) and not message.bits:
            self._claims_all(host, message.root)
        if not isinstance(message, Piece) or data is None:
            return
        truth = self._truth
        if any(host.number in each for each in (truth.hostile, truth.decayed, truth.rotten)):
            return
        content = self._content(message.root)
        if content is not None and content[message.offset : message.offset + len(data)] != data:
            self._violate(
                "1: only proven bytes are served",
                f"{host.name} sends {there.name} wrong bytes at {message.offset}",
            )

    def _claims_all(self, host: Host, root: bytes) -> None:
        inside = leaf_of(host)
        if inside is None:
            return
        downloads = inside.downloads._downloads.values()
        served = [one for one in downloads if one.record.root == root and one.can_be_served]
        whole = any(one.done_bytes == one.record.size for one in served)
        if served and not whole and root not in inside.library._holdings._by_root:
            what = f"{host.name} says that it has all of what it is fetching"
            self._violate("1: nobody claims what he has not", what)

    def fed(self, host: Host, event: Event, _effects: list[Effect]) -> None:
        """An event was taken in: is a file said to be finished?"""
        if not isinstance(event, PartFinished) and not (
            isinstance(event, PartSkipped) and event.same
        ):
            return
        inside = leaf_of(host)
        download = inside.downloads._downloads.get(event.download) if inside else None
        if download is None:
            return
        record = download.record
        self._final(host, event.path, (record.root, record.size))

    def darkened(self, host: Host) -> None:
        """The power is gone: a finished file holds what it held."""
        for number, path in self._finals:
            if number == host.number:
                self._is_whole(host, path, self._finals[number, path])

    def asked(self, host: Host, _call: int, method: str, _params: msgspec.Struct) -> None:
        """Somebody asks: who removes downloads may want their files gone too."""
        if method == "leaf.rm":
            self._finals = {key: one for key, one in self._finals.items() if key[0] != host.number}

    def ended(self, host: Host, _call: int, outcome: object) -> None:
        """A call ended: a file that is told to be verified is."""
        if isinstance(outcome, GetResult) and outcome.verified and host.is_running:
            self._is_whole(host, outcome.path, parse_file_id(outcome.id))

    def _final(self, host: Host, path: str, content: Content) -> None:
        files = self._files[host.number]
        if not files.exists(path):
            return
        before = self._finals.setdefault((host.number, path), content)
        if before != content:
            self._violate("3: nothing is replaced", f"{host.name}: {path} was another file")
        self._is_whole(host, path, content)

    def _is_whole(self, host: Host, path: str, content: Content) -> None:
        files = self._files[host.number]
        if host.number in self._truth.decayed or not files.exists(path):
            return
        if not self._truth.is_content(files.read(path), content):
            self._violate("3: a final name is over the content", f"{host.name} has wrong {path}")

    def _content(self, root: bytes) -> bytes | None:
        if root not in self._by_root:
            for (each, _), data in self._truth.contents.items():
                self._by_root[each] = data
        return self._by_root.get(root)
