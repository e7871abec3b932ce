"""Whom a fault strikes, as scenarios say it: "super-peer 3", "every leaf", "busiest super-peer"."""

from typing import Final, NamedTuple

SUPER_PEER: Final = "super-peer"
LEAF: Final = "leaf"
EVERY: Final = -1
BUSIEST: Final = -2


class Target(NamedTuple):
    """A kind of node and its number, or EVERY or BUSIEST of them."""

    kind: str
    number: int


class TargetError(ValueError):
    """No node is named like that."""


def read_target(text: str) -> Target:
    """What `text` names. Raises TargetError."""
    first, _, last = text.partition(" ")
    if first in ("every", "busiest") and last in (SUPER_PEER, LEAF):
        return Target(last, EVERY if first == "every" else BUSIEST)
    if first in (SUPER_PEER, LEAF) and last.isascii() and last.isdigit():
        return Target(first, int(last))
    raise TargetError(
        f"{text!r} is none of 'super-peer N', 'leaf N', 'every super-peer', 'every leaf' and "
        "'busiest super-peer'"
    )
