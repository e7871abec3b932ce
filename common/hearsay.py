"""Where a teller itself is, its link shows better than its word.

A super-peer that is a leaf too does not know at which address others reach it: it may listen at all
of them. So whoever it tells puts the address at which he sees it in the place of the one told.
"""

from collections.abc import Iterable

from msgspec import structs

from common.addresses import Address, may_tell
from common.ids import NodeId
from common.messages.cluster import Hit
from common.messages.fields import Contact


def as_seen(contact: Contact, teller: NodeId, at: Address) -> Contact:
    """`contact` as `teller`, seen at `at`, tells of it; of itself only the port is believed."""
    return Contact(teller, at.at(contact.address.port)) if contact.node == teller else contact


def hit_as_seen(hit: Hit, teller: NodeId, at: Address) -> Hit:
    """The same for a hit's source."""
    if hit.source.node != teller:
        return hit
    return structs.replace(hit, source=as_seen(hit.source, teller, at))


def hits_as_seen(hits: Iterable[Hit], teller: NodeId, at: Address) -> list[Hit]:
    """The same for many hits, less those whose source is not the teller's to tell of."""
    seen = (hit_as_seen(hit, teller, at) for hit in hits)
    return [hit for hit in seen if may_tell(hit.source.address, at)]
