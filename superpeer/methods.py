"""What can be asked of a super-peer: one table, whoever carries the call.

Results are the documents that `--json` prints; keys are a contract with scripts.
"""

import msgspec

from common.methods import Method, Methods


class Nothing(msgspec.Struct):
    """A method without parameters."""


class Status(msgspec.Struct):
    """What this super-peer is and does."""

    node: str
    listen: str
    uptime_s: float
    leaves: int
    leaves_max: int
    files: int
    neighbours: int
    searches: int
    queries_evaluated: int
    queries_forwarded: int
    queries_duplicate: int
    rss_bytes: int
    version: str
    network: str
    dropped: dict[str, int]  # frames and messages dropped, by reason
    wishes: int = 0  # different standing searches of our leaves
    sources: dict[str, int] = {}  # super-peers that each step of the ladder has named
    heirs: int = 0  # leaves of ours of which a neighbour has a whole copy
    copies: int = 0  # leaves of neighbours whose heir we are
    copied_files: int = 0  # ... and what they share, found by nobody as long as their parent lives
    copies_woken: int = 0  # how often such a copy was found after its parent was lost
    leaves_inherited: int = 0  # leaves that joined us and found what they share here
    leaves_moved: int = 0  # leaves that left us for another super-peer
    index_uploads: int = 0  # whole catalogues that leaves have sent us


class Listing(msgspec.Struct):
    """How to order and cut a list; `sort` is a key of its rows."""

    sort: str = "node"
    limit: int = 1000


class LeafRow(msgspec.Struct):
    """One leaf of ours; rates are bytes/s as others measured them, null where nobody has yet."""

    node: str
    address: str
    rtt_s: float | None
    up_rate: float | None
    uptime_s: float
    files: int
    heir: str | None


class NeighbourRow(msgspec.Struct):
    """One neighbour of ours."""

    node: str
    address: str
    rtt_s: float | None
    up_rate: float | None
    uptime_s: float


class GraphNode(msgspec.Struct):
    """A super-peer of the overlay; `leaves` is null where we know it by hearsay only."""

    node: str
    address: str
    leaves: int | None


class GraphEdge(msgspec.Struct):
    """Two neighbours, the lower key first."""

    a: str
    b: str


class Graph(msgspec.Struct):
    """The overlay as far as known: our neighbours, and theirs."""

    nodes: list[GraphNode]
    edges: list[GraphEdge]


class Drain(msgspec.Struct):
    """Stop admitting, hand the leaves over to their heirs, then end; all within `grace_s`."""

    grace_s: float = 5.0


class Drained(msgspec.Struct):
    """How many leaves have another super-peer by now."""

    leaves: int


METHODS: Methods = {
    "superpeer.status": Method(Nothing, Status),
    "superpeer.leaves": Method(Listing, list[LeafRow]),
    "superpeer.neighbours": Method(Listing, list[NeighbourRow]),
    "superpeer.graph": Method(Nothing, Graph),
    "superpeer.drain": Method(Drain, Drained),
}
