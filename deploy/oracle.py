"""What a search must find: every file whose name and folder have all its words.

Built from what the leaves themselves say they share. It cuts text with `common.names` as the
network does, and has nothing else in common with its indexes.
"""

from collections.abc import Container, Iterable, Sequence
from typing import NamedTuple

from common.names import words


class Held(NamedTuple):
    """One file in one leaf's share; `folder` is the path inside the share."""

    leaf: int
    id: str
    name: str
    folder: str


class Oracle:
    """The files of a network, by word."""

    def __init__(self, held: Iterable[Held]) -> None:
        self.held: list[Held] = []
        self._by_word: dict[str, dict[int, None]] = {}
        for file in held:
            self.add(file)

    def add(self, file: Held) -> None:
        """Another file that can be found, as a finished download can."""
        for word in (*words(file.name), *words(file.folder)):
            self._by_word.setdefault(word, {})[len(self.held)] = None
        self.held.append(file)

    def held_by(self, leaves: Container[int]) -> list[Held]:
        """What these leaves share."""
        return [file for file in self.held if file.leaf in leaves]

    def expected(self, asked: Sequence[str], leaves: Container[int]) -> dict[str, list[int]]:
        """Which of `leaves` hold each file, by id, that has all these words."""
        rows = [self._by_word.get(word, {}) for word in asked]
        rows.sort(key=len)
        numbers = [number for number in rows[0] if all(number in row for row in rows[1:])]
        pairs = {(self.held[number].id, self.held[number].leaf): None for number in numbers}
        sources: dict[str, list[int]] = {}
        for file, leaf in pairs:
            if leaf in leaves:
                sources.setdefault(file, []).append(leaf)
        return sources
