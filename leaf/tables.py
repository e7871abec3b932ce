"""Which machine of a leaf takes what: events, messages, methods, and signals of other machines."""

from typing import Final

from common.core import (
    AskerLeft,
    Bound,
    DatagramReceived,
    Demoted,
    Event,
    LinkDown,
    LinkMeasured,
    LinkUp,
    Promoted,
    Sent,
)
from common.folders import ManifestFailed, ManifestMade, ManifestRead, ManifestUnread
from common.ladder import Found
from common.messages import cluster, swarm
from common.messages.fields import Message
from common.schedule import TimeTold
from common.storage import (
    BytesRead,
    FilesShared,
    FilesUnshared,
    PartFailed,
    PartFinished,
    PartOpened,
    PartSkipped,
    PiecesWritten,
    ReadFailed,
    Restored,
    ShareFailed,
    ShareProgressed,
    ShareSettled,
)
from common.web import WebAsked, WebLeft, WebTaken
from common.webget import WebFailed, WebFetched
from leaf.signals import (
    Acknowledged,
    Adopted,
    FolderFound,
    FolderWanted,
    Forgotten,
    Given,
    Heard,
    Inherits,
    Joined,
    Limited,
    Listed,
    Moved,
    Offered,
    Orphaned,
    PiecesProven,
    Signal,
    SourcesFound,
    SourcesUnwanted,
    SourcesWanted,
    ToWeb,
    Wanted,
    Withdrawn,
)

DISK: Final = (PartOpened, PartSkipped, PiecesWritten, PartFinished, PartFailed)
_SHARES: Final = (FilesShared, FilesUnshared, ShareProgressed, ShareSettled, ShareFailed)
_MANIFESTS: Final = (ManifestMade, ManifestFailed)
_TO_UPLOADS: Final = (
    *(swarm.Interested, swarm.NotInterested, swarm.Request, swarm.Cancel, swarm.TreeRequest),
)
_TO_DOWNLOADS: Final = (
    *(swarm.Bitfield, swarm.Have, swarm.Choke, swarm.Unchoke),
    *(swarm.Piece, swarm.Reject, swarm.TreeHashes),
)

_WISH_METHODS: Final = ("leaf.wish_add", "leaf.wish_ls", "leaf.wish_rm", "leaf.wish_watch")

Names = tuple[str, ...]

EVENTS: Final[dict[type[Event], Names]] = {
    Restored: (
        "limits",
        "library",
        "downloads",
        "gets",
        "ledger",
        "uploads",
        "wishes",
        "wayin",
        "parent",
    ),
    TimeTold: ("limits",),
    Bound: ("parent",),
    Found: ("parent",),
    Promoted: ("parent",),
    Demoted: ("parent",),
    LinkUp: ("links", "idle", "parent", "downloads", "exchange"),
    LinkDown: ("links", "parent", "uploads", "downloads", "exchange"),
    LinkMeasured: ("parent",),
    DatagramReceived: ("parent", "wayin"),
    AskerLeft: ("library", "searches", "wishes", "downloads", "gets"),
    BytesRead: ("uploads",),
    ReadFailed: ("uploads",),
    Sent: ("ledger", "uploads"),
    **dict.fromkeys((WebAsked, WebTaken, WebLeft), ("web",)),
    **dict.fromkeys((WebFetched, WebFailed), ("webpeers",)),
    **dict.fromkeys((ManifestRead, ManifestUnread), ("gets",)),
    **dict.fromkeys((*_SHARES, *_MANIFESTS), ("library",)),
    FilesShared: ("library", "downloads"),
    **dict.fromkeys(DISK, ("downloads",)),
}

STOPPED: Final = ("gets", "downloads", "uploads", "ledger", "searches", "parent")

MESSAGES: Final[dict[type[Message], Names]] = {
    cluster.Welcome: ("parent",),
    **dict.fromkeys((cluster.Busy, cluster.Heir, cluster.ReHome), ("parent",)),
    cluster.Credit: (),
    cluster.Published: ("publisher",),
    cluster.SearchHits: ("searches",),
    cluster.SearchDone: ("searches",),
    cluster.Sources: ("locator",),
    **dict.fromkeys((cluster.Wished, cluster.WishHits), ("wishes",)),
    **dict.fromkeys(_TO_UPLOADS, ("links", "uploads")),
    **dict.fromkeys(_TO_DOWNLOADS, ("links", "downloads")),
    swarm.Interested: ("links", "uploads", "exchange"),
    swarm.Bitfield: ("links", "downloads", "exchange"),
    swarm.Peers: ("exchange",),
}

METHODS: Final[dict[str, Names]] = {
    "leaf.share": ("library",),
    "leaf.unshare": ("library",),
    "leaf.ls": ("library",),
    **dict.fromkeys(("leaf.search", "leaf.trace"), ("searches",)),
    "leaf.get": ("searches",),  # knows what is meant, and signals `Wanted`
    **dict.fromkeys(_WISH_METHODS, ("wishes",)),
    "leaf.downloads": ("downloads",),  # who signals `Listed`
    **dict.fromkeys(("leaf.pause", "leaf.resume", "leaf.rm"), ("downloads", "gets")),
    "leaf.limit": ("limits",),
    "leaf.why": ("whys",),
    "leaf.pins_reset": ("parent",),
}

SIGNALS: Final[dict[type[Signal], Names]] = {
    Given: ("ledger",),
    Joined: ("library", "publisher", "searches", "wishes", "locator"),
    Orphaned: ("library", "publisher", "searches", "wishes", "locator"),
    Inherits: ("searches",),
    Offered: ("publisher",),
    Acknowledged: ("library",),
    Wanted: ("webpeers", "downloads"),
    ToWeb: ("webpeers",),
    **dict.fromkeys((Forgotten, Adopted), ("downloads",)),
    **dict.fromkeys((FolderWanted, FolderFound, Heard, Moved, Listed), ("gets",)),
    SourcesWanted: ("locator",),
    SourcesUnwanted: ("locator",),
    SourcesFound: ("downloads",),
    PiecesProven: ("uploads", "webpeers"),
    Withdrawn: ("uploads",),
    Limited: ("links", "uploads"),
}
