"""Whom a fault strikes, as a scenario says it: "leaf 3", "every leaf", "30 % of super-peers"."""

import math
import re
from collections.abc import Callable, Sequence
from random import Random
from typing import Final, Literal, NamedTuple

SUPER_PEER: Final = "super-peer"
LEAF: Final = "leaf"

Rank = Literal["busiest", "best linked"]

_SHARE: Final = re.compile(r"(best linked )?(\d{1,3}) % of (super-peer|leaf|leave)s")


class Target(NamedTuple):
    """A kind of node and its number."""

    kind: str
    number: int


class Aim(NamedTuple):
    """Whom a name means: one node, or a share of all of a kind, drawn or the first by rank."""

    kind: str
    number: int | None = None
    share: float = 1.0
    rank: Rank | None = None

    def hit(
        self, alive: Sequence[int], worth: Callable[[Rank, int], float], rng: Random
    ) -> list[int]:
        """The numbers of those that are struck, of those that are `alive`; for any but one node."""
        if self.rank == "busiest":
            return [max(alive, key=lambda number: worth("busiest", number))] if alive else []
        count = math.ceil(self.share * len(alive))
        if self.rank is not None:
            return sorted(alive, key=lambda number: -worth("best linked", number))[:count]
        return list(alive) if count == len(alive) else rng.sample(list(alive), count)


class TargetError(ValueError):
    """No node is named like that."""


def read_aim(text: str) -> Aim:
    """Whom `text` names. Raises TargetError."""
    first, _, last = text.partition(" ")
    if first in ("every", "busiest") and last in (SUPER_PEER, LEAF):
        return Aim(last) if first == "every" else Aim(last, rank="busiest")
    if first in (SUPER_PEER, LEAF) and last.isascii() and last.isdigit():
        return Aim(first, int(last))
    part = _SHARE.fullmatch(text)
    if part is not None and 0 < int(part[2]) <= 100:
        kind = SUPER_PEER if part[3] == SUPER_PEER else LEAF
        return Aim(kind, share=int(part[2]) / 100, rank="best linked" if part[1] else None)
    raise TargetError(
        f"{text!r} is none of 'super-peer N', 'leaf N', 'every super-peer', 'every leaf', "
        "'busiest super-peer', 'N % of super-peers', 'N % of leaves' and "
        "'best linked N % of super-peers'"
    )
