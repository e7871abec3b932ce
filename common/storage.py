"""Events and effects about files and what outlives a run.

Cores name files by where they are; the shell reads, hashes, verifies and writes them in worker
threads and never loses what it reported as written. A shared file is named by its share (an
absolute path) and the path inside it; a download by the number that the core gave it.
"""

import msgspec

from common.addresses import Address
from common.core import Effect, Event
from common.errors import Exit
from common.ids import NodeId
from common.schedule import LimitsRecord


class SharedFile(msgspec.Struct, frozen=True, gc=False):
    """A hashed file of a share; `stamp` is what its bytes are believed by."""

    share: str
    relpath: str  # '/'-separated; the file's own name where the share is a file
    size: int
    mtime_ns: int
    inode: int
    root: bytes
    lone: bool = False  # the share is this file itself, not a folder


class DownloadRecord(msgspec.Struct, frozen=True):
    """What is remembered of a download over restarts."""

    number: int
    root: bytes
    size: int
    target: str  # the wanted final path, absolute
    exists: str  # rename | skip | fail
    state: str
    reason: str = ""
    path: str = ""  # where it ended up
    folder: str = ""  # the id of the folder that it is a file of
    is_unnamed: bool = False  # only its content was named: it may be a folder's manifest
    is_streamed: bool = False  # it comes in order, for somebody who reads it meanwhile
    called: str = ""  # ... and how its sources call it: its name in the end
    is_skipped: bool = False  # another file is there, and was to stay


class FolderRecord(msgspec.Struct, frozen=True):
    """What is remembered of a folder that is fetched as one, over restarts."""

    number: int
    root: bytes  # of its manifest
    size: int
    name: str  # of its manifest
    target: str  # the folder to fetch into, absolute
    exists: str  # rename | skip | fail, for each file
    only: tuple[str, ...]  # patterns of the files wanted; none: all
    state: str
    reason: str = ""
    files: int = 0  # that are wanted, once the manifest is read
    bytes: int = 0  # that they have


class WishedFile(msgspec.Struct, frozen=True):
    """A file that a wish has found and told of."""

    root: bytes
    size: int
    name: str
    found_s: float  # wall seconds
    fetched: bool = False  # the wish began its download


class WishRecord(msgspec.Struct, frozen=True):
    """What is remembered of a standing search over restarts."""

    number: int
    words: tuple[str, ...]  # as typed
    kind: str
    extensions: tuple[str, ...]
    size_min: int
    size_max: int | None
    auto_get: bool
    files_max: int  # that it may fetch
    bytes_max: int
    since_s: float  # wall seconds
    told: bool = False  # a super-peer has looked for it
    files: tuple[WishedFile, ...] = ()


# --- shares ---------------------------------------------------------------------------------


class FollowShare(Effect, frozen=True):
    """Scan, hash and follow this file or folder from now on; if it is followed, scan it now."""

    share: str


class UnfollowShare(Effect, frozen=True):
    """Stop following; what was reported of it is forgotten without further events."""

    share: str


class FilesShared(Event, frozen=True):
    """These files are there, hashed, new or changed."""

    files: tuple[SharedFile, ...]


class FilesUnshared(Event, frozen=True):
    """These files of a share are gone or not shareable any more."""

    share: str
    relpaths: tuple[str, ...]


class ShareProgressed(Event, frozen=True):
    """How far hashing is; for bars."""

    share: str
    files_done: int
    files_total: int
    bytes_done: int
    bytes_total: int


class ShareSettled(Event, frozen=True):
    """Everything that was in the share when this scan began is reported."""

    share: str
    skipped: int = 0  # files and folders left out; each is tried again at the next scan
    left_out: tuple[tuple[str, int], ...] = ()  # why, and how many


class ShareFailed(Event, frozen=True):
    """The share cannot be followed now; it is tried again."""

    share: str
    reason: str
    hint: str = ""
    code: Exit = Exit.DISK


# --- downloads ------------------------------------------------------------------------------


class OpenPart(Effect, frozen=True):
    """Open or create the partial file of a download.

    With `create` false only look whether the very content stands at the target: `PartSkipped` if
    it does, else `PartFailed` of kind `gone`; nothing is made, not even a folder.
    """

    download: int
    root: bytes
    size: int
    target: str
    exists: str
    create: bool = True


class PartOpened(Event, frozen=True):
    """It is open at `path`; `done` has a 1 for each piece already proven, `layer` the proven
    hashes."""

    download: int
    done: bytes
    layer: bytes
    path: str = ""


class PartSkipped(Event, frozen=True):
    """Nothing to do: the very content, or with `skip` any file, stands at the target."""

    download: int
    path: str
    same: bool


class KeepLayer(Effect, frozen=True):
    """The piece layer, proven against the root: verify and resume by it."""

    download: int
    layer: bytes


class WritePieces(Effect, frozen=True):
    """Prove whole pieces from `offset` on against the layer and store those that hold."""

    download: int
    offset: int
    data: memoryview


class PiecesWritten(Event, frozen=True):
    """Which pieces of a `WritePieces` held and are stored, and which were wrong."""

    download: int
    good: tuple[int, ...]
    bad: tuple[int, ...]


class FinishPart(Effect, frozen=True):
    """All pieces are there: check, sync and give the file its final name.

    Not if it begins with `unless`: `PartFailed` of kind `folder`. `name`: another name in the same
    folder.
    """

    download: int
    unless: bytes = b""
    name: str = ""


class PartFinished(Event, frozen=True):
    """The file stands at `path`, whole and durable."""

    download: int
    path: str


class ClosePart(Effect, frozen=True):
    """Keep the partial file and let go of it."""

    download: int


class DeletePart(Effect, frozen=True):
    """Remove the partial file of a download, open or not; never a finished file."""

    download: int
    root: bytes
    size: int
    target: str


class PartFailed(Event, frozen=True):
    """The disk said no; `lost` pieces, stored or being written, are to be fetched again.

    `changed`: a finished file is no longer what was served, and it is not read before a new look.
    """

    download: int
    kind: str  # full | denied | busy | exists | gone | changed | broken | folder
    reason: str
    hint: str
    lost: tuple[int, ...] = ()


# --- serving --------------------------------------------------------------------------------


class ReadShared(Effect, frozen=True):
    """Read bytes of a shared file, if it is still the same file."""

    read: int
    file: SharedFile
    offset: int
    length: int


class ReadPart(Effect, frozen=True):
    """Read proven bytes of a download, partial or finished."""

    read: int
    download: int
    offset: int
    length: int


class ReadLayer(Effect, frozen=True):
    """Fetch the piece layer of a shared or downloaded file."""

    read: int
    root: bytes
    size: int


class BytesRead(Event, frozen=True):
    """What a read brought."""

    read: int
    data: memoryview


class ReadFailed(Event, frozen=True):
    """A read brought nothing: `changed`, `gone` or `disk`."""

    read: int
    kind: str


# --- memory over restarts -------------------------------------------------------------------


class GivingRecord(msgspec.Struct, frozen=True, gc=False):
    """What one leaf gave us and had of us in bytes, over all runs."""

    node: NodeId
    given: int = 0
    had: int = 0


class Restored(Event, frozen=True):
    """What the last run left; the first event of a node."""

    shares: tuple[str, ...] = ()
    downloads: tuple[DownloadRecord, ...] = ()
    pins: tuple[tuple[str, NodeId], ...] = ()  # HOST:PORT as typed -> key
    known: tuple[tuple[NodeId, Address], ...] = ()  # super-peers that worked, best first
    wishes: tuple[WishRecord, ...] = ()
    folder_shares: tuple[str, ...] = ()  # those of the shares that are published as one thing
    folders: tuple[FolderRecord, ...] = ()  # that are fetched as one
    limits: LimitsRecord | None = None
    giving: tuple[GivingRecord, ...] = ()  # by leaf, the one that moved last at the end
    line: tuple[tuple[NodeId, float], ...] = ()  # who waited for a slot of ours, and how long


class RememberShare(Effect, frozen=True):
    """This share survives restarts, or (`forget`) does not."""

    share: str
    forget: bool = False
    as_folder: bool = False  # published as one thing too


class RememberDownload(Effect, frozen=True):
    """This download survives restarts; or (`forget`) does not."""

    record: DownloadRecord
    forget: bool = False


class RememberWish(Effect, frozen=True):
    """This standing search survives restarts; or (`forget`) does not."""

    record: WishRecord
    forget: bool = False


class RememberGiving(Effect, frozen=True):
    """What these leaves gave and had survives restarts."""

    records: tuple[GivingRecord, ...]


class RememberLine(Effect, frozen=True):
    """These leaves wait for a slot of ours, so many seconds already; the others do not."""

    places: tuple[tuple[NodeId, float], ...]


class RememberPin(Effect, frozen=True):
    """`place` (HOST:PORT as typed) has this key; or (None) any again."""

    place: str
    node: NodeId | None


class RememberSuperPeer(Effect, frozen=True):
    """This super-peer worked."""

    node: NodeId
    address: Address
