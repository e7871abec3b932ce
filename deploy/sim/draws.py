"""Randomness by counter: what is drawn depends on the seed, who draws, and how often it acted.

One generator serves a whole world: before a host acts it is set to that host's turn, so a host
needs no generator of its own (2.5 KB each), and one host's draws never shift another's. The numbers
come from SplitMix64 (Steele, Lea, Flood 2014), which passes the usual batteries; they are no
secrets, and here they need not be.
"""

from random import Random
from typing import Any, Final

_MASK: Final = 2**64 - 1
_GAMMA: Final = 0x9E3779B97F4A7C15
_WHO: Final = 0xD1342543DE82EF95
_TURN: Final = 0xAF251AF3B0F025B5


class Draws(Random):
    """A `Random` whose state is (seed, who, turn) and a count of draws since."""

    def __init__(self, seed: int) -> None:
        self._seed = _mixed(seed & _MASK)
        self._state = self._seed
        super().__init__(0)

    def turn(self, who: int, number: int) -> None:
        """From here on `who` draws, for the `number`-th time that it acts."""
        self._state = _mixed(self._seed ^ (who * _WHO & _MASK) ^ (number * _TURN & _MASK))

    def random(self) -> float:
        """A float in [0, 1)."""
        return (self._next() >> 11) * 2.0**-53

    def getrandbits(self, k: int, /) -> int:
        """`k` random bits."""
        drawn, bits = self._next(), 64
        while bits < k:
            drawn = drawn << 64 | self._next()
            bits += 64
        return drawn >> (bits - k)

    def seed(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: the state is set by `turn`."""

    def _next(self) -> int:
        self._state = (self._state + _GAMMA) & _MASK
        return _mixed(self._state)


def _mixed(z: int) -> int:
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & _MASK
    return z ^ (z >> 31)
