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
    promotions: int = 0  # leaves of ours that became super-peers
    demotions: int = 0  # neighbours that stepped down, we agreeing
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


class Explain(msgspec.Struct):
    """Explain the verdict on this leaf, or on all ('')."""

    node: str = ""


class CheckRow(msgspec.Struct):
    """One input of a verdict; it passes, fails, is left aside (in need) or only ranks."""

    name: str
    value: float | bool | None
    threshold: float | bool | None
    weight: float
    points: float
    outcome: str
    measured_by: list[str]  # keys
    change: str  # what would make it pass


class VerdictRow(msgspec.Struct):
    """Whether a leaf may be asked to become a super-peer, and its place among ours (from 1)."""

    node: str
    place: int
    fit: bool
    score: float
    checks: list[CheckRow]
    would_change: list[str]


class DriftRow(msgspec.Struct):
    """Load against target: ours, and the mean of us and our neighbours; mu = log(load / target)."""

    leaves: int
    leaves_max: int
    target: float
    target_most: float  # what the target may grow to; it shrinks while questions wait
    super_peers_near: int
    mean_leaves: float
    own_mu: float
    own_mu_max: float
    near_mu: float
    near_mu_max: float  # above: super-peers are missing; below its negative: too many
    split_chance: float  # at each look, once it has lasted
    step_down_chance: float
    sustain_s: float
    need: bool  # floors only rank


class Explanation(msgspec.Struct):
    """Why a leaf becomes a super-peer now, or none does; and why we do or do not step down."""

    node: str
    promoted: bool  # it was a leaf that others made a super-peer, or that began the network
    phase: str  # of stepping down
    step_down_after_s: float | None  # of being one too many; None: never
    offered: str | None  # the leaf that is asked now
    drift: DriftRow
    verdicts: list[VerdictRow]  # the best first


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
    "superpeer.explain": Method(Explain, Explanation),
}
