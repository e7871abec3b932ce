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


class File:
    """A file under one name, how many were told of before it, and the leaves that hold it so."""

    __slots__ = ("folder", "id", "leaves", "name", "rank")

    def __init__(self, held: Held, rank: int) -> None:
        self.id, self.name, self.folder = held.id, held.name, held.folder
        self.rank = rank
        self.leaves: dict[int, None] = {}


class Oracle:
    """The files of a network in the order in which they were told of, and by word."""

    def __init__(self, held: Iterable[Held]) -> None:
        self.files: list[File] = []
        self._known: dict[tuple[str, str, str], File] = {}
        self._by_word: dict[str, dict[int, None]] = {}
        for file in held:
            self.add(file)

    def add(self, held: Held) -> None:
        """Another file that can be found, as a finished download can."""
        key = (held.id, held.name, held.folder)
        file = self._known.get(key)
        if file is None:
            file = self._known[key] = File(held, len(self.files))
            for word in (*words(held.name), *words(held.folder)):
                self._by_word.setdefault(word, {})[len(self.files)] = None
            self.files.append(file)
        file.leaves[held.leaf] = None

    def held_by(self, leaves: Container[int]) -> list[Held]:
        """What these leaves share."""
        return [
            Held(leaf, file.id, file.name, file.folder)
            for file in self.files
            for leaf in file.leaves
            if leaf in leaves
        ]

    def count(self, leaves: Container[int]) -> int:
        """How many files these leaves share, counted once for each of them."""
        return sum(leaf in leaves for file in self.files for leaf in file.leaves)

    def there(self, leaves: Container[int]) -> list[File]:
        """The files that one of these leaves holds."""
        return [file for file in self.files if any(leaf in leaves for leaf in file.leaves)]

    def holders(self, file_id: str) -> list[int]:
        """The leaves that hold this content, under whatever name."""
        return [leaf for file in self.files if file.id == file_id for leaf in file.leaves]

    def ids(self, asked: Sequence[str]) -> dict[str, None]:
        """The ids of all files that have all these words, whoever holds or held them."""
        return {file.id: None for file in self._matching(asked)}

    def expected(self, asked: Sequence[str], leaves: Container[int]) -> dict[str, list[int]]:
        """Which of `leaves` hold each file, by id, that has all these words."""
        sources: dict[str, dict[int, None]] = {}
        for file in self._matching(asked):
            for leaf in file.leaves:
                if leaf in leaves:
                    sources.setdefault(file.id, {})[leaf] = None
        return {file: list(there) for file, there in sources.items()}

    def _matching(self, asked: Sequence[str]) -> list[File]:
        rows = [self._by_word.get(word, {}) for word in asked]
        rows.sort(key=len)
        return [self.files[number] for number in rows[0] if all(number in row for row in rows[1:])]
