"""What a search asks for, and what of a file it is held against.

All words must stand in the file's name or in the folders above it, none of the excluded ones may,
and the filters narrow what is left; filters alone are no search. Query and entry go through the
same functions here, so they can differ neither in how text is split nor in what an extension is.
"""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from common.catalogue import Entry
from common.limits import FILE_SIZE_MAX, QUERY_WORDS_MAX, WORD_CHARS_MAX
from common.names import MEDIA_TYPES, extension, media_type, words

Word = Annotated[str, Meta(min_length=1, max_length=WORD_CHARS_MAX)]
Words = Annotated[tuple[Word, ...], Meta(max_length=QUERY_WORDS_MAX)]
Size = Annotated[int, Meta(ge=0, le=FILE_SIZE_MAX)]


class TermsError(ValueError):
    """This cannot be searched for; the text is one sentence for the person who asked."""


class Terms(msgspec.Struct, frozen=True, array_like=True):
    """All of `words`, none of `without`, and of this kind, one of these extensions, these sizes.

    An empty `kind` or `extensions` filters nothing; sizes are bytes and inclusive.
    """

    words: Annotated[Words, Meta(min_length=1)]
    without: Words = ()
    kind: Annotated[str, Meta(max_length=WORD_CHARS_MAX)] = ""
    extensions: Words = ()
    size_min: Size = 0
    size_max: Size | None = None

    def takes_size(self, size: int) -> bool:
        """Whether a file of `size` bytes passes the size filter."""
        return self.size_min <= size and (self.size_max is None or size <= self.size_max)


def entry_words(entry: Entry) -> list[str]:
    """The distinct words that find `entry`: those of its name first, then those of its folders."""
    return list(dict.fromkeys([*words(entry.name), *words(entry.folder)]))


def matches(terms: Terms, entry: Entry) -> bool:
    """Whether `entry` is a hit for `terms`: the definition that every index must agree with.

    Terms without a word match nothing.
    """
    there = dict.fromkeys(entry_words(entry))
    return (
        bool(terms.words)
        and all(word in there for word in terms.words)
        and not any(word in there for word in terms.without)
        and terms.kind in ("", media_type(entry.name))
        and (not terms.extensions or extension(entry.name) in terms.extensions)
        and terms.takes_size(entry.size)
    )


def parse(
    asked: Sequence[str],
    kind: str = "",
    extensions: Sequence[str] = (),
    size_min: int = 0,
    size_max: int | None = None,
) -> Terms:
    """The terms of what a person typed; `-word` excludes. Raises TermsError.

    "C++.pdf" asks for the words "c" and "pdf", wherever in the name they stand.
    """
    parts = " ".join(asked).split()
    terms = Terms(
        words=_distinct([part for part in parts if not part.startswith("-")]),
        without=_distinct([part for part in parts if part.startswith("-")]),
        kind=kind.lower(),
        extensions=tuple([text.lstrip(".").lower() for text in extensions]),
        size_min=size_min,
        size_max=None if size_max is None else min(size_max, FILE_SIZE_MAX),
    )
    _check(terms)
    return terms


def _distinct(parts: list[str]) -> tuple[str, ...]:
    """The words of each part, split one by one: `words` stops silently at its limit."""
    return tuple(dict.fromkeys([word for part in parts for word in words(part)]))


def _check(terms: Terms) -> None:
    """Raise TermsError for what the limits of `Terms` refuse or what could find nothing."""
    if not terms.words:
        raise TermsError("there is nothing to search for: give at least one word")
    if max(len(terms.words), len(terms.without)) > QUERY_WORDS_MAX:
        raise TermsError(f"a search has at most {QUERY_WORDS_MAX} words, and as many excluded ones")
    if terms.kind not in ("", *MEDIA_TYPES):
        raise TermsError(f"{terms.kind!r} is no type of file; there are {', '.join(MEDIA_TYPES)}")
    if len(terms.extensions) > QUERY_WORDS_MAX:
        raise TermsError(f"a search has at most {QUERY_WORDS_MAX} extensions")
    for text in terms.extensions:
        if not text or extension(f"name.{text}") != text:
            raise TermsError(f"{text!r} is no extension: give the part behind the last dot")
    if not 0 <= terms.size_min <= FILE_SIZE_MAX:
        raise TermsError(f"the smallest size is not between 0 and {FILE_SIZE_MAX} bytes")
    if terms.size_max is not None and terms.size_min > terms.size_max:
        raise TermsError("the smallest size is above the largest")
