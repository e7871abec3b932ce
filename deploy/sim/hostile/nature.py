"""What a node that does harm is made of, and what a kind of harm looks like to its mask.

A harm is a core of its own: it takes the events that a role takes (`LinkUp`, `Received`, `Woke`),
orders what a role orders (`Dial`, `Send`, `Hangup`), and draws from the generator that it is given.
None of it is code of an honest role.
"""

from collections import Counter
from random import Random
from typing import Protocol

import msgspec

from common.addresses import Address
from common.core import Effect, Event
from common.ids import Identity
from common.meeting import Seed
from common.network import Network


class Nature:
    """Who it is, whom it was told of, and which true contents it has, by path."""

    def __init__(
        self,
        *,
        identity: Identity,
        network: Network,
        address: Address,
        told: tuple[Seed, ...],
        contents: dict[str, bytes],
        epoch: int,
        rng: Random,
    ) -> None:
        self.identity = identity
        self.network = network
        self.address = address
        self.told = told
        self.contents = contents
        self.epoch = epoch
        self.rng = rng

    @property
    def nearby(self) -> Address:
        """An address beside our own at which nobody is."""
        ip = self.address.ip
        return Address(ip[:-1] + bytes((self.rng.randrange(200, 250),)), self.address.port)


class Shown(msgspec.Struct):
    """What a node that does harm shows: how many links it has, and what it did how often."""

    kind: str
    links: int
    done: dict[str, int]
    dropped: dict[str, int] = {}


class Harm(Protocol):
    """What is behind a mask."""

    done: Counter[str]

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take in one event; say what is to be done."""

    def wakeup(self) -> float | None:
        """The next deadline."""
