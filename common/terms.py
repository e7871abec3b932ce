"""What a search asks for, and what of a file it is held against.

All words must stand in the file's name or in the folders above it, and words with each of the
beginnings; the words of a phrase side by side in one of the two; none of what is excluded may; and
the filters narrow what is left. Filters alone are no search. `matches` is the definition that every
index must agree with, `fit` says how well. Query and entry are cut into words by the same functions
(`common.names`); what may be typed is `common.asking`.
"""

from collections.abc import Iterable, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from common.asking import TermsError, taken_apart
from common.content.catalogue import Entry
from common.limits import (
    FILE_NAME_BYTES_MAX,
    FILE_SIZE_MAX,
    PHRASE_CHARS_MAX,
    QUERY_PHRASES_MAX,
    QUERY_PREFIXES_MAX,
    QUERY_WORDS_MAX,
    WORD_CHARS_MAX,
)
from common.names import (
    MEDIA_TYPES,
    extension,
    last_letters,
    media_type,
    symbols_of_name,
    word_sequence,
    words,
)

Word = Annotated[str, Meta(min_length=1, max_length=WORD_CHARS_MAX)]
Words = Annotated[tuple[Word, ...], Meta(max_length=QUERY_WORDS_MAX)]
Prefixes = Annotated[tuple[Word, ...], Meta(max_length=QUERY_PREFIXES_MAX)]
Phrase = Annotated[str, Meta(min_length=1, max_length=PHRASE_CHARS_MAX)]
Phrases = Annotated[tuple[Phrase, ...], Meta(max_length=QUERY_PHRASES_MAX)]
Size = Annotated[int, Meta(ge=0, le=FILE_SIZE_MAX)]


class Terms(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """All of `words`, none of `without`, and of this kind, one of these extensions, these sizes.

    An empty `kind` or `extensions` filters nothing; sizes are bytes and inclusive. `prefixes` are
    beginnings of words. Phrases are words with a space between two; those of `phrases` stand in
    `words` and `prefixes` too, so that an index needs to look only at what has them.
    """

    words: Words = ()
    without: Words = ()
    kind: Annotated[str, Meta(max_length=WORD_CHARS_MAX)] = ""
    extensions: Words = ()
    size_min: Size = 0
    size_max: Size | None = None
    prefixes: Prefixes = ()
    phrases: Phrases = ()
    without_phrases: Phrases = ()

    @property
    def bytes(self) -> int:
        """How long all texts are together, in UTF-8."""
        texts = (*self.words, *self.without, *self.extensions, self.kind)
        texts += (*self.prefixes, *self.phrases, *self.without_phrases)
        return sum(len(text.encode(errors="surrogatepass")) for text in texts)

    @property
    def has_size(self) -> bool:
        """Whether sizes are bounded."""
        return self.size_min > 0 or self.size_max is not None

    @property
    def is_plain(self) -> bool:
        """Whether only words and their beginnings decide."""
        return not (
            self.without
            or self.kind
            or self.extensions
            or self.size_min
            or self.size_max is not None
            or self.phrases
            or self.without_phrases
        )

    def takes_size(self, size: int) -> bool:
        """Whether a file of `size` bytes passes the size filter."""
        return self.size_min <= size and (self.size_max is None or size <= self.size_max)

    def takes_phrases(self, entry: Entry) -> bool:
        """Whether all of the phrases stand in `entry`, and none of the excluded ones."""
        if not self.phrases and not self.without_phrases:
            return True
        texts = [f" {' '.join(word_sequence(text))} " for text in (entry.name, entry.folder)]
        return all(any(f" {one} " in text for text in texts) for one in self.phrases) and not any(
            f" {one} " in text for text in texts for one in self.without_phrases
        )


def entry_words(entry: Entry) -> list[str]:
    """The distinct words that find `entry`: those of its name first, then those of its folders.

    Where the name has none before its extension, its symbols are one.
    """
    name, folder = entry.name, entry.folder
    plain = f"{name}/{folder}"  # of most files: a word begins it, so no symbols are one; and short
    if plain.isascii() and plain[0].isalnum() and len(plain) <= FILE_NAME_BYTES_MAX:
        return words(plain)
    found = words(name)
    if len(found) < 2 and (not found or found[0] == extension(name)):
        found = [*filter(None, [symbols_of_name(name)]), *found]
    if not (name.isascii() and folder.isascii()):
        found += [*words(folder), *last_letters(name), *last_letters(folder)]
    elif folder:
        found += words(folder)
    return list(dict.fromkeys(found))


def matches(terms: Terms, entry: Entry) -> bool:
    """Whether `entry` is a hit for `terms`: the definition that every index must agree with.

    Terms without a word or a beginning of one match nothing.
    """
    there = dict.fromkeys(entry_words(entry))
    return (
        bool(terms.words or terms.prefixes)
        and all(word in there for word in terms.words)
        and not any(word in there for word in terms.without)
        and all(any(word.startswith(prefix) for word in there) for prefix in terms.prefixes)
        and terms.kind in ("", media_type(entry.name))
        and (not terms.extensions or extension(entry.name) in terms.extensions)
        and terms.takes_size(entry.size)
        and terms.takes_phrases(entry)
    )


def fit(terms: Terms, entry: Entry) -> float:
    """How well `entry`, which matches, is what was asked for: from 0 to 1.

    Half of it where all words stand in the name, and not only in the folders; the other half is the
    share of its words that were asked for, so that 1 is a name that says nothing else.
    """
    in_name = words(entry.name)
    asked = len(terms.words) + len(terms.prefixes)
    whole = all(word in in_name for word in terms.words) and all(
        any(word.startswith(prefix) for word in in_name) for prefix in terms.prefixes
    )
    there = in_name if whole else entry_words(entry)
    share = min(asked / max(len(there), 1), 1.0)
    return (1 + share) / 2 if whole else share / 2


def parse(
    asked: Sequence[str],
    kind: str = "",
    extensions: Sequence[str] = (),
    size_min: int = 0,
    size_max: int | None = None,
) -> Terms:
    """The terms of what a person typed. Raises TermsError.

    "C++.pdf" asks for the words "c" and "pdf", wherever in the name they stand.
    """
    found = taken_apart(" ".join(asked))
    terms = Terms(
        words=_distinct(found.words),
        without=_distinct(found.without),
        kind=kind.lower(),
        extensions=tuple([text.lstrip(".").lower() for text in extensions]),
        size_min=size_min,
        size_max=None if size_max is None else min(size_max, FILE_SIZE_MAX),
        prefixes=_distinct(found.prefixes),
        phrases=_distinct(found.phrases),
        without_phrases=_distinct(found.without_phrases),
    )
    _check_text(terms)
    _check_filters(terms)
    return terms


def _distinct(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(words))


def _check_text(terms: Terms) -> None:
    """Raise TermsError for what the limits of `Terms` refuse or what could find nothing."""
    if not terms.words and not terms.prefixes:
        raise TermsError("there is nothing to search for: give at least one word")
    if max(len(terms.words), len(terms.without)) > QUERY_WORDS_MAX:
        raise TermsError(f"a search has at most {QUERY_WORDS_MAX} words, and as many excluded ones")
    if len(terms.prefixes) > QUERY_PREFIXES_MAX:
        raise TermsError(f"a search has at most {QUERY_PREFIXES_MAX} beginnings of words")
    phrases = (*terms.phrases, *terms.without_phrases)
    if max(len(terms.phrases), len(terms.without_phrases)) > QUERY_PHRASES_MAX:
        raise TermsError(f"a search has at most {QUERY_PHRASES_MAX} phrases in quotes")
    if any(len(phrase) > PHRASE_CHARS_MAX for phrase in phrases):
        raise TermsError(f"a phrase in quotes has at most {PHRASE_CHARS_MAX} characters")


def _check_filters(terms: Terms) -> None:
    """Raise TermsError for filters that could let nothing through."""
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
