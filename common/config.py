"""Every setting of a node, in slices: a machine sees only its own.

Each default says where it came from. All names end in their unit; `scaled` multiplies every
`..._s` by the time scale and divides every `..._per_s`, so that tests run the same protocol in
less time. Reading files, environment and flags is the shell's business
(`common.shell.desk.settings`).
"""

from typing import TypeVar

import msgspec

from common.limits import FILES_PER_LEAF_MAX

S = TypeVar("S", bound=msgspec.Struct)


class Slice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The root of all slices; an unknown key is an error that names it."""


class LinkConfig(Slice, frozen=True):
    """What `common.links` keeps to."""

    echo_s: float = 1.0  # 1 s piggy-backed on traffic: THREATS §6
    dead_s: float = 2.5  # a link without a frame for this long is dead
    hello_s: float = 2.0  # from an open link to its hello
    dial_s: float = 10.0  # = the handshake limit of the sockets
    stall_s: float = 0.5  # woken this late, we were asleep ourselves: accuse nobody


class ClusterConfig(Slice, frozen=True):
    """A super-peer and its leaves."""

    leaves_max: int = 150  # KaZaA 55-160 leaves, gtk-gnutella 300
    entries_max: int = FILES_PER_LEAF_MAX
    keys_max: int = 24 * FILES_PER_LEAF_MAX  # of one leaf: 20 words a file and four others; 46 MiB
    docs_max: int = 2**24  # of all: 64 for each 64 slots with a file; the index numbers no more
    lease_s: float = 5.0  # entries outlive a lost link by this, unless the leaf joins again
    busy_retry_s: float = 10.0  # wild guess
    searches_max: int = 64  # open searches of one leaf: its credit while leaves are few; wild guess
    late_s: float = 1.0  # a search that waited this long gives way to newer ones; wild guess
    waits_s: float = 10.0  # ... and after this nobody waits for it: a leaf's default
    searches_per_s: float = 2.0  # of one leaf in public scope: THREATS §6
    searches_burst: int = 10
    near_searches_per_s: float = 200.0  # of one leaf in private or loopback scope: THREATS §6
    near_searches_burst: int = 200
    idle_leaf_s: float = 60.0  # without files this long, it gives way when we are full; wild guess


class OverlayConfig(Slice, frozen=True):
    """A super-peer and its neighbours."""

    degree_wanted: int = 12  # while there are fewer, others are looked for: NUMBERS §5
    degree_min: int = 6  # who has fewer is taken also by those that have enough: NUMBERS §5
    degree_max: int = 32  # LimeWire
    mend_s: float = 1.0  # about how often others are tried while neighbours lack; wild guess
    feeler_s: float = 60.0  # about how often one that was never tried is: half of Bitcoin's pause
    turnover_s: float = 600.0  # about how often one neighbour is exchanged; wild guess
    trim_s: float = 10.0  # about how often one goes while there are too many; wild guess
    leave_s: float = 10.0  # from then on until it is gone: longer than any ring
    pong_s: float = 120.0  # who answered us this lately is named in pongs; gtk-gnutella 20 and 120
    seed_places: int = 4  # of these kept for our own seeds that are not linked; wild guess
    redial_s: float = 0.2  # doubling to redial_max_s with jitter
    redial_max_s: float = 60.0
    ping_s: float = 1.0  # how long a pong may take before the next try; wild guess
    gossip_s: float = 5.0  # load is told on change, at most this often
    news_s: float = 1.0  # ... and who is near us; wild guess
    relink_s: float = 5.0  # after `Unlinked` no `Link` of that peer is taken; wild guess
    answer_s: float = 5.0  # how long one that others named may take to say yes or no; wild guess
    hearsay_s: float = 3600.0  # between two dials of an address that others named: THREATS T3
    hearsay_dials_per_s: float = 2.0  # of addresses that others named, in all: THREATS T3
    hearsay_dials_burst: int = 8
    alone_s: float = 3.0  # seeds and the host cache may take so long before lists are asked
    lists_s: float = 60.0  # ... which are asked so often while we are alone; doubles; wild guess
    lists_max_s: float = 3600.0  # gtk-gnutella asks no web cache more often


class DigestConfig(Slice, frozen=True):
    """What super-peers tell one another of what they have."""

    tell_s: float = 0.25  # the least time between two patches for one neighbour; wild guess
    more_s: float = 0.05  # ... of a digest that is not whole: 0.5 MB/s; wild guess


class FloodConfig(Slice, frozen=True):
    """Queries among super-peers."""

    seen_max: int = 200_000  # GUIDs remembered: 64 B each
    seen_s: float = 600.0  # THREATS T9: at least 10 min
    open_max: int = 20_000  # queries whose tree is still known
    open_s: float = 60.0  # how long a tree may be extended
    ring_s: float = 3.0  # a ring that takes longer has lost somebody; a leaf waits 10 s in all
    silent_s: float = 60.0  # who let a ring run out is left out for this long; doubles; wild guess
    silent_max_s: float = 960.0  # ... up to this
    waits_s: float = 0.5  # for a turn, then it is left out: the deepest give up after 0.75 s
    queries_per_s: float = 200.0  # of one neighbour: the searches of all that are behind it
    queries_burst: int = 200
    waiting_link_max: int = 5_000  # hits waiting for one neighbour: one query's; up to 2.3 KB each
    waiting_max: int = 20_000  # hits waiting in all: 46 MB


class ParentConfig(Slice, frozen=True):
    """A leaf and its parent."""

    ping_s: float = 1.0  # how long pongs are waited for
    gather_s: float = 0.2  # ... after the first, to choose among them; wild guess
    lan_s: float = 1.5  # how long the LAN may take, up to twice that: RFC 6762 asks again after 1 s
    list_s: float = 6.0  # ... and a list or the name service, which have 5 s themselves
    join_s: float = 5.0  # from link to welcome
    redial_s: float = 0.2
    redial_max_s: float = 60.0
    publish_window: int = 4  # unacknowledged Publish messages
    publish_bytes: int = 32 * 1024  # of entries in one of them


class SearchConfig(Slice, frozen=True):
    """A leaf's searches."""

    searches_max: int = 64
    results_kept: int = 5_000  # hits of the last search, for `get NUMBER`


class WishConfig(Slice, frozen=True):
    """Standing searches at a super-peer, whoever they are of."""

    every_s: float = 600.0  # how often all of the network is asked for each
    again_s: float = 30.0  # within which one that moved here is asked for; wild guess
    near_s: float = 2.0  # the least time between two searches for one wish; wild guess
    searches_per_s: float = 1.0  # for all wishes together; wild guess
    searches_burst: int = 8
    searches_max: int = 4  # under way
    fresh_per_s: float = 0.1  # new wishes of one leaf that are searched for at once
    fresh_burst: int = 32  # = WISHES_PER_LEAF_MAX
    hits_per_s: float = 20.0  # told to one leaf as they are published; more come by a search
    hits_burst: int = 40  # = HITS_PER_WINDOW: they never fill a link's queue


class SwarmConfig(Slice, frozen=True):
    """Downloads and uploads."""

    downloads_active_max: int = 8  # wild guess
    links_max: int = 50  # KRK hands out at most 50 peers
    upload_slots: int = 64  # leaves served at once; they share by what they give
    choke_s: float = 10.0  # who is served is decided anew: BEP 3
    slot_s: float = 60.0  # a slot is kept so long: libtorrent's quota of a seed
    slot_idle_s: float = 10.0  # ... or goes to another where its leaf asks for nothing
    lot_s: float = 30.0  # one slot goes by lot: BEP 3
    place_s: float = 300.0  # who drops out of the line keeps the place so long: PARQ
    ledger_s: float = 60.0  # who gave and who waits is remembered so often: PARQ
    window_bytes: int = 8 * 1024 * 1024  # asked for and not yet here, per source
    request_s: float = 20.0  # libtorrent's piece timeout
    locate_first_s: float = 0.25  # sources are asked for again while there are too few, so soon
    locate_s: float = 30.0  # and with pauses that double up to this
    locate_ttl: int = 10
    link_idle_s: float = 60.0
    redial_s: float = 5.0
    redial_max_s: float = 120.0
    writes_bytes_max: int = 32 * 1024 * 1024  # data waiting for the disk
    exchange_first_s: float = 0.2  # until who exchanges a file with us hears who else does
    exchange_s: float = 60.0  # ... and again, where there is news: BEP 11
    hearsay_s: float = 3600.0  # between two dials of an address that leaves named: THREATS T3
    hearsay_dials_per_s: float = 2.0  # of addresses that leaves named, in all: THREATS T3
    hearsay_dials_burst: int = 8


class Config(Slice, frozen=True):
    """A whole node."""

    network: str = "public"
    time_scale: float = 1.0
    link: LinkConfig = LinkConfig()
    cluster: ClusterConfig = ClusterConfig()
    overlay: OverlayConfig = OverlayConfig()
    digest: DigestConfig = DigestConfig()
    flood: FloodConfig = FloodConfig()
    parent: ParentConfig = ParentConfig()
    search: SearchConfig = SearchConfig()
    wish: WishConfig = WishConfig()
    swarm: SwarmConfig = SwarmConfig()


def scaled(config: S, scale: float) -> S:
    """`config` in another time, in all slices: `_s` times `scale`, `_per_s` divided by it."""
    changes: dict[str, object] = {}
    for name in config.__struct_fields__:
        value = getattr(config, name)
        if isinstance(value, msgspec.Struct):
            changes[name] = scaled(value, scale)
        elif name.endswith("_per_s"):
            changes[name] = value / scale
        elif name.endswith("_s"):
            changes[name] = value * scale
    return msgspec.structs.replace(config, **changes)
