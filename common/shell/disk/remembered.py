"""What the disk code needs of what is remembered: the methods of `store.Store`, in two slices.

Who scans, serves or remembers says here how much of a store it wants, so that a store may also be
a few dictionaries. Each method is one transaction; DiskError where one cannot be kept.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

from common.addresses import Address
from common.ids import NodeId
from common.merkle import FileTree
from common.shell.disk.files import FileStamp
from common.shell.disk.scan import Known
from common.storage import DownloadRecord


class Hashes(Protocol):
    """The trees of files, by folder, name and stamp."""

    def hashes(self, folder: Path) -> dict[str, Known]: ...

    def remember_hashes(
        self, folder: Path, trees: Mapping[str, tuple[FileStamp, FileTree]]
    ) -> None: ...

    def forget_hashes(self, folder: Path, names: Iterable[str]) -> None: ...

    def forget_layers(self) -> None: ...

    def folders(self, above: Path) -> list[Path]: ...

    def layer(self, root: bytes) -> bytes | None: ...

    def downloads(self) -> tuple[DownloadRecord, ...]: ...


class Memory(Protocol):
    """What a node remembers of itself."""

    def shares(self) -> tuple[str, ...]: ...

    def remember_share(self, path: str) -> None: ...

    def forget_share(self, path: str) -> None: ...

    def downloads(self) -> tuple[DownloadRecord, ...]: ...

    def remember_download(self, record: DownloadRecord) -> None: ...

    def forget_download(self, number: int) -> None: ...

    def pins(self) -> tuple[tuple[str, NodeId], ...]: ...

    def remember_pin(self, place: str, node: NodeId | None) -> None: ...

    def super_peers(self) -> tuple[tuple[NodeId, Address], ...]: ...

    def remember_super_peer(self, node: NodeId, address: Address, wall_s: float) -> None: ...
