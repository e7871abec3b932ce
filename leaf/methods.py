"""What can be asked of a leaf: one table, whoever carries the call.

Results are the documents that `--json` prints; keys are a contract with scripts. Methods that
take time stream events first: hits of a search, progress of a download or of hashing.
"""

from typing import Literal

import msgspec

from common.ids import node_text
from common.messages.fields import Contact
from common.methods import Method, Methods
from leaf.reasons import Why

Exists = Literal["rename", "skip", "fail"]


class Nothing(msgspec.Struct):
    """A method without parameters."""


class Peer(msgspec.Struct):
    """A node and its address, as READY lines show them."""

    node: str
    address: str

    @classmethod
    def of(cls, contact: Contact | None) -> "Peer | None":
        """Of somebody, where there is one."""
        return cls(node_text(contact.node), str(contact.address)) if contact else None


class Status(msgspec.Struct):
    """What this leaf is and does."""

    node: str
    roles: list[str]
    listen: str
    network: str
    parent: Peer | None
    parent_reason: str  # why there is no parent, or ""
    heir: Peer | None
    shared_files: int
    shared_bytes: int
    pending_files: int
    reachable: bool | None
    up_rate: float | None
    down_rate: float | None
    uptime_s: float
    rss_bytes: int
    version: str
    dropped: dict[str, int]  # frames and messages dropped, by reason
    parent_refused: bool = (
        False  # some super-peer said no, or has another key: not a matter of reach
    )
    parent_source: str | None = None  # the step of the ladder that named the parent
    up_limit: int | None = None  # bytes/s of content that may go out now; null: no cap
    down_limit: int | None = None
    fetched_files: int = 0  # that others can find here too: whole ones and parts of some
    fetched_bytes: int = 0
    left_out: dict[str, int] = {}  # what lies in shares and is not shared: why, and how many
    line: int = 0  # leaves that we know would follow if no super-peer were left


class Share(msgspec.Struct):
    """Share these absolute paths; `keep` makes it survive restarts, `wait` until published.

    With `as_folder` each path, a folder, is published as one thing too.
    """

    paths: list[str]
    keep: bool = True
    wait: bool = False
    as_folder: bool = False


class Unshare(msgspec.Struct):
    """Stop sharing this absolute path."""

    path: str


class SharedRow(msgspec.Struct, omit_defaults=True):
    """One shared file; `id` and `link` are null until it is hashed.

    With a `reason` it is a share of which nothing is shared now.
    """

    path: str
    name: str
    size: int
    id: str | None
    link: str | None
    reason: str = ""


class HashProgress(msgspec.Struct):
    """How far hashing and publishing are."""

    files_done: int
    files_total: int
    bytes_done: int
    bytes_total: int


class Search(msgspec.Struct):
    """Find files; sizes in bytes, `wait` in seconds, `ttl` rings beyond the parent."""

    words: list[str]
    type: str = ""
    ext: list[str] = []
    min_size: int = 0
    max_size: int | None = None
    limit: int = 50
    wait: float = 10.0
    ttl: int = 10
    strategy: str = "ring"
    trace: bool = False  # which way it goes


class HitRow(msgspec.Struct):
    """All hits with one content: its names, how many leaves have it (or parts of it), and when it
    was changed by the earliest that one of them tells (RFC 3339)."""

    id: str
    name: str
    names: list[str]
    size: int
    sources: int
    score: float
    modified: str | None = None


class CoverageRow(msgspec.Struct):
    """How much of the network a search reached, and what it cost."""

    reached: int
    known: int | None
    messages: int
    elapsed_s: float
    complete: bool


class HopRow(msgspec.Struct):
    """What became of a search at one super-peer, asked by the last one above with a smaller depth.

    `outcome`: answered, duplicate (it had been asked by another way), ruled out (by a digest), left
    out (silent too often) or lost. `hits` counts copies; `cut`: hops behind it that are not shown.
    """

    node: str
    depth: int
    outcome: str
    messages: int
    hits: int
    elapsed_s: float
    cut: int


class SearchResult(msgspec.Struct):
    """A finished search; hits in the order that `get NUMBER` counts, from 1."""

    query: str
    hits: list[HitRow]
    coverage: CoverageRow
    id: str = ""
    trace: list[HopRow] = []  # where it was asked for


class TraceOf(msgspec.Struct):
    """A traced search by its id; empty: the last one."""

    id: str = ""


class TraceResult(msgspec.Struct):
    """Which way a search went: its tree, each super-peer before those that it asked."""

    id: str
    query: str
    hops: list[HopRow]


class Get(msgspec.Struct):
    """Fetch `what` (an id, a link, or a number of the last search) to an absolute path.

    `to` is a folder where `into` is true, else the file; empty: the downloads folder.
    """

    what: str
    to: str = ""
    into: bool = False
    exists: Exists = "rename"
    detach: bool = False
    timeout: float = 60.0  # seconds without any source
    only: list[str] = []  # of a folder: the files that one of these patterns matches
    stream: bool = False  # in order, to be read while it comes


class GetProgress(msgspec.Struct, omit_defaults=True):
    """How far a download is; `files` and `files_done` of a folder.

    Of one that comes in order, `part` is the file whose first `ready_bytes` are proven.
    """

    id: str
    path: str
    size: int
    done_bytes: int
    rate: float
    eta_s: float | None
    sources: int
    state: str
    reason: str
    files: int | None = None
    files_done: int | None = None
    part: str = ""
    ready_bytes: int = 0


class GetResult(msgspec.Struct, omit_defaults=True):
    """A finished (or with `detach` begun) download; `files` of a folder, and how many of them got a
    number (`renamed`) since their names differ from others only in case.

    So many stand `beside` other files that had their names, the first of them at `first_beside`; so
    many were `copied` from files with the same content that this machine had already.
    """

    path: str
    id: str
    size: int
    elapsed_s: float
    bytes_received: int
    sources: int
    verified: bool
    files: int | None = None
    renamed: int | None = None
    beside: int | None = None
    first_beside: str = ""
    copied: int | None = None


class DownloadRow(msgspec.Struct, omit_defaults=True):
    """One download; `state` is queued, fetching, paused, finishing, done, failed or skipped. A
    folder is one with so many `files`."""

    id: str
    path: str
    size: int
    done_bytes: int
    rate: float
    eta_s: float | None
    state: str
    reason: str
    files: int | None = None


class Chosen(msgspec.Struct):
    """The downloads meant: one id, or all where it is empty."""

    id: str = ""


class WhyOf(msgspec.Struct):
    """The download meant, by its id."""

    id: str


class Remove(msgspec.Struct):
    """Forget a download; `delete_data` removes an unfinished part too."""

    id: str
    delete_data: bool = False


class WishAdd(msgspec.Struct):
    """Look for this from now on; sizes in bytes.

    With `auto_get` what is found is fetched: at most `max_files` files and `max_bytes` bytes of it.
    """

    words: list[str]
    type: str = ""
    ext: list[str] = []
    min_size: int = 0
    max_size: int | None = None
    auto_get: bool = False
    max_files: int = 10
    max_bytes: int = 10 * 10**9


class WishChosen(msgspec.Struct):
    """One wish by its id, or all where it is 0."""

    id: int = 0


class WishedRow(msgspec.Struct):
    """A file that a wish has found; each is told once. `wish` is the id of the wish."""

    wish: int
    id: str
    name: str
    size: int
    found: str  # RFC 3339
    fetched: bool  # its download was begun for the wish
    link: str  # for `get`, with the name


class WishRow(msgspec.Struct):
    """A standing search; `reason` says why it is not looked for, or why nothing more is fetched."""

    id: int
    words: list[str]
    type: str
    ext: list[str]
    min_size: int
    max_size: int | None
    since: str  # RFC 3339
    watched: bool  # the super-peer looks for it now
    hits: int
    auto_get: bool
    max_files: int
    max_bytes: int
    fetched_files: int
    fetched_bytes: int
    reason: str
    files: list[WishedRow]


class Limit(msgspec.Struct):
    """Change limits, or with nothing in it show them; rates in bytes/s, 0: no cap.

    With `at`, a window of the week, `up` and `down` hold then; `remove`: such a window, or `all`.
    """

    up: int | None = None
    down: int | None = None
    slots: int | None = None
    at: str = ""
    remove: str = ""


class WindowRow(msgspec.Struct):
    """The limits of a window; null: as outside of it, 0: no cap."""

    at: str
    up: int | None
    down: int | None


class LimitRow(msgspec.Struct):
    """The caps that hold now (null: none), the local time at which they change next, and what was
    set: outside of windows (0: no cap) and in each of them."""

    up_limit: int | None
    down_limit: int | None
    slots: int
    next_change: str | None  # such as `mon 22:00`; of either
    up: int
    down: int
    schedule: list[WindowRow]
    up_next_change: str | None = None
    down_next_change: str | None = None


class PinReset(msgspec.Struct):
    """Forget the key pinned for this HOST[:PORT]."""

    place: str


class Stop(msgspec.Struct):
    """End the daemon."""


METHODS: Methods = {
    "leaf.status": Method(Nothing, Status),
    "leaf.share": Method(Share, list[SharedRow], HashProgress),
    "leaf.unshare": Method(Unshare, list[SharedRow]),
    "leaf.ls": Method(Nothing, list[SharedRow]),
    "leaf.search": Method(Search, SearchResult, HitRow),
    "leaf.trace": Method(TraceOf, TraceResult),
    "leaf.get": Method(Get, GetResult, GetProgress),
    "leaf.downloads": Method(Nothing, list[DownloadRow]),
    "leaf.why": Method(WhyOf, Why),
    "leaf.pause": Method(Chosen, list[DownloadRow]),
    "leaf.resume": Method(Chosen, list[DownloadRow]),
    "leaf.rm": Method(Remove, list[DownloadRow]),
    "leaf.wish_add": Method(WishAdd, WishRow),
    "leaf.wish_ls": Method(WishChosen, list[WishRow]),
    "leaf.wish_rm": Method(WishChosen, list[WishRow]),
    "leaf.wish_watch": Method(WishChosen, list[WishRow], WishedRow),
    "leaf.limit": Method(Limit, LimitRow),
    "leaf.pins_reset": Method(PinReset, Nothing),
    "leaf.stop": Method(Stop, Nothing),
}
