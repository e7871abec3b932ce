"""How a network stands: who lives, who hangs where, and what of that stood all through a phase."""

from collections.abc import Iterator, Mapping
from typing import Protocol

from deploy import graphs
from deploy.targets import LEAF, SUPER_PEER, Target


class Living(Protocol):
    """Who lives, and how the super-peers are meant to be linked."""

    @property
    def alive(self) -> Mapping[int, object]:
        """The super-peers that live."""

    @property
    def alive_leaves(self) -> Mapping[int, object]:
        """The leaves that live."""

    @property
    def edges(self) -> list[graphs.Edge]:
        """The links among super-peers that are meant to be."""


class Standing(Living, Protocol):
    """How a network stands at the moment: who lives, who hangs where."""

    @property
    def parents(self) -> Mapping[int, int]:
        """The super-peer that each leaf hangs on."""


class Steady:
    """What stands all through a phase: parents as they were when it began, nobody who was away."""

    def __init__(
        self, living: Living, parents: Mapping[int, int], away: Mapping[Target, object]
    ) -> None:
        """`away` is filled while the phase goes on."""
        self.alive: Mapping[int, object] = _Stayed(SUPER_PEER, living.alive, away)
        self.alive_leaves: Mapping[int, object] = _Stayed(LEAF, living.alive_leaves, away)
        self.parents = parents
        self.edges: list[graphs.Edge] = living.edges


class _Stayed(Mapping[int, object]):
    """The living nodes of a kind without those that were away."""

    def __init__(self, kind: str, living: Mapping[int, object], away: Mapping[Target, object]):
        self._kind, self._living, self._away = kind, living, away

    def __getitem__(self, number: int) -> object:
        if Target(self._kind, number) in self._away:
            raise KeyError(number)
        return self._living[number]

    def __iter__(self) -> Iterator[int]:
        return (each for each in self._living if Target(self._kind, each) not in self._away)

    def __len__(self) -> int:
        return sum(1 for _ in self)
