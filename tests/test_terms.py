"""What may be searched for, and what matches it."""

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.asking import TermsError
from common.content.catalogue import Entry
from common.limits import (
    FILE_NAME_BYTES_MAX,
    FILE_SIZE_MAX,
    PHRASE_CHARS_MAX,
    QUERY_PHRASES_MAX,
    QUERY_PREFIXES_MAX,
    QUERY_WORDS_MAX,
    SEARCH_CHARS_MAX,
    WORD_CHARS_MAX,
)
from common.names import MEDIA_TYPES, words
from common.terms import Terms, entry_words, fit, matches, parse

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
        (["linux", "???"], ("linux",), ()),
        (["???"], ("???",), ()),
        (["---"], ("---",), ()),
        (["+++", "."], ("+++ .",), ()),
        (['"---" bin'], ("---", "bin"), ()),
        (['linux -"---"'], ("linux",), ("---",)),
        (['"linux"', '-"debian"', '""'], ("linux",), ("debian",)),
        (["東京タワー"], ("東京", "京タ", "タワ", "ワー"), ()),
        (["tower", "-東京"], ("tower",), ("東京",)),
    ],
)
def test_words_are_split_as_names_are(
    asked: list[str], words: tuple[str, ...], without: tuple[str, ...]
) -> None:
    """A query's text goes through the same splitting as a file's name; `-` excludes."""
    assert parse(asked) == Terms(words, without)


@pytest.mark.parametrize(
    ("asked", "terms"),
    [
        (["lin*"], Terms(prefixes=("lin",))),
        (["Big-Lin**", "iso"], Terms(("big", "iso"), prefixes=("lin",))),
        (["学"], Terms(prefixes=("学",))),
        (["第1話"], Terms(("1",), prefixes=("第", "話"))),
        (['"The two Towers"'], Terms(("the", "two", "towers"), phrases=("the two towers",))),
        (["“two towers”", "x"], Terms(("two", "towers", "x"), phrases=("two towers",))),
        (['"two towers'], Terms(("two", "towers"), phrases=("two towers",))),
        (['x -"two towers"'], Terms(("x",), without_phrases=("two towers",))),
        (["x", "-東京タワー"], Terms(("x",), without_phrases=("東京 京タ タワ ワー",))),
    ],
)
def test_beginnings_and_phrases(asked: list[str], terms: Terms) -> None:
    """A star, quotes, and scripts without spaces: what each of them asks for."""
    assert parse(asked) == terms


def test_filters_are_taken_in_any_spelling() -> None:
    """Kinds and extensions have no case, and an extension may come with its dot."""
    terms = parse(["x"], "Audio", [".MP3", "flac"], 1, FILE_SIZE_MAX * 2)
    assert terms == Terms(("x",), (), "audio", ("mp3", "flac"), 1, FILE_SIZE_MAX)


@pytest.mark.parametrize(
    ("asking", "sentence"),
    [
        (lambda: parse([]), "nothing to search for"),
        (lambda: parse([""], "audio"), "nothing to search for"),
        (lambda: parse(['""', "\u200b"]), "nothing to search for"),
        (lambda: parse(['-"two towers"']), "nothing to search for"),
        (lambda: parse(["*"]), "at least 2 letters or digits"),
        (lambda: parse(["linux", "**"]), "at least 2 letters or digits"),
        (lambda: parse(["l*"]), "at least 2 letters or digits"),
        (lambda: parse(["*nux"]), "only behind the beginning of a word"),
        (lambda: parse(["l*x*"]), "only behind the beginning of a word"),
        (lambda: parse(["x", "-lin*"]), "only whole words can be excluded"),
        (lambda: parse(['"two tow*"']), "means nothing in quotes"),
        (lambda: parse(["caf\udce9"]), "no valid UTF-8"),
        (lambda: parse(["x" * (SEARCH_CHARS_MAX + 1)]), f"at most {SEARCH_CHARS_MAX} characters"),
        (lambda: parse(["x "] * 10**6), f"at most {SEARCH_CHARS_MAX} characters"),
        (lambda: parse([f"w{n}" for n in range(800)]), f"at most {QUERY_WORDS_MAX} words"),
        (
            lambda: parse([f"w{n}*" for n in range(QUERY_PREFIXES_MAX + 1)]),
            f"at most {QUERY_PREFIXES_MAX} beginnings",
        ),
        (
            lambda: parse([f'"a w{n}"' for n in range(QUERY_PHRASES_MAX + 1)]),
            f"at most {QUERY_PHRASES_MAX} phrases",
        ),
        (
            lambda: parse([f'"{"x" * 64} {"y " * 100}"']),
            f"phrase in quotes has at most {PHRASE_CHARS_MAX}",
        ),
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


TOWERS = Entry(bytes(32), 1, "The Two Towers (The Two).ogg", "Tolkien/東京タワー")


@pytest.mark.parametrize(
    ("asked", "hit"),
    [
        ("tow*", True),
        ("tol*", True),
        ("owers*", False),
        ('"two towers"', True),
        ('"towers two"', False),
        ('"the two ogg"', True),
        ('"ogg tolkien"', False),
        ('"two tow"', False),
        ('two -"the towers"', True),
        ('two -"the two"', False),
        ("京タ", True),
        ("ー", True),
        ("京", True),
        ("京ワ", False),
        ('"東京タワー"', True),
        ("two -京タワ", False),
        ("two -京ワー", True),
    ],
)
def test_beginnings_phrases_and_pieces_of_titles_match(asked: str, hit: bool) -> None:
    """Beginnings of words, words side by side in name or folder, any piece of a script without
    spaces."""
    assert matches(parse([asked]), TOWERS) is hit


@pytest.mark.parametrize(
    ("name", "asked"), [("???", "???"), ("---.bin", '"---"'), ("♥ ♥.mp3", "♥  ♥"), ("***", '"***"')]
)
def test_a_file_without_words_is_found_by_its_symbols(name: str, asked: str) -> None:
    """As they stand before the extension."""
    assert matches(parse([asked]), Entry(bytes(32), 1, name))


def test_how_well_an_entry_fits() -> None:
    """All words in the name, and no others; then in the name; then with the help of folders."""
    terms = parse(["two", "tow*"])
    best_first = [
        *(("two towers", "x"), ("two towers.ogg", ""), ("the two towers.ogg", "")),
        *(("the two towers and more.ogg", ""), ("towers", "two"), ("towers.ogg", "two/other")),
    ]
    fits = [fit(terms, Entry(bytes(32), 1, name, folder)) for name, folder in best_first]
    assert fits == sorted(fits, reverse=True)
    assert len(dict.fromkeys(fits)) == len(fits)
    assert fits[0] == 1


@given(st.text(max_size=30), st.text(max_size=30), st.data())
def test_any_name_is_found_by_any_of_its_words(name: str, folder: str, data: st.DataObject) -> None:
    """Asked for as it stands in the name, alone or with all that comes before."""
    entry = Entry(bytes(32), 1, name or "x", folder)
    words = entry_words(entry)
    if words:
        word = data.draw(st.sampled_from(words))
        assert matches(Terms((word,)), entry)
        assert matches(Terms(prefixes=(word[:2],)), entry)


def test_words_of_an_entry_are_distinct_with_the_name_first() -> None:
    """A word that stands in name and folder counts once."""
    entry = Entry(bytes(32), 1, "Tom Waits - Alice.flac", "Tom Waits/Alice (2002)")
    assert entry_words(entry) == ["tom", "waits", "alice", "flac", "2002"]


@given(
    st.text("Ab1 .-_", max_size=FILE_NAME_BYTES_MAX - 1),
    st.text("aC2 .-/", max_size=2 * FILE_NAME_BYTES_MAX),
)
def test_an_entry_has_the_words_of_its_name_and_of_its_folder(name: str, folder: str) -> None:
    """However long the two are; the last of the one and the first of the other are two words."""
    entry = Entry(bytes(32), 1, f"x{name}", folder)
    assert entry_words(entry) == list(dict.fromkeys(words(entry.name) + words(folder)))


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
        [[""]],
        [["x" * (WORD_CHARS_MAX + 1)]],
        [["x"] * (QUERY_WORDS_MAX + 1)],
        [["x"], ["y"] * (QUERY_WORDS_MAX + 1)],
        [["x"], [], "k" * (WORD_CHARS_MAX + 1)],
        [["x"], [], "", ["e"] * (QUERY_WORDS_MAX + 1)],
        [["x"], [], "", [], -1],
        [["x"], [], "", [], 0, FILE_SIZE_MAX + 1],
        [["x"], [], "", [], 0, None, ["p"] * (QUERY_PREFIXES_MAX + 1)],
        [["x"], [], "", [], 0, None, ["p" * (WORD_CHARS_MAX + 1)]],
        [["x"], [], "", [], 0, None, [], ["p"] * (QUERY_PHRASES_MAX + 1)],
        [["x"], [], "", [], 0, None, [], ["p" * (PHRASE_CHARS_MAX + 1)]],
        [["x"], [], "", [], 0, None, [], [], [""]],
    ],
)
def test_the_border_refuses_terms_beyond_a_limit(fields: list[object]) -> None:
    """Each field is checked where a frame is converted."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(fields, Terms)


def test_as_many_extensions_as_a_search_has() -> None:
    """The limit itself is allowed."""
    many = [f"e{number}" for number in range(QUERY_WORDS_MAX)]
    assert len(parse(["x"], "", many).extensions) == QUERY_WORDS_MAX
