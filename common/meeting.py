"""Meeting over UDP: a padded ping asks an address who is there, a pong never longer answers.

Both ends are here, so that a leaf and a super-peer ask and answer alike. A pong proves nothing: it
only names a key, which the link's handshake must prove. A ping leaves no state behind where it is
answered, and what it brings back is never more bytes than it cost (THREATS T4). Nothing here
decides whom to join.
"""

from collections.abc import Hashable
from random import Random
from typing import Final

import msgspec

from common import wire
from common.addresses import Address
from common.core import DatagramReceived, SendDatagram
from common.ids import NODE_ID_BYTES, NodeId
from common.limits import PING_BYTES
from common.messages.fields import Contact
from common.messages.link import Ping, Pong
from common.network import Network

ASKED_MAX: Final = 256  # pings under way; a leaf asks many side by side, the oldest gives way
OTHERS_MAX: Final = 16  # super-peers named in a pong: what fits into a ping's length anyway
NONCE_BYTES: Final = 16

OTHER_NETWORK: Final = "this node belongs to another network"


class Seed(msgspec.Struct, frozen=True):
    """Where a super-peer is said to be: `place` as typed, its address, its key if that was told.

    `source` is the step of the ladder that names it (`common.ladder`).
    """

    place: str
    address: Address
    node: NodeId | None = None
    source: str = ""


class Facts(msgspec.Struct, frozen=True):
    """What a pong tells of the node that answers; `superpeer` is itself or its parent."""

    node: NodeId
    superpeer: Contact | None
    leaves: int
    leaves_max: int
    uptime_s: float
    others: tuple[Contact, ...] = ()
    hops: tuple[int, ...] = ()  # how many links away each of the others is


class Meeting:
    """The pings one node has under way, each under a nonce that only its pong can name."""

    __slots__ = ("_asked", "_network", "_rng")

    def __init__(self, network: Network, rng: Random) -> None:
        self._network = network
        self._rng = rng
        self._asked: dict[bytes, Hashable] = {}

    def ask(self, key: Hashable, address: Address) -> SendDatagram:
        """A ping to `address`; its pong will come back from `heard` together with `key`."""
        self.forget(key)
        if len(self._asked) >= ASKED_MAX:
            del self._asked[next(iter(self._asked))]
        nonce = self._rng.randbytes(NONCE_BYTES)
        self._asked[nonce] = key
        return SendDatagram(address, padded_ping(nonce, self._network))

    def heard(self, event: DatagramReceived) -> tuple[Hashable, Pong] | None:
        """The key of our ping and its pong; None for a pong that we did not ask for.

        The address it came from is not compared: a host with several addresses may answer from
        another one, and the nonce is as good a proof.
        """
        pong = event.message
        if not isinstance(pong, Pong) or pong.nonce not in self._asked:
            return None
        return self._asked.pop(pong.nonce), pong

    def forget(self, key: Hashable) -> None:
        """Wait no longer for the pong to `key`'s ping."""
        for nonce in [nonce for nonce, asked in self._asked.items() if asked == key]:
            del self._asked[nonce]

    def answer(self, event: DatagramReceived, facts: Facts) -> list[SendDatagram]:
        """The pong to a ping: a refusal for another network, nothing where none would fit."""
        ping = event.message
        if not isinstance(ping, Ping):
            return []
        bytes_max = event.length or _bytes(ping)
        if ping.network == self._network.name:
            pong = _pong(ping, event.address, facts, bytes_max)
        else:
            pong = _refusal(ping, event.address)
        return [SendDatagram(event.address, pong)] if _bytes(pong) <= bytes_max else []


def padded_ping(nonce: bytes, network: Network) -> Ping:
    """A ping that fills PING_BYTES as one frame."""
    bare = Ping(nonce, network.name, bytes(PING_BYTES))
    return Ping(nonce, network.name, bytes(2 * PING_BYTES - _bytes(bare)))


def _pong(ping: Ping, source: Address, facts: Facts, bytes_max: int) -> Pong:
    """As many others as there is room for: a pong is never longer than its ping (THREATS T4)."""
    pong = Pong(
        nonce=ping.nonce,
        network=ping.network,
        node=facts.node,
        superpeer=facts.superpeer,
        leaves=facts.leaves,
        leaves_max=facts.leaves_max,
        uptime_s=int(facts.uptime_s),
        observed=source,
        others=facts.others[:OTHERS_MAX],
        hops=facts.hops[:OTHERS_MAX],
    )
    while pong.others and _bytes(pong) > bytes_max:
        left = len(pong.others) - 1
        pong = msgspec.structs.replace(pong, others=pong.others[:left], hops=pong.hops[:left])
    return pong


def _refusal(ping: Ping, source: Address) -> Pong:
    """Tells a stranger nothing: neither our key nor the name of our network."""
    return Pong(
        nonce=ping.nonce,
        network="",
        node=bytes(NODE_ID_BYTES),
        superpeer=None,
        leaves=0,
        leaves_max=0,
        uptime_s=0,
        observed=source,
        refusal=OTHER_NETWORK,
    )


def _bytes(message: Ping | Pong) -> int:
    """The length of the datagram."""
    return len(wire.frame([wire.encode(message)]))
