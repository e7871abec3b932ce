"""What a download knows of its swarm while it does not fetch: from one turn to the next.

Whom to begin with, who never again, and what came so far. While it fetches, `leaf.swarm.fetch` has
the newer word on all of it.
"""

from common.ids import NodeId
from common.messages.fields import Contact
from leaf.swarm.fetch import Fetch
from leaf.swarm.sources import SOURCES_MAX


class Acquaintances:
    """The leaves that one download has met or was told of."""

    __slots__ = ("_contacts", "givers", "liars", "received_bytes")

    def __init__(self, contacts: tuple[Contact, ...]) -> None:
        self._contacts = {contact.node: contact for contact in contacts}
        self.givers: dict[NodeId, None] = {}  # who sent at least one good piece
        self.liars: dict[NodeId, None] = {}  # who sent wrong bytes
        self.received_bytes = 0

    @property
    def contacts(self) -> tuple[Contact, ...]:
        """Leaves that are said to have the file."""
        return tuple(self._contacts.values())

    def add(self, contacts: tuple[Contact, ...]) -> None:
        """These are said to have it; no more are kept than may be tried."""
        for contact in contacts:
            if contact.node in self._contacts or len(self._contacts) < SOURCES_MAX:
                self._contacts[contact.node] = contact

    def part_from(self, fetch: Fetch) -> None:
        """This fetch ends: whom it knew is known for the next one."""
        self._contacts = {contact.node: contact for contact in fetch.sources.contacts}
        self.received_bytes += fetch.received_bytes
        self.givers.update(fetch.givers)
        self.liars.update(fetch.sources.liars)
