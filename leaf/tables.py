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
from common.messages import cluster, hierarchy, relay, swarm
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
from common.web.web import WebAsked, WebLeft, WebTaken
from common.web.webget import WebFailed, WebFetched
from leaf.signals import (
    Acknowledged,
    Adopted,
    Alone,
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
    Named,
    Offered,
    Orphaned,
    PiecesProven,
    PushWanted,
    RelayWanted,
    Signal,
    SourcesFound,
    SourcesUnwanted,
    SourcesWanted,
    ToRelay,
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

_LINKED: Final = ("errands", "trials")
_MEASURING: Final = ("errands", "receipts", "trials")

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
    Bound: ("parent", "wayin"),
    Found: ("parent",),
    Promoted: ("parent", "offers", "succession"),
    Demoted: ("parent", "offers", "succession"),
    LinkUp: (
        "links",
        "pushed",
        "relayed",
        "idle",
        "parent",
        "downloads",
        "exchange",
        *_LINKED,
    ),
    LinkDown: (
        "links",
        "pushed",
        "relayed",
        "parent",
        "uploads",
        "downloads",
        "exchange",
        *_MEASURING,
    ),
    LinkMeasured: ("parent",),
    DatagramReceived: ("wayin", "parent", "succession"),
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

TEST_SENT: Final = ("trials",)  # of `Sent`, where that was data of a transfer test
STOPPED: Final = (*("gets", "downloads", "uploads", "ledger", "searches", "succession", "parent"),)

MESSAGES: Final[dict[type[Message], Names]] = {
    **dict.fromkeys((cluster.Welcome, cluster.Busy, cluster.Heir, cluster.ReHome), ("parent",)),
    cluster.Credit: (),
    cluster.Line: ("succession",),
    cluster.Push: ("pushed",),
    **dict.fromkeys((relay.Relayed, relay.Ferried), ("relayed",)),
    cluster.Published: ("publisher",),
    cluster.SearchHits: ("searches",),
    cluster.SearchDone: ("searches",),
    cluster.Sources: ("locator",),
    **dict.fromkeys((cluster.Wished, cluster.WishHits), ("wishes",)),
    **dict.fromkeys(_TO_UPLOADS, ("links", "uploads")),
    **dict.fromkeys(_TO_DOWNLOADS, ("links", "downloads")),
    swarm.Interested: ("links", "uploads", "exchange", "receipts"),
    swarm.Bitfield: ("links", "downloads", "exchange"),
    swarm.Peers: ("exchange",),
    hierarchy.Offer: ("offers",),
    hierarchy.Vitals: ("errands",),
    hierarchy.Home: ("receipts",),
    hierarchy.Errand: ("errands", "trials"),
    **dict.fromkeys((hierarchy.Trial, hierarchy.TrialData), ("links", "trials")),
}

_UPLINKED: Final = (
    *("library", "publisher", "searches", "wishes", "locator", "pushed", "relayed"),
    *("receipts", "errands", "trials", "offers"),
)

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
    Given: ("ledger", "receipts"),
    Joined: ("succession", *_UPLINKED),
    Orphaned: ("succession", *_UPLINKED),
    Alone: ("succession",),
    Named: ("parent",),
    Inherits: ("searches",),
    Offered: ("publisher",),
    Acknowledged: ("library", "parent"),
    Wanted: ("webpeers", "downloads"),
    ToWeb: ("webpeers",),
    **dict.fromkeys((RelayWanted, ToRelay), ("relayed",)),
    **dict.fromkeys((Forgotten, Adopted), ("downloads",)),
    **dict.fromkeys((FolderWanted, FolderFound, Heard, Moved, Listed), ("gets",)),
    SourcesWanted: ("locator",),
    SourcesUnwanted: ("locator",),
    PushWanted: ("locator",),
    SourcesFound: ("downloads",),
    PiecesProven: ("uploads", "webpeers"),
    Withdrawn: ("uploads",),
    Limited: ("links", "uploads"),
}
