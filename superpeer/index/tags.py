"""What filters go by: the extension of a file, which tells its kind, and its size to the power of
two.

Postings apart from those of words, so that no word of a query can name one. A size bound inside a
power of two leaves documents of which only their entry can tell; all the others are right.
"""

from functools import lru_cache
from typing import Final

from pyroaring import BitMap

from common.content.catalogue import Entry
from common.limits import FILE_SIZE_MAX
from common.names import OTHER, extension, extensions_of, type_of
from common.terms import Terms
from superpeer.index.postings import Postings

TAGS_MAX: Final = 3  # of each entry

_EXTENSIONS_KEPT: Final = 1_024  # whose tags are not worked out anew
_OTHER_TAG: Final = f"kind {OTHER}"
_SIZE_TAGS: Final = [f"size {power}" for power in range(FILE_SIZE_MAX.bit_length() + 1)]


class Tags:
    """Documents by their tags."""

    __slots__ = ("_docs",)

    def __init__(self) -> None:
        self._docs: Postings[str] = Postings()

    def add(self, entry: Entry, doc: int) -> None:
        """`doc` says this."""
        self._docs.add(_tags(entry), doc)

    def discard(self, entry: Entry, doc: int) -> None:
        """Undo an `add` of the same pair."""
        for tag in _tags(entry):
            self._docs.discard(tag, doc)

    def groups(self, terms: Terms, strip: int) -> list[list[BitMap]]:
        """A hit of this strip is in one of each group, to be read only; sizes are right to their
        power."""
        groups = []
        if terms.kind:
            told_by = [_extension_tag(text) for text in extensions_of(terms.kind)]
            groups.append([_OTHER_TAG] if terms.kind == OTHER else told_by)
        if terms.extensions:
            groups.append([_extension_tag(text) for text in terms.extensions])
        if terms.size_min or terms.size_max is not None:
            powers = range(terms.size_min.bit_length(), _size_max(terms).bit_length() + 1)
            groups.append([_SIZE_TAGS[power] for power in powers])
        return [[self._docs.strip(tag, strip) for tag in group] for group in groups]

    def unsure(self, terms: Terms) -> BitMap:
        """The documents in the power of a size bound that does not begin or end it."""
        bounds = []
        if terms.size_min & (terms.size_min - 1):
            bounds.append(terms.size_min)
        if terms.size_max is not None and terms.size_max & (terms.size_max + 1):
            bounds.append(terms.size_max)
        return self._docs.union([_SIZE_TAGS[size.bit_length()] for size in bounds])


def _tags(entry: Entry) -> tuple[str, ...]:
    return (*_name_tags(extension(entry.name)), _SIZE_TAGS[entry.size.bit_length()])


@lru_cache(_EXTENSIONS_KEPT)
def _name_tags(ending: str) -> tuple[str, ...]:
    tag = _extension_tag(ending)
    return (tag, _OTHER_TAG) if type_of(ending) == OTHER else (tag,)


def _extension_tag(text: str) -> str:
    return f"extension {text}"


def _size_max(terms: Terms) -> int:
    return FILE_SIZE_MAX if terms.size_max is None else terms.size_max
