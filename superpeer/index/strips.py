"""Strips: documents by their numbers, so that a search need not meet all of them.

A search that wants fifty of what many words share finds them among the first numbers; to meet the
rest would be memory that is touched for nothing, and memory is what a search waits for. So the
first strip is one container of a bitmap, 65,536 numbers; it has four times as many with the second
one, and sixteen times with the third; each further one has as many as those three.
"""

from typing import Final

CONTAINER_BITS: Final = 16
DOC_BITS: Final = 24
_ENDS: Final = (1, 4, 16)  # in containers, of the first strips


def numbers_in(strip: int) -> range:
    """The numbers of a strip."""
    first, beyond = (0, *_ENDS)[strip : strip + 2] if strip < len(_ENDS) else _further(strip)
    return range(first << CONTAINER_BITS, beyond << CONTAINER_BITS)


def _further(strip: int) -> tuple[int, int]:
    before = strip - len(_ENDS) + 1
    return before * _ENDS[-1], (before + 1) * _ENDS[-1]


def _strip_of(container: int) -> int:
    below = next((strip for strip, end in enumerate(_ENDS) if container < end), None)
    return len(_ENDS) - 1 + container // _ENDS[-1] if below is None else below


STRIPS: Final = bytes(map(_strip_of, range(1 << DOC_BITS - CONTAINER_BITS)))
"""In which strip a document lies, by its number without the last 16 bits."""
