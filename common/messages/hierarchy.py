"""Who is fit to be a super-peer, who becomes one, and who ceases to be.

What is measured: receipts of real transfers, dial-backs, transfer tests of witnesses. What is
decided: an offer and its answer, moves of leaves to another parent, a step-down that the neighbours
agree to. Nothing that a node says of itself is among it.
"""

from typing import Annotated

from msgspec import Meta

from common.limits import (
    RECEIPTS_MAX,
    RECORDS_MAX,
    TEST_BYTES_MAX,
    TEST_S_MAX,
    WITNESSES_MAX,
)
from common.messages.fields import Bytes16, Bytes32, Contact, Contacts, Count, Hops, Message, Name
from common.vitals import Receipt, Record, Vouched

Seconds = Annotated[int, Meta(ge=0, le=TEST_S_MAX)]
Rates = Annotated[tuple[Count, ...], Meta(max_length=TEST_S_MAX)]


class Receipts(Message, frozen=True, array_like=True, gc=False):
    """What I was given, and `homes`: the parents that the givers say they have, in that order."""

    receipts: Annotated[tuple[Receipt, ...], Meta(max_length=RECEIPTS_MAX)]
    homes: Annotated[tuple[Bytes32, ...], Meta(max_length=RECEIPTS_MAX)]


class Vitals(Message, frozen=True, array_like=True, gc=False):
    """What others measured of you; nil where nobody has."""

    reachable: bool | None = None
    up_rate: Count | None = None
    down_rate: Count | None = None


class Offer(Message, frozen=True, array_like=True, gc=False):
    """Become a super-peer too, beginning with these as neighbours."""

    neighbours: Contacts


class OfferAnswer(Message, frozen=True, array_like=True, gc=False):
    """Whether I do, and why not."""

    accepted: bool
    reason: Name = ""


class Errand(Message, frozen=True, array_like=True, gc=False):
    """See whether you can dial this door (`seconds` 0: control), or what its bulk door gives you
    in so many seconds; if it is your own, others will come and take."""

    guid: Bytes16
    contact: Contact
    seconds: Seconds = 0


class ErrandDone(Message, frozen=True, array_like=True, gc=False):
    """Whether I could (nil: I cannot tell), and the bytes that came in each second; `saturated`: it
    was I who could take no more."""

    guid: Bytes16
    reached: bool | None
    rates: Rates = ()
    saturated: bool = False


class Examine(Message, frozen=True, array_like=True, gc=False):
    """Dial this leaf of mine yourself (`seconds` 0), or have `witnesses` leaves of yours take what
    its bulk door gives."""

    guid: Bytes16
    contact: Contact
    seconds: Seconds = 0
    witnesses: Annotated[int, Meta(ge=0, le=WITNESSES_MAX)] = 1


class Examined(Message, frozen=True, array_like=True, gc=False):
    """What came of it; `witness` is who saw it."""

    guid: Bytes16
    witness: Bytes32
    reached: bool | None
    rates: Rates = ()
    saturated: bool = False


class Carried(Message, frozen=True, array_like=True, gc=False):
    """Receipts for the super-peer `to`, from the parent `by` of those who made them."""

    to: Bytes32
    by: Bytes32
    ttl: Hops
    vouched: Annotated[tuple[Vouched, ...], Meta(max_length=RECEIPTS_MAX)]


class Reserve(Message, frozen=True, array_like=True, gc=False):
    """I want to step down, and none of my neighbours should at the same time; the lower lot goes
    first."""

    lot: Count


class Reserved(Message, frozen=True, array_like=True, gc=False):
    """Whether that is well with me, for this lot; from who asked: it does not go after all."""

    lot: Count
    granted: bool


class Records(Message, frozen=True, array_like=True, gc=False):
    """What I measured of leaves of mine: for whoever has them next."""

    records: Annotated[tuple[Record, ...], Meta(max_length=RECORDS_MAX)]


class Outdone(Message, frozen=True, array_like=True, gc=False):
    """This leaf of mine would do better than you as a super-peer: do you go if it comes?
    `is_there`: it has come."""

    leaf: Contact
    is_there: bool = False


class Yielded(Message, frozen=True, array_like=True, gc=False):
    """Whether I go when this leaf of yours has come."""

    leaf: Bytes32
    yields: bool


class Home(Message, frozen=True, array_like=True, gc=False):
    """My parent is this one: there your receipts for me are of use."""

    parent: Bytes32


class Trial(Message, frozen=True, array_like=True, gc=False):
    """Send me so many bytes for this test, as fast as you can; 0: no more."""

    length: Annotated[int, Meta(ge=0, le=TEST_BYTES_MAX)]
    guid: Bytes16


class TrialData(Message, frozen=True, array_like=True, gc=False):
    """Bytes of a test (the second frame); `left` are still to come."""

    left: Count
