"""One small change of one file, as edits of its bytes; where it comes from is not known here."""

from typing import NamedTuple


class Edit(NamedTuple):
    """The bytes [begin, end) of a file give way to `text`."""

    begin: int
    end: int
    text: bytes


class Mutant(NamedTuple):
    """A change with a name; `what` says in a few words what is wrong with it."""

    name: str
    file: str  # '/'-separated, below the root of the tree
    edits: tuple[Edit, ...]  # in order, none overlaps another
    what: str
    breaks: tuple[str, ...] = ()

    def mutated(self, source: bytes) -> bytes:
        """The file as it is with the change."""
        for begin, end, text in reversed(self.edits):
            source = source[:begin] + text + source[end:]
        return source
