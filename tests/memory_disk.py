"""A disk in memory that answers the effects of `common.storage` as the shell would."""

from collections.abc import Callable
from functools import cache
from typing import ClassVar

from common.content.manifest import (
    MAGIC,
    FolderFile,
    ManifestError,
    chooser,
    manifest_name,
    manifest_of,
    parse_manifest,
    places,
)
from common.content.merkle import (
    FileHasher,
    FileTree,
    layer_root,
    piece_count,
    piece_hash,
    piece_span,
)
from common.content.merkle import piece_size_bytes as piece_bytes_of
from common.core import Effect, Event
from common.folders import (
    DropManifest,
    MakeManifest,
    ManifestFailed,
    ManifestMade,
    ManifestRead,
    ManifestUnread,
    ReadManifest,
    RememberFolder,
)
from common.schedule import LimitsRecord, RememberLimits
from common.storage import (
    BytesRead,
    ClosePart,
    DeletePart,
    DownloadRecord,
    FilesShared,
    FinishPart,
    FolderRecord,
    FollowShare,
    KeepLayer,
    OpenPart,
    PartFailed,
    PartFinished,
    PartOpened,
    PartSkipped,
    PiecesWritten,
    ReadFailed,
    ReadLayer,
    ReadPart,
    ReadShared,
    RememberDownload,
    RememberWish,
    SharedFile,
    ShareFailed,
    ShareSettled,
    UnfollowShare,
    WishRecord,
    WritePieces,
)


@cache
def tree_of(data: bytes) -> FileTree:
    """The hash tree of some bytes."""
    hasher = FileHasher(len(data))
    hasher.update(data)
    return hasher.finish()


def shared(relpath: str, data: bytes, share: str = "/share") -> SharedFile:
    """A file as a scan reports it."""
    lone = share.endswith("/" + relpath)
    return SharedFile(share, relpath, len(data), 10**9, 1, tree_of(data).root, lone)


class _Part:
    """One partial file."""

    def __init__(self, effect: OpenPart) -> None:
        self.root, self.size, self.target = effect.root, effect.size, effect.target
        self.data = bytearray(effect.size)
        self.done = bytearray(piece_count(effect.size))
        self.layer = effect.root if piece_count(effect.size) == 1 else b""


class MemoryDisk:
    """`files` by absolute path, `shares` by theirs.

    `full` makes every write fail; `unsound` makes every sync after a write fail.
    """

    def __init__(self) -> None:
        self.shares: dict[str, dict[str, bytes]] = {}
        self.files: dict[str, bytes] = {}
        self.parts: dict[str, _Part] = {}  # by target; they outlive a run
        self.records: dict[int, DownloadRecord] = {}
        self.wishes: dict[int, WishRecord] = {}
        self.folders: dict[int, FolderRecord] = {}
        self.limits: LimitsRecord | None = None
        self.full = False
        self.unsound = False
        self.written_bytes = 0
        self._open: dict[int, str] = {}
        self._layers: dict[bytes, bytes] = {}

    def let_go(self) -> None:
        """The program that had files open is gone."""
        self._open.clear()

    def performs(self, effect: Effect) -> bool:
        """Whether this is for the disk."""
        return type(effect) in self._PERFORMERS

    def perform(self, effect: Effect) -> list[Event]:
        """Do it; the events that come back."""
        return self._PERFORMERS[type(effect)](self, effect)

    def _follow(self, effect: FollowShare) -> list[Event]:
        files = self.shares.get(effect.share)
        if files is None:
            return [ShareFailed(effect.share, "it is not there", "Check the path.")]
        found = []
        for relpath, data in files.items():
            tree = tree_of(data)
            self._layers[tree.root] = tree.layer or tree.root
            found.append(shared(relpath, data, effect.share))
        return [FilesShared(tuple(found)), ShareSettled(effect.share)]

    def _unfollow(self, _effect: UnfollowShare) -> list[Event]:
        return []

    def _open_part(self, effect: OpenPart) -> list[Event]:
        there = self.files.get(effect.target)
        if not effect.create:
            if there is None or tree_of(there).root != effect.root:
                return [PartFailed(effect.download, "gone", "It is not there.", "")]
            self._open[effect.download] = effect.target
            return [PartSkipped(effect.download, effect.target, same=True)]
        if there is not None:
            same = tree_of(there).root == effect.root
            if same or effect.exists == "skip":
                self._open[effect.download] = effect.target
                return [PartSkipped(effect.download, effect.target, same)]
            if effect.exists == "fail":
                return [PartFailed(effect.download, "exists", "It exists.", "Move it.")]
        part = self.parts.setdefault(effect.target, _Part(effect))
        self._open[effect.download] = effect.target
        path = f"{effect.target}.part"
        return [PartOpened(effect.download, bytes(part.done), part.layer, path)]

    def _keep_layer(self, effect: KeepLayer) -> list[Event]:
        part = self.parts[self._open[effect.download]]
        assert layer_root(effect.layer, part.size) == part.root
        part.layer = effect.layer
        return []

    def _write(self, effect: WritePieces) -> list[Event]:
        if effect.download not in self._open:
            return []
        part = self.parts[self._open[effect.download]]
        piece_bytes = piece_bytes_of(part.size)
        first = effect.offset // piece_bytes
        lost = tuple(range(first, first + -(-len(effect.data) // piece_bytes)))
        if self.full:
            reason, hint = "The disk is full.", "Make room."
            return [PartFailed(effect.download, "full", reason, hint, lost)]
        if self.unsound:
            written = PiecesWritten(effect.download, lost, ())
            return [written, PartFailed(effect.download, "broken", "It broke.", "", lost)]
        good: list[int] = []
        bad: list[int] = []
        self.written_bytes += len(effect.data)
        for at in range(0, len(effect.data), piece_bytes):
            index = (effect.offset + at) // piece_bytes
            offset, length = piece_span(part.size, index)
            data = effect.data[at : at + length]
            expected = part.layer[32 * index : 32 * index + 32]
            if piece_hash(data, piece_bytes, part.size) == expected:
                part.data[offset : offset + length] = data
                part.done[index] = 1
                good.append(index)
            else:
                bad.append(index)
        return [PiecesWritten(effect.download, tuple(good), tuple(bad))]

    def _finish(self, effect: FinishPart) -> list[Event]:
        target = self._open[effect.download]
        if effect.unless and self.parts[target].data.startswith(effect.unless):
            return [PartFailed(effect.download, "folder", "It is a folder.", "")]
        part = self.parts.pop(target)
        assert tree_of(bytes(part.data)).root == part.root
        self._layers[part.root] = part.layer or part.root
        if effect.name:
            target = f"{target.rpartition('/')[0]}/{effect.name}"
        stem, dot, ending = target.rpartition(".")
        path, number = target, 0
        while path in self.files:
            number += 1
            path = f"{stem} ({number}){dot}{ending}"
        self.files[path] = bytes(part.data)
        self._open[effect.download] = path
        return [PartFinished(effect.download, path)]

    def _close(self, effect: ClosePart) -> list[Event]:
        self._open.pop(effect.download, None)
        return []

    def _delete(self, effect: DeletePart) -> list[Event]:
        self._open.pop(effect.download, None)
        self.parts.pop(effect.target, None)
        return []

    def _read_shared(self, effect: ReadShared) -> list[Event]:
        data = self.shares[effect.file.share].get(effect.file.relpath)
        if data is None:
            return [ReadFailed(effect.read, "gone")]
        if tree_of(data).root != effect.file.root:
            return [ReadFailed(effect.read, "changed")]
        span = data[effect.offset : effect.offset + effect.length]
        return [BytesRead(effect.read, memoryview(span))]

    def _read_part(self, effect: ReadPart) -> list[Event]:
        path = self._open.get(effect.download, "")
        part = self.parts.get(path)
        data = self.files.get(path) if part is None else bytes(part.data)
        if data is None and self._open.pop(effect.download, ""):
            failed = PartFailed(effect.download, "changed", f"{path} is gone.", "")
            return [failed, ReadFailed(effect.read, "gone")]
        if data is None:
            return [ReadFailed(effect.read, "gone")]
        span = data[effect.offset : effect.offset + effect.length]
        return [BytesRead(effect.read, memoryview(span))]

    def _read_layer(self, effect: ReadLayer) -> list[Event]:
        layers = [part.layer for part in self.parts.values() if part.root == effect.root]
        layer = self._layers.get(effect.root, layers[0] if layers else b"")
        if not layer:
            return [ReadFailed(effect.read, "gone")]
        return [BytesRead(effect.read, memoryview(layer))]

    def _remember(self, effect: RememberDownload) -> list[Event]:
        self.records[effect.record.number] = effect.record
        if effect.forget:
            del self.records[effect.record.number]
        return []

    def _make_manifest(self, effect: MakeManifest) -> list[Event]:
        files = [FolderFile(file.relpath, file.size, file.root) for file in effect.files]
        name = manifest_name(effect.share.rpartition("/")[2])
        try:
            data = manifest_of(files)
        except ManifestError as error:
            return [ManifestFailed(effect.share, str(error))]
        path = f"{effect.place}/{tree_of(data).root.hex()}/{name}"
        self._layers[tree_of(data).root] = tree_of(data).layer or tree_of(data).root
        self.files[path] = data
        self.shares[path] = {name: data}  # to be read; it is followed by nobody
        return [ManifestMade(effect.share, shared(name, data, path))]

    def _read_manifest(self, effect: ReadManifest) -> list[Event]:
        data = self.files.get(effect.path, b"")
        if not data.startswith(MAGIC):
            return [ManifestUnread(effect.folder, "ordinary", "It is none")]
        try:
            files = parse_manifest(data)
        except ManifestError as error:
            return [ManifestUnread(effect.folder, "bad", str(error))]
        wanted = chooser(effect.only)
        at = [
            (file, place)
            for file, place in zip(files, places(files), strict=True)
            if wanted(file.path)
        ]
        found = tuple(FolderFile(place, file.size, file.root) for file, place in at)
        moved = sum(file.path != place for file, place in at)
        return [ManifestRead(effect.folder, found, moved, len(files) - len(at))]

    def _drop_manifest(self, effect: DropManifest) -> list[Event]:
        self.files.pop(effect.path, None)
        self.shares.pop(effect.path, None)
        return []

    def _remember_folder(self, effect: RememberFolder) -> list[Event]:
        self.folders[effect.record.number] = effect.record
        if effect.forget:
            del self.folders[effect.record.number]
        return []

    def _remember_limits(self, effect: RememberLimits) -> list[Event]:
        self.limits = effect.record
        return []

    def _remember_wish(self, effect: RememberWish) -> list[Event]:
        self.wishes[effect.record.number] = effect.record
        if effect.forget:
            del self.wishes[effect.record.number]
        return []

    _PERFORMERS: ClassVar[dict[type[Effect], Callable[..., list[Event]]]] = {
        FollowShare: _follow,
        UnfollowShare: _unfollow,
        OpenPart: _open_part,
        KeepLayer: _keep_layer,
        WritePieces: _write,
        FinishPart: _finish,
        ClosePart: _close,
        DeletePart: _delete,
        ReadShared: _read_shared,
        ReadPart: _read_part,
        ReadLayer: _read_layer,
        RememberDownload: _remember,
        RememberWish: _remember_wish,
        RememberFolder: _remember_folder,
        RememberLimits: _remember_limits,
        MakeManifest: _make_manifest,
        ReadManifest: _read_manifest,
        DropManifest: _drop_manifest,
    }
