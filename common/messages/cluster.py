"""Leaf and parent: joining, publishing, searching, locating.

A leaf joins with the generation and root of its catalogue; the parent says which generation it
still has, and only the difference travels. Puts and drops change slots of the catalogue; the
last message of a change carries its generation and the leaf's signature over the new root.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from common.addresses import Address
from common.content.catalogue import Entry
from common.limits import (
    CONTAINER_ITEMS_MAX,
    FILES_PER_LEAF_MAX,
    HITS_PER_FRAME_MAX,
    HITS_PER_QUERY_MAX,
    LINE_MAX,
    PUSHED_MAX,
    SOURCES_PER_ANSWER_MAX,
    TRACE_HOPS_MAX,
)
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

Slot = Annotated[int, Meta(ge=0, lt=FILES_PER_LEAF_MAX)]
Wanted = Annotated[int, Meta(ge=1, le=HITS_PER_QUERY_MAX)]
Open = Annotated[int, Meta(ge=1, le=CONTAINER_ITEMS_MAX)]
Pushed = Annotated[tuple[Bytes32, ...], Meta(max_length=PUSHED_MAX)]
Strategy = Literal["ring", "flood", "dynamic"]
Outcome = Literal["answered", "duplicate", "ruled out", "left out", "lost"]


class Join(Message, frozen=True, array_like=True, gc=False):
    """Be my parent: I have this catalogue, and this is my life `epoch` (wall ms at its start)."""

    epoch: Count
    generation: Count
    entries: Count
    advertised: Address | None = None  # of my bulk door; used only with the host observed
    promotes: bool = False  # I would be a super-peer where one is needed
    joins: Count = 0  # which join of this life it is, whoever was asked: the highest counts


class Welcome(Message, frozen=True, array_like=True, gc=False):
    """You are my leaf while the link lives; I hold generation `generation` of yours (0: none).

    `credit`: how many searches and locates of yours may be open at a time; `Credit` changes it.
    `joins`: of the `Join` that this answers; an earlier one is not answered any more.
    """

    generation: Count
    lease_s: float
    entries_max: Count
    alternatives: Contacts = ()
    credit: Open = 64
    joins: Count = 0


class Busy(Message, frozen=True, array_like=True, gc=False):
    """I take no more leaves; try these, or me again after `retry_s`."""

    retry_s: float
    alternatives: Contacts = ()


class Put(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An entry and the slot of the catalogue it goes into."""

    slot: Slot
    entry: Entry


class Publish(Message, frozen=True, array_like=True, gc=False):
    """Changes of my catalogue; with a signature it is whole and is generation `generation`."""

    generation: Count
    puts: Annotated[tuple[Put, ...], Meta(max_length=CONTAINER_ITEMS_MAX)] = ()
    drops: Annotated[tuple[Slot, ...], Meta(max_length=CONTAINER_ITEMS_MAX)] = ()
    signature: Signature | None = None
    afresh: bool = False  # forget what you held of mine first


class Published(Message, frozen=True, array_like=True, gc=False):
    """I hold generation `generation`; `refused` says why I do not."""

    generation: Count
    refused: Name = ""


class Search(Message, frozen=True, array_like=True, gc=False):
    """Find what matches; `ttl` rings beyond the parent, at most `wanted` hits."""

    guid: Bytes16
    terms: Terms
    wanted: Wanted
    ttl: Ttl
    strategy: Strategy = "ring"
    traced: bool = False  # tell with the end which way it went


class Locate(Message, frozen=True, array_like=True, gc=False):
    """Who has the file with this root and size? Of them those in `push` are to dial me."""

    guid: Bytes16
    root: Bytes32
    size: Count
    ttl: Ttl
    push: Pushed = ()


class Hit(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One entry of one leaf's catalogue, with the path that proves it under its signed root."""

    source: Contact  # the leaf and its bulk door
    entry: Entry
    slot: Slot
    generation: Count
    proof: Annotated[tuple[Bytes32, ...], Meta(max_length=24)]
    signature: Signature


Hits = Annotated[tuple[Hit, ...], Meta(max_length=HITS_PER_FRAME_MAX)]


class SearchHits(Message, frozen=True, array_like=True, gc=False):
    """Some hits of a search, as they came."""

    guid: Bytes16
    hits: Hits


class Coverage(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How much of the network a search reached, and what it cost."""

    reached: Count  # super-peers that answered, the parent included
    known: Count | None  # how many there are, by our estimate
    messages: Count
    elapsed_s: float
    complete: bool


class Hop(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What became of a traced query at one super-peer, as the one that asked it tells.

    A trace is the tree of a query, those below behind the one that asked them. `depth` is links
    from the origin; `messages` it sent for the query and `hits` it had itself; `cut`: so many hops
    behind it are left out here.
    """

    node: Bytes32
    depth: Hops
    outcome: Outcome = "answered"
    messages: Count = 0
    hits: Count = 0
    elapsed_us: Count = 0
    cut: Count = 0


Trace = Annotated[tuple[Hop, ...], Meta(max_length=TRACE_HOPS_MAX)]


class SearchDone(Message, frozen=True, array_like=True, gc=False):
    """A search is over; `refused` says why it was not run."""

    guid: Bytes16
    coverage: Coverage
    refused: Name = ""
    trace: Trace = ()


class Sources(Message, frozen=True, array_like=True, gc=False):
    """Leaves that have the file, and how one of them calls it; `done` when no more will come."""

    guid: Bytes16
    sources: Annotated[tuple[Contact, ...], Meta(max_length=SOURCES_PER_ANSWER_MAX)]
    done: bool = False
    name: Name = ""


class Wish(Message, frozen=True, array_like=True, gc=False):
    """Go on looking for what matches, until I unwish it or leave.

    `again`: a super-peer knew this wish before, so what is there already can wait its turn.
    """

    wish: Bytes16
    terms: Terms
    again: bool = False


class Unwish(Message, frozen=True, array_like=True, gc=False):
    """Look for this no longer."""

    wish: Bytes16


class WishHits(Message, frozen=True, array_like=True, gc=False):
    """Some that match a wish; the same may come again."""

    wish: Bytes16
    hits: Hits


class Wished(Message, frozen=True, array_like=True, gc=False):
    """I look for it from now on; `refused` says why I do not."""

    wish: Bytes16
    refused: Name = ""


class Forget(Message, frozen=True, array_like=True, gc=False):
    """The asker no longer wants the answers of this search."""

    guid: Bytes16


class Line(Message, frozen=True, array_like=True, gc=False):
    """Who of the leaves shall follow when no super-peer is left, the first one first."""

    members: Annotated[tuple[Contact, ...], Meta(max_length=LINE_MAX)]


class Push(Message, frozen=True, array_like=True, gc=False):
    """This leaf wants something of yours and cannot dial you: dial its bulk door; if you cannot,
    its own parent may `relay`."""

    asker: Contact
    relay: Contact | None = None


class Credit(Message, frozen=True, array_like=True, gc=False):
    """From now on so many searches and locates of yours may be open at a time."""

    open: Open


class Heir(Message, frozen=True, array_like=True, gc=False):
    """This super-peer keeps a copy of what you share and takes you when I am gone; nil: nobody."""

    contact: Contact | None = None


class Unreached(Message, frozen=True, array_like=True, gc=False):
    """I cannot reach the heir that you named: let it be another, where there is one."""

    node: Bytes32


class ReHome(Message, frozen=True, array_like=True, gc=False):
    """I go: join this super-peer, which keeps a copy of what you share, then `Leave` me."""

    contact: Contact


class Leave(Message, frozen=True, array_like=True, gc=False):
    """I have another parent, by this `joins` of mine, or wait for your welcome no longer: keep
    nothing of me any more."""

    joins: Count
