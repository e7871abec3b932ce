"""Super-peer and super-peer: becoming neighbours, and queries.

A query draws a tree: who has seen its GUID answers `QueryDone` with `duplicate`, everyone else
evaluates it, streams hits to the one it came from, forwards while `ttl` lasts and reports done
when all it forwarded to have. `Extend` walks that tree to its frontier and grows it by one ring.

A GUID names its content: it is the hash of a nonce and the body, so that nobody can occupy the
GUID of a query with another one.
"""

from hashlib import sha256
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from common.ids import GUID_BYTES, Guid
from common.limits import (
    CONTAINER_ITEMS_MAX,
    CONTROL_FRAME_BYTES_MAX,
    DEGREE_MAX,
    DIGEST_BITS_MAX,
    LINE_AGE_MAX,
    LINE_MAX,
    MERIT_MAX,
    NEARBY_IDS_MAX,
    PATCHES_MAX,
    QUERY_BYTES_MAX,
    REACH_IDS_MAX,
)
from common.messages.cluster import Hits, Pushed, Put, Slot, Trace, Wanted
from common.messages.fields import (
    Bytes16,
    Bytes32,
    Contact,
    Contacts,
    Count,
    Hops,
    Message,
    Name,
    Signature,
    Ttl,
)
from common.terms import Terms

_QUERY: Final = b"superpeer query 1\0"

Nearby = Annotated[bytes, Meta(max_length=4 * NEARBY_IDS_MAX)]  # `superpeer.overlay.reach.nearby`
Ids = Annotated[bytes, Meta(max_length=2 * REACH_IDS_MAX)]  # `superpeer.overlay.reach.pack`
Links = Annotated[int, Meta(ge=0, le=DEGREE_MAX)]
Bits = Annotated[int, Meta(ge=0, le=DIGEST_BITS_MAX)]
Merit = Annotated[int, Meta(ge=0, le=MERIT_MAX)]
Age = Annotated[int, Meta(ge=0, le=LINE_AGE_MAX)]
Places = Annotated[bytes, Meta(max_length=CONTROL_FRAME_BYTES_MAX)]


class Link(Message, frozen=True, array_like=True, gc=False):
    """Be my neighbour; these are mine, `nearby` the ids of who is at most two links from me.

    `chosen`: how many of them I chose myself; None: say all. `rtt_us`: the round trip to you, if I
    ask because it is short.
    """

    leaves: Count
    neighbours: Contacts = ()
    nearby: Nearby = b""
    chosen: Links | None = None
    rtt_us: Count = 0


class Linked(Message, frozen=True, array_like=True, gc=False):
    """We are neighbours; these are my others."""

    leaves: Count
    neighbours: Contacts = ()
    nearby: Nearby = b""


class Unlinked(Message, frozen=True, array_like=True, gc=False):
    """I take no more neighbours; try these. `leaving`: I go in a few seconds; till then ask me
    nothing new, and what is under way is answered."""

    alternatives: Contacts = ()
    leaving: bool = False


class Neighbourhood(Message, frozen=True, array_like=True, gc=False):
    """My neighbours and load changed to this."""

    leaves: Count
    neighbours: Contacts = ()
    nearby: Nearby = b""


class Able(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A leaf that could be a super-peer, as its own parent sees it: how well it would do, and how
    many seconds ago that was said."""

    leaf: Contact
    merit: Merit
    age_s: Age


class Ablest(Message, frozen=True, array_like=True, gc=False):
    """The leaves that I know as the ablest to follow when no super-peer is left."""

    members: Annotated[tuple[Able, ...], Meta(max_length=LINE_MAX)]


class Patch(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Places (`common.digest.pack_places`) that were set and cleared in the digest of `owner`,
    which has 2^`bits` of them; passed on as its owner made it.

    `afresh`: all that was said before of this digest is void. The owner's signature stands over the
    whole; without one it is not whole yet, and rules nothing out.
    """

    owner: Bytes32
    bits: Bits
    added: Places = b""
    cleared: Places = b""
    afresh: bool = False
    signature: Signature | None = None


class Patches(Message, frozen=True, array_like=True, gc=False):
    """The digests of me or of neighbours of mine changed."""

    patches: Annotated[tuple[Patch, ...], Meta(max_length=PATCHES_MAX)]


class QueryBody(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is asked for, packed once by the origin and passed on as received.

    Either words (`terms`) or a file (`root` and `size`); of its sources those in `push` are to dial
    `asker`, the leaf that asks, or to come to `relay`, its parent.
    """

    wanted: Wanted
    terms: Terms | None = None
    root: Bytes32 | None = None
    size: Count = 0
    push: Pushed = ()
    asker: Contact | None = None
    relay: Contact | None = None


class Query(Message, frozen=True, array_like=True, gc=False):
    """Evaluate this once, and pass it on to depth `ttl`; `hops` is how far it has come.

    `guided`: whom a digest rules out is not asked, but for the sake of those far beyond; depth
    `ttl` is then reached when everybody within was asked or ruled out.
    """

    guid: Bytes16  # `query_guid` of the next and the last
    nonce: Bytes16
    ttl: Ttl
    hops: Hops
    body: Annotated[bytes, Meta(max_length=QUERY_BYTES_MAX)]
    guided: bool = False
    traced: bool = False  # reports are to tell which way it went


def query_guid(nonce: bytes, body: bytes) -> Guid:
    """The name of the query with this body; `nonce` makes it another one each time."""
    return sha256(_QUERY + nonce + body).digest()[:GUID_BYTES]


class Extend(Message, frozen=True, array_like=True, gc=False):
    """Grow the tree of this query by one ring beyond its frontier, or (not `deeper`) only ask more
    of your own neighbours; at most `links` of them, if that is not 0."""

    guid: Bytes16
    deeper: bool = True
    links: Links = 0


class QueryHits(Message, frozen=True, array_like=True, gc=False):
    """Hits on their way back along the path of the query."""

    guid: Bytes16
    hits: Hits


class Extent(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The super-peers that a query covered, and those it knows of and did not cover: ids of so many
    bytes."""

    covered: Ids = b""
    missed: Ids = b""
    id_bytes: Literal[4, 2] = 4


class QueryDone(Message, frozen=True, array_like=True, gc=False):
    """My part of this ring is over.

    `reached`: super-peers below and including me that evaluated the query in this ring;
    `frontier`: links into which the tree could still grow; `messages`: what my part sent;
    `lost`: somebody below did not answer, and may when asked again; `left_out`: somebody was not
    asked, being silent too often or me too busy, and asking again helps nothing; `reach`: of a
    guided query, the super-peers known and covered here and below, in all its rings;
    `put_off`: some of my neighbours were not asked because `links` were enough; `trace`: of a
    traced query, my part of its tree in all its rings; `hits`: the last that go up
    in this ring.
    """

    guid: Bytes16
    duplicate: bool = False
    reached: Count = 0
    frontier: Count = 0
    messages: Count = 0
    lost: bool = False
    left_out: bool = False
    reach: Extent | None = None
    put_off: bool = False
    trace: Trace = ()
    hits: Hits = ()


class Prune(Message, frozen=True, array_like=True, gc=False):
    """The origin has enough: forget this query and tell those below."""

    guid: Bytes16


class Hold(Message, frozen=True, array_like=True, gc=False):
    """Be the heir of this leaf of mine: keep what it shares, and show nobody until I am gone.

    Without puts, drops and a signature this only asks, and tells which generation is the last; else
    it is what the leaf's `Publish` would be, whose signature it carries. `source` is the leaf and
    its bulk door as I saw it, `joins` of the `Join` by which it is mine. Each is answered by `Held`
    before the next is sent.
    """

    leaf: Bytes32
    epoch: Count
    joins: Count
    source: Contact
    generation: Count
    puts: Annotated[tuple[Put, ...], Meta(max_length=CONTAINER_ITEMS_MAX)] = ()
    drops: Annotated[tuple[Slot, ...], Meta(max_length=CONTAINER_ITEMS_MAX)] = ()
    signature: Signature | None = None
    afresh: bool = False


class Held(Message, frozen=True, array_like=True, gc=False):
    """I keep generation `generation` of this leaf (0: none); `refused` says why I keep nothing.

    `joins`: the leaf is mine by this join of its, if that is later than the one you know.
    """

    leaf: Bytes32
    generation: Count = 0
    joins: Count = 0
    refused: Name = ""


class Release(Message, frozen=True, array_like=True, gc=False):
    """Keep nothing of this leaf any more: it is gone, or has another heir."""

    leaf: Bytes32
