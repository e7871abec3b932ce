"""Whom a pong names: some of our neighbours, and some others that we saw alive lately.

As the pong cache of Gnutella 0.6: who is asked answers at once and for all, and passes no ping on.
Only who answered us itself is passed on, never a name that somebody told: nobody can have us send
others to a victim. Each comes with how many links away it is, so that who asks can mix both.
"""

from collections.abc import Mapping
from random import Random
from typing import Final

from common.addresses import Address
from common.ids import NodeId
from common.meeting import OTHERS_MAX
from common.messages.fields import Contact
from superpeer.overlay.neighbour import Neighbour

SEEN_MAX: Final = 64  # wild guess
_BESIDE, _BEYOND, _FAR = 1, 2, 3  # links away


class Pongs:
    """Who was seen alive; `neighbours` are read as they are at the moment."""

    def __init__(self, seen_s: float, rng: Random, neighbours: Mapping[NodeId, Neighbour]) -> None:
        self._seen_s = seen_s
        self._rng = rng
        self._neighbours = neighbours
        self._seen: dict[NodeId, tuple[Address, float]] = {}  # the latest at the end

    def __len__(self) -> int:
        return len(self._seen)

    def saw(self, contact: Contact, now: float) -> None:
        """This super-peer answered us there."""
        self._seen.pop(contact.node, None)
        self._seen[contact.node] = contact.address, now
        if len(self._seen) > SEEN_MAX:
            del self._seen[next(iter(self._seen))]

    def others(self, asker: Address, now: float) -> dict[Contact, int]:
        """Whom to name to `asker` and how far they are: one of each kind in turn, at random, and
        nobody whom its scope keeps from going there."""
        beside = {
            Contact(peer, each.address): _BESIDE
            for peer, each in self._neighbours.items()
            if not each.leaving and each.address.is_a_place
        }
        known = [each.node for one in self._neighbours.values() for each in one.contacts]
        near = dict.fromkeys(known)
        cached = {
            Contact(node, address): _BEYOND if node in near else _FAR
            for node, (address, at) in self._seen.items()
            if now < at + self._seen_s and node not in self._neighbours
        }
        mixed: dict[Contact, int] = {}
        ones, others = self._shuffled(beside, asker), self._shuffled(cached, asker)
        while (ones or others) and len(mixed) < OTHERS_MAX:
            for kind, far in ((ones, beside), (others, cached)):
                if kind and len(mixed) < OTHERS_MAX:
                    contact = kind.pop()
                    mixed[contact] = far[contact]
        return mixed

    def _shuffled(self, contacts: dict[Contact, int], asker: Address) -> list[Contact]:
        useful = [each for each in contacts if each.address.scope >= asker.scope]
        return self._rng.sample(useful, len(useful))
