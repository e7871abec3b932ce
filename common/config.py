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
    relay_per_s: float = 1_000_000.0  # bytes between leaves that nobody can dial; 0: none
    idle_leaf_s: float = 60.0  # without files this long, it gives way when we are full; wild guess
    copies_max: int = 300  # leaves of neighbours that we are heir of, half of them of any one
    copied_entries_max: int = 200_000  # of these, half of them of any one neighbour; 60 MiB
    held_s: float = 5.0  # how long an heir may take to answer, then it is another; wild guess
    heir_again_s: float = 10.0  # until those that would not be heirs are asked again; wild guess


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


class LineConfig(Slice, frozen=True):
    """Who follows when no super-peer is left."""

    news_s: float = 1.0  # after a change others are told; wild guess
    tell_s: float = 2.0  # the least time between two tellings; wild guess
    reunion_s: float = 2.0  # who followed asks others so often; doubles; wild guess
    reunion_max_s: float = 120.0  # ... up to this
    refresh_s: float = 20.0  # what stays is said anew: a third of what it is believed for


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


class VitalsConfig(Slice, frozen=True):
    """What is measured of leaves, and how often; see NUMBERS 2.1 and THREATS T5."""

    window_s: float = 1.0  # a receipt tells of steady transfer of at least this
    window_bytes: int = 256 * 1024  # ... and so many bytes
    receipts_s: float = 10.0  # between two reports to the parent; wild guess
    kept_s: float = 3600.0  # a measurement counts so long; wild guess
    groups_min: int = 3  # groups of receivers or witnesses that a rate takes: THREATS T5
    dialback_first_s: float = 2.0  # until a new leaf is dialled back; 0: never; wild guess
    dialback_again_s: float = 10.0  # ... and again while the verdict is open; wild guess
    dialback_s: float = 600.0  # ... and once it is not; wild guess
    dialbacks_per_s: float = 2.0  # by one super-peer: what a neighbour's budget takes
    dialback_answer_s: float = 15.0  # a dial has 10 s, and its errand some more
    dialbacks: int = 3  # the last so many different ones decide, by majority
    test_s: float = 5.0  # of a transfer test: FlashFlow's 30 s are dear here; 0: none
    test_pause_s: float = 60.0  # between two tests by one super-peer; wild guess
    test_soon_s: float = 15.0  # ... while fewer than `known_share` are measured; wild guess
    known_share: float = 0.5  # of the leaves that would be super-peers; wild guess
    test_bytes: int = 16 * 1024 * 1024  # that one witness may take in a test: ten show 32 MB/s
    test_bytes_day: int = 512 * 1024 * 1024  # that one leaf gives or takes so; wild guess
    test_witnesses: int = 10  # drawn at most: a third of liars is then three
    liars_share: float = 0.3  # of the witnesses, which a test withstands: the issue
    tell_s: float = 5.0  # between two `Vitals` for one leaf; wild guess
    records_s: float = 60.0  # between two `Records` for the neighbours; wild guess


class PromotionConfig(Slice, frozen=True):
    """When a leaf becomes a super-peer, and when one steps down."""

    leaves_target: int = 60  # KaZaA 55-160, LimeWire 40, DLM 80: NUMBERS 5
    target_share: float = 0.4  # of `leaves_max`, where that is less
    leaves_min: int = 2  # what a super-peer learns of its capacity goes no lower; wild guess
    look_s: float = 5.0  # how often load and target are compared: = gossip_s
    refused_s: float = 0.5  # ... after a leaf was refused because we are full; wild guess
    sustain_s: float = 10.0  # a drift must last so long; wild guess
    drift_near: float = 0.10  # log(mean load of the neighbourhood / target): within 15 % of it
    drift_own: float = 0.34  # log(our own load / target): 1.4 times
    busy_s: float = 0.25  # questions that wait this long say that we have enough leaves
    learn_s: float = 30.0  # between two steps of what we learn; wild guess
    up_rate_min: float = 1_000_000.0  # bytes/s: LimeWire's 10 KB/s of its day
    age_min_s: float = 600.0  # up for so long: Stutzbach, age tells of what remains
    session_min_s: float = 3600.0  # ... or sessions of so long on average: LimeWire
    rtt_ref_s: float = 0.1  # a round trip that counts neither for nor against; wild guess
    rate_weight: float = 1.0  # score: the logarithms of value / threshold, weighted
    age_weight: float = 1.0  # of the logarithm of what remains of a session on average
    session_scale_s: float = 4500.0  # ... which it follows from: Gnutella's, Weibull 0.5
    rtt_weight: float = 0.1
    points_max: float = 5.0  # of one input, either way: e^5 = 150 times the threshold
    offer_s: float = 5.0  # for the answer to an offer; wild guess
    arrive_s: float = 20.0  # from its yes until it is there as a super-peer; wild guess
    passed_over_s: float = 600.0  # who said no, or nothing came of it; doubles
    flip_s: float = 1800.0  # between two changes of role, doubling: gtk-gnutella
    flip_max_s: float = 61_200.0  # ... up to this
    moves_per_s: float = 20.0  # leaves that are sent to another super-peer
    idle_s: float = 60.0  # a super-peer is not needed for so long before it steps down
    young_share: float = 0.02  # ... and for so much of what is left of `flip_s`; wild guess
    reserve_s: float = 2.0  # for the neighbours to say that it may; wild guess
    reserved_s: float = 30.0  # ... during which nobody else near may
    refusals_share: float = 0.25  # of the neighbours may refuse: no liar holds us for ever
    drain_s: float = 20.0  # for the leaves to go; wild guess
    swap_factor: float = 1.5  # so much better is who takes the place of another; wild guess
    swap_s: float = 600.0  # who was promoted stays so long, however good others are; wild guess
    swap_pause_s: float = 30.0  # between two exchanges that one super-peer asks for: `reserved_s`


class ParentConfig(Slice, frozen=True):
    """A leaf and its parent."""

    ping_s: float = 1.0  # how long pongs are waited for
    gather_s: float = 0.2  # ... after the first, to choose among them; wild guess
    lan_s: float = 1.5  # how long the LAN may take, up to twice that: RFC 6762 asks again after 1 s
    list_s: float = 6.0  # ... and a list or the name service, which have 5 s themselves
    join_s: float = 5.0  # from link to welcome
    heir_s: float = 1.0  # ... of an heir, whose link is there; then others are asked; wild guess
    silent_s: float = 1.75  # after this the heir is joined: an echo comes every 0.75 to 1.25 s
    redial_s: float = 0.2
    redial_max_s: float = 60.0
    line_s: float = 0.5  # how long those in line have to answer; wild guess
    turn_s: float = 2.0  # the next in line waits so long for the one before; wild guess
    cut_off_s: float = 4.0  # who hears nobody in line is cut off itself, so long; wild guess
    line_max_s: float = 16.0  # between two questions to the line, which double; wild guess
    publish_window: int = 4  # unacknowledged Publish messages
    publish_bytes: int = 32 * 1024  # of entries in one of them


class SearchConfig(Slice, frozen=True):
    """A leaf's searches."""

    searches_max: int = 64
    results_kept: int = 5_000  # hits of the last search, for `get NUMBER`
    hedge_s: float = 0.3  # a parent silent for this long: the heir is asked as well: THREATS G5
    hedges_per_s: float = 1.0  # such questions, so that nobody's load doubles by them; wild guess
    hedges_burst: int = 8


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
    line: LineConfig = LineConfig()
    flood: FloodConfig = FloodConfig()
    vitals: VitalsConfig = VitalsConfig()
    promotion: PromotionConfig = PromotionConfig()
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
