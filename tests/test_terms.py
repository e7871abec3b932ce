"""What may be searched for, and what matches it."""

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.catalogue import Entry
from common.limits import FILE_SIZE_MAX, QUERY_WORDS_MAX, WORD_CHARS_MAX
from common.names import MEDIA_TYPES
from common.terms import Terms, TermsError, entry_words, matches, parse

TOO_MANY = [f"w{number}" for number in range(QUERY_WORDS_MAX + 1)]
BOOK = Entry(bytes(32), 5_000, "C++ Primer.PDF", "Bücher/Computer")


@pytest.mark.parametrize(
    ("asked", "words", "without"),
    [
        (["linux", "iso"], ("linux", "iso"), ()),
        (["linux -debian"], ("linux",), ("debian",)),
        (["C++.pdf"], ("c", "pdf"), ()),
        (["Bücher", "BÜCHER"], ("bücher",), ()),
        (["foo-bar", "-not.this"], ("foo", "bar"), ("not", "this")),
        (["linux", "-", "--"], ("linux",), ()),
        (["x" * 100], ("x" * WORD_CHARS_MAX,), ()),
    ],
)
def test_words_are_split_as_names_are(
    asked: list[str], words: tuple[str, ...], without: tuple[str, ...]
) -> None:
    """A query's text goes through the same splitting as a file's name; `-` excludes."""
    assert parse(asked) == Terms(words, without)


def test_filters_are_taken_in_any_spelling() -> None:
    """Kinds and extensions have no case, and an extension may come with its dot."""
    terms = parse(["x"], "Audio", [".MP3", "flac"], 1, FILE_SIZE_MAX * 2)
    assert terms == Terms(("x",), (), "audio", ("mp3", "flac"), 1, FILE_SIZE_MAX)


@pytest.mark.parametrize(
    ("asking", "sentence"),
    [
        (lambda: parse([]), "nothing to search for"),
        (lambda: parse(["+++", "."], "audio"), "nothing to search for"),
        (lambda: parse(["-debian"]), "nothing to search for"),
        (lambda: parse(TOO_MANY), f"at most {QUERY_WORDS_MAX} words"),
        (lambda: parse(["x", *[f"-{word}" for word in TOO_MANY]]), "and as many excluded ones"),
        (lambda: parse(["x"], "music"), "'music' is no type of file; there are audio, "),
        (lambda: parse(["x"], "", ["p/df"]), "'p/df' is no extension"),
        (lambda: parse(["x"], "", ["tar.gz"]), "'tar.gz' is no extension"),
        (lambda: parse(["x"], "", [""]), "'' is no extension"),
        (lambda: parse(["x"], "", TOO_MANY), f"at most {QUERY_WORDS_MAX} extensions"),
        (lambda: parse(["x"], "", [], -1), "smallest size is not between"),
        (lambda: parse(["x"], "", [], FILE_SIZE_MAX + 1), "smallest size is not between"),
        (lambda: parse(["x"], "", [], 10, 9), "smallest size is above the largest"),
    ],
)
def test_what_cannot_be_searched_for_gets_one_clear_sentence(
    asking: Callable[[], Terms], sentence: str
) -> None:
    """Each mistake is named; filters or exclusions alone are no search."""
    with pytest.raises(TermsError, match=sentence):
        asking()


@pytest.mark.parametrize(
    ("terms", "hit"),
    [
        (Terms(("primer", "c")), True),
        (Terms(("computer", "primer")), True),
        (Terms(("prim",)), False),
        (Terms((), (), "document"), False),
        (Terms(("primer", "java")), False),
        (Terms(("primer",), ("java",)), True),
        (Terms(("primer",), ("computer",)), False),
        (Terms(("primer",), (), "document"), True),
        (Terms(("primer",), (), "audio"), False),
        (Terms(("primer",), (), "", ("txt", "pdf")), True),
        (Terms(("primer",), (), "", ("txt",)), False),
        (Terms(("primer",), size_min=5_000, size_max=5_000), True),
        (Terms(("primer",), size_min=5_001), False),
        (Terms(("primer",), size_max=4_999), False),
    ],
)
def test_an_entry_matches_all_words_no_excluded_one_and_every_filter(
    terms: Terms, hit: bool
) -> None:
    """Words of name and folder count alike, whole words only."""
    assert matches(terms, BOOK) is hit


def test_words_of_an_entry_are_distinct_with_the_name_first() -> None:
    """A word that stands in name and folder counts once."""
    entry = Entry(bytes(32), 1, "Tom Waits - Alice.flac", "Tom Waits/Alice (2002)")
    assert entry_words(entry) == ["tom", "waits", "alice", "flac", "2002"]


@given(
    st.lists(st.text(), max_size=5),
    st.sampled_from(["", *MEDIA_TYPES]),
    st.lists(st.text(max_size=5), max_size=3),
    st.integers(),
    st.none() | st.integers(),
)
def test_whatever_parse_lets_through_is_within_the_limits_of_the_wire(
    asked: list[str], kind: str, extensions: list[str], size_min: int, size_max: int | None
) -> None:
    """Any input is refused with a sentence or becomes terms that the border of another accepts."""
    try:
        terms = parse(asked, kind, extensions, size_min, size_max)
    except TermsError as error:
        assert str(error)
    else:
        assert msgspec.convert(msgspec.to_builtins(terms), Terms) == terms


@pytest.mark.parametrize(
    "fields",
    [
        [[]],
        [[""]],
        [["x" * (WORD_CHARS_MAX + 1)]],
        [["x"] * (QUERY_WORDS_MAX + 1)],
        [["x"], ["y"] * (QUERY_WORDS_MAX + 1)],
        [["x"], [], "k" * (WORD_CHARS_MAX + 1)],
        [["x"], [], "", ["e"] * (QUERY_WORDS_MAX + 1)],
        [["x"], [], "", [], -1],
        [["x"], [], "", [], 0, FILE_SIZE_MAX + 1],
    ],
)
def test_the_border_refuses_terms_beyond_a_limit(fields: list[object]) -> None:
    """Each field is checked where a frame is converted, and no word at all is refused."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(fields, Terms)


def test_as_many_extensions_as_a_search_has() -> None:
    """The limit itself is allowed."""
    many = [f"e{number}" for number in range(QUERY_WORDS_MAX)]
    assert len(parse(["x"], "", many).extensions) == QUERY_WORDS_MAX
