"""A network as one TOML file: super-peers, leaves, overlay, content, faults, workload.

The same file runs in every world; what a world cannot do it says. Everything drawn at random is
drawn from `seed`. Reading a file is `deploy.loading`, what cannot be is told by `deploy.soundness`.
"""

from collections.abc import Sequence
from random import Random
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from common.config import Config
from common.limits import HITS_PER_QUERY_MAX, TTL_MAX
from deploy import graphs

Count = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(ge=0)]
Rate = Annotated[float, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
Profile = Literal["none", "kazaa-hard", "gnutella", "napster", "flatout", "red-hat", "debian"]
Asked = Literal["any", "popular", "single", "absent"]  # 100 copies or more; one copy; none
HostileKind = Literal["corrupter", "staller", "poisoner", "flooder", "forger", "silent"]


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table of the file; a key that it does not know is an error."""


class Overlay(Table, frozen=True):
    """The graph of the super-peers."""

    graph: graphs.Shape = "ring"
    degree: Positive = 3  # of a random graph, on average
    links: tuple[tuple[Count, Count], ...] = ()  # of an explicit graph
    mends: bool = False  # the super-peers look for more neighbours, and for others where they die
    delay_min_s: Seconds = 0.0  # one way; each link's delay is drawn between these two
    delay_max_s: Seconds = 0.0


class Attachment(Table, frozen=True):
    """Which super-peers the leaves hang on: in turn, each leaf knows the next ones too."""

    told: Positive = 2  # super-peers that a leaf is told of, first its parent
    relays: tuple[Count, ...] = ()  # super-peers that no leaf is told of


class Hosts(Table, frozen=True):
    """The machines and their access links; what is drawn is spread over orders of magnitude."""

    delay_min_s: Seconds = 0.0  # one way between a host and the middle of the network
    delay_max_s: Seconds = 0.0
    up_min: Rate = 0.0  # bytes/s; 0: no limit
    up_max: Rate = 0.0
    down_min: Rate = 0.0
    down_max: Rate = 0.0
    firewalled: Share = 0.0  # of the leaves, how many nobody can dial
    ipv6: bool = False  # nodes have IPv6 addresses and no others


class Content(Table, frozen=True):
    """What is shared: real files of the machine, then made ones until there are `files`."""

    files: Count = 0
    folders: tuple[str, ...] = ()  # "python" means its standard library
    size_min: Count = 1  # bytes
    size_max: Positive = 65536
    copies: Positive = 1  # leaves that hold each file, or with `zipf` the most popular one
    zipf: Seconds = 0.0  # how steeply copies and searches fall with a file's rank; 0: all alike
    words: Positive = 3  # in the name of a made file
    sharers: Count = 0  # only the first so many leaves share; 0: all of them
    sharing_on: bool = True  # whether a leaf serves what it has fetched or is fetching


class Churn(Table, frozen=True):
    """Nodes that come and go by themselves, as measured in real networks (`deploy.churn`)."""

    profile: Profile = "none"
    super_peers: bool = False  # whether they come and go too
    crashes: Share = 0.5  # of the departures, how many are without a goodbye (22 to 70 % measured)


class Hostile(Table, frozen=True):
    """Nodes that do harm, beyond those that `leaves` and `super_peers` count."""

    kind: HostileKind
    nodes: Positive = 1


class Fault(Table, frozen=True):
    """Something bad, so many seconds after its phase began; exactly one of the first four.

    Whom it strikes: "super-peer 3", "leaf 7" (counted from 0), "every super-peer", "every leaf",
    or "busiest super-peer".
    """

    at_s: Seconds
    kill: str = ""  # it is gone at once, as by SIGKILL
    stop: str = ""  # it stands still for `for_s`, as by SIGSTOP
    restart: str = ""  # it is killed and started again after `for_s`
    cut: tuple[str, ...] = ()  # these cannot reach the others for `for_s`, nor be reached
    for_s: Seconds = 0.0


class Phase(Table, frozen=True):
    """A part of the workload; the next begins when it is over and the network has settled."""

    name: str
    for_s: Seconds = 0.0  # spread searches and gets over so long; 0: one after another
    leaves_per_file: Count = 0  # each file is searched by its whole name from so many leaves
    searches: Count = 0  # more searches, of random files from random leaves
    files: Asked = "any"  # of which ones the searches are
    limit: Annotated[int, Meta(ge=1, le=HITS_PER_QUERY_MAX)] = HITS_PER_QUERY_MAX
    gets: Count = 0  # downloads of random files to random leaves that lack them
    crowd: Count = 0  # so many leaves fetch one and the same file at once
    ttl: Annotated[int, Meta(ge=0, le=TTL_MAX)] = TTL_MAX
    strategy: Literal["ring", "flood", "dynamic"] = "ring"
    may_fail: bool = False  # nothing is demanded of it: what comes is counted apart
    at_once: Annotated[int, Meta(ge=1, le=256)] = 8  # searches under way at any time
    faults: tuple[Fault, ...] = ()


class Expect(Table, frozen=True):
    """What the report must show; a run that misses any of it has failed."""

    recall_min: Share | None = None
    coverage_min: Share | None = None
    downloads_min: Share | None = None  # of all downloads, how many are whole at the end
    wasted_max: Seconds | None = None  # wasted bytes for each useful one
    seed_copies_max: Seconds | None = None  # of what its first holder sent, in files
    failover_p99_max_s: Seconds | None = None
    first_hit_p99_max_s: Seconds | None = None
    messages_per_query_max: Seconds | None = None


Expectation = Literal[
    "recall_min",
    "coverage_min",
    "downloads_min",
    "wasted_max",
    "seed_copies_max",
    "failover_p99_max_s",
    "first_hit_p99_max_s",
    "messages_per_query_max",
]


class Mark(Table, frozen=True):
    """What of a scenario is missed until what it needs is there; all else must hold."""

    misses: tuple[Expectation, ...]
    because: str


class Timeouts(Table, frozen=True):
    """How long anything may take before the run gives up on it."""

    ready_s: Seconds = 30.0
    published_s: Seconds = 120.0
    search_s: Seconds = 10.0
    get_s: Seconds = 60.0
    settled_s: Seconds = 30.0


class Scenario(Table, frozen=True):
    """A whole network and what happens to it."""

    super_peers: Positive
    leaves: Count
    seed: Count = 1
    time_scale: Annotated[float, Meta(gt=0)] = 1.0
    expected_to_fail: Mark | None = None
    together: bool = False  # leaf N lives in the node of super-peer N, as in a flat network
    promotes: bool = False  # leaves become super-peers where they are needed
    large: bool = False  # too large to check after every event: see `deploy.sim`
    overlay: Overlay = Overlay()
    attachment: Attachment = Attachment()
    hosts: Hosts = Hosts()
    content: Content = Content()
    churn: Churn = Churn()
    hostile: tuple[Hostile, ...] = ()
    config: Config = Config()  # settings of all nodes, as in their own files
    phases: tuple[Phase, ...] = ()
    timeouts: Timeouts = Timeouts()
    expect: Expect = Expect()
    name: str = ""  # the file's, without ending

    @property
    def node_config(self) -> Config:
        """The settings of all nodes; an overlay that does not mend stays the graph that it is."""
        if self.overlay.mends:
            return self.config
        overlay = msgspec.structs.replace(self.config.overlay, degree_wanted=0)
        return msgspec.structs.replace(self.config, overlay=overlay)

    def varied(self, *, seed: int | None, ipv6: bool) -> "Scenario":
        """The same scenario as a command line wants it: another seed, on IPv6."""
        changed = self if seed is None else msgspec.structs.replace(self, seed=seed)
        if not ipv6:
            return changed
        hosts = msgspec.structs.replace(changed.hosts, ipv6=True)
        return msgspec.structs.replace(changed, hosts=hosts)

    def edges(self) -> list[graphs.Edge]:
        """The links of the overlay, the lower number first; always the same for a seed."""
        overlay = self.overlay
        if overlay.graph == "explicit":
            return sorted({(min(a, b), max(a, b)) for a, b in overlay.links})
        return graphs.draw(overlay.graph, self.super_peers, overlay.degree, self.random("overlay"))

    def told(self, leaf: int) -> list[int]:
        """The super-peers that a leaf is told of, the one it should hang on first."""
        relays = dict.fromkeys(self.attachment.relays)
        parents: Sequence[int] = range(self.super_peers)
        if relays:
            parents = [number for number in parents if number not in relays]
        told = range(leaf, leaf + min(self.attachment.told, len(parents)))
        return [parents[number % len(parents)] for number in told]

    def random(self, purpose: str) -> Random:
        """A generator of its own for each purpose, so that one draw does not shift another."""
        return Random(f"{self.seed}/{purpose}")
