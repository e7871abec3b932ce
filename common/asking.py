"""What a person typed to search for, taken apart; or one sentence that says what is wrong with it.

`lin*` asks for words that begin so, `"two towers"` for these words in this order side by side, and
a `-` in front of a word or a quotation excludes it. Where nothing that was typed has a word, it is
looked for as it stands: so a file called `???` can be found.
"""

import re
from typing import Final

from common.limits import PREFIX_CHARS_MIN, SEARCH_CHARS_MAX
from common.names import is_lone_letter, symbols, word_sequence

_PART = re.compile(r'(-?)"([^"]*)(?:"|$)|(\S+)')
_QUOTES: Final = str.maketrans(dict.fromkeys("\u201c\u201d\u201e\u00ab\u00bb", '"'))


class TermsError(ValueError):
    """This cannot be searched for; the text is one sentence for the person who asked."""


class Asked:
    """What was typed, part by part."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.without: list[str] = []
        self.prefixes: list[str] = []
        self.phrases: list[str] = []
        self.without_phrases: list[str] = []
        self.symbols: list[str] = []  # parts without a word

    def quoted(self, text: str, *, excluded: bool) -> None:
        """A quotation: its words, in this order."""
        sequence = word_sequence(text)
        if not sequence:
            self._as_it_stands(text, excluded=excluded)
        elif "*" in text:
            raise TermsError("a * means nothing in quotes: put it outside of them")
        elif len(sequence) == 1:
            self._single(sequence[0], excluded=excluded)
        elif excluded:
            self.without_phrases.append(" ".join(sequence))
        else:
            self.phrases.append(" ".join(sequence))
            for word in sequence:
                self._single(word)

    def plain(self, part: str) -> None:
        """What stands between two spaces."""
        excluded = part.startswith("-")
        text = part[1:] if excluded else part
        body = text.rstrip("*")
        sequence = word_sequence(body)
        if "*" in body:
            raise TermsError("a * stands only behind the beginning of a word, as in lin*")
        if body != text:
            self._prefix(sequence, excluded=excluded)
        elif not sequence:
            self.symbols.append(part)
        elif not excluded:
            for word in sequence:
                self._single(word)
        else:
            self._exclude(text)

    def _prefix(self, sequence: list[str], *, excluded: bool) -> None:
        if excluded:
            raise TermsError("only whole words can be excluded, no beginnings")
        last = sequence[-1] if sequence else ""
        if len(last) < PREFIX_CHARS_MIN and not is_lone_letter(last):
            least = f"at least {PREFIX_CHARS_MIN} letters or digits"
            raise TermsError(f"a * needs {least} in front of it, as in lin*")
        for word in sequence[:-1]:
            self._single(word)
        self.prefixes.append(last)

    def _exclude(self, text: str) -> None:
        """Each word by itself; bigrams only where they follow one another."""
        for word in text.split():
            sequence = word_sequence(word)
            if word.isascii() or len(sequence) == 1:
                self.without += sequence
            else:
                self.without_phrases.append(" ".join(sequence))

    def _single(self, word: str, *, excluded: bool = False) -> None:
        if excluded:
            self.without.append(word)
        elif is_lone_letter(word):
            self.prefixes.append(word)
        else:
            self.words.append(word)

    def _as_it_stands(self, text: str, *, excluded: bool) -> None:
        folded = symbols(text)
        if folded:
            (self.without if excluded else self.words).append(folded)


def taken_apart(text: str) -> Asked:
    """What `text` asks for. Raises TermsError."""
    if len(text) > SEARCH_CHARS_MAX:
        raise TermsError(f"a search has at most {SEARCH_CHARS_MAX} characters")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise TermsError("it is no valid UTF-8") from error
    found = Asked()
    for part in _PART.finditer(text.translate(_QUOTES)):
        if part[3] is None:
            found.quoted(part[2], excluded=bool(part[1]))
        else:
            found.plain(part[3])
    if found.symbols and not (found.words or found.prefixes or found.without):
        as_it_stands = symbols(" ".join(found.symbols))
        if as_it_stands:
            found.words.append(as_it_stands)
    return found
