"""The sanitiser under names made to hurt, and the words of names in all scripts."""

import posixpath
import sys
import unicodedata
from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.limits import FILE_NAME_BYTES_MAX, PATH_DEPTH_MAX, STRING_BYTES_MAX, WORD_CHARS_MAX
from common.names import (
    MEDIA_TYPES,
    WORDS_PER_NAME_MAX,
    extension,
    is_lone_letter,
    last_letters,
    media_type,
    safe_folder,
    safe_name,
    symbols_of_name,
    words,
)

ROOT = "/srv/shared folder"
NASTY = [
    *("/", "\\", "..", ".", ":", "\0", "\n", "\r", "\t", "\x1b[2J", "\x7f", "\x85", "~", "-", " "),
    *("\u202e", "\u2066", "\u200b", "\u200d", "\ufeff", "\u00ad", "\u3164", "\u2028", "\u061c"),
    *("\uff0f", "\uff3c", "\u2044", "\u2215", "\u00a0", "\u3000", "\ud800", "\udcff", "\U000e0041"),
    *("CON", "nul", "COM1", "lpt9", "AUX.txt", "COM\u00b9", "C:", "$DATA", "%2e%2e", "`id`", "*"),
    *("e\u0301", "\u0301", "\u1100\u1161", "\u212b", "\ufb01", "\u0345", "\ufe0f", "\u20e3"),
    *("a" * 200, "\u00e9" * 90, "\U0001f600" * 50, ".tar.gz", ".mp3", ".part", "\u0130", "\u00df"),
]
DEVICES = {
    "CON",
    "PRN",
    "AUX",
    "NUL",
    *(f"{port}{n}" for port in ("COM", "LPT") for n in range(10)),
}

any_text = st.text(st.characters()) | st.lists(st.sampled_from(NASTY)).map("".join)


def is_inside(path: str) -> bool:
    """Whether `path` joined to a root stays below that root."""
    joined = posixpath.join(ROOT, path)
    return joined == posixpath.normpath(joined) and joined.startswith(ROOT + "/")


def check_name(name: str) -> None:
    """Everything that a sanitised name promises."""
    assert is_inside(name)
    assert name not in ("", ".", "..")
    assert 0 < len(name.encode()) <= FILE_NAME_BYTES_MAX
    assert not any(char in name for char in "/\\:\uff0f\uff3c")
    assert not any(unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") for char in name)
    assert name[0] not in ".-~"
    assert name[-1] != "."
    assert name == name.strip()
    assert name.partition(".")[0].strip().upper() not in DEVICES
    assert unicodedata.is_normalized("NFC", name)
    assert safe_name(name) == name


@given(any_text)
def test_any_text_becomes_one_safe_component(text: str) -> None:
    """Inside any root, idempotent, within 255 bytes, never special."""
    check_name(safe_name(text))


def test_a_hundred_thousand_nasty_names_stay_inside() -> None:
    """Seeded random mixes of everything known to have broken a sanitiser."""
    rng = Random(1214)
    for _ in range(100_000):
        check_name(safe_name("".join(rng.choices(NASTY, k=rng.randrange(1, 7)))))


def telling_characters() -> Iterator[str]:
    """All characters of Unicode but the plain letters, ideographs and unassigned ones."""
    for code in range(sys.maxunicode + 1):
        char = chr(code)
        plain = unicodedata.category(char) in ("Lo", "Co", "Cn", "Cs")
        if not plain or unicodedata.normalize("NFKC", char.casefold()) != char:
            yield char


def test_every_character_of_unicode_is_safe_at_both_ends() -> None:
    """No character normalises into something forbidden, in a name or in its words."""
    for char in telling_characters():
        check_name(safe_name(char + "x" + char))
        found = words(char + "x" + char)
        assert words(" ".join(found)) == found


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Ärger & Söhne (live) [2024] #1.flac", "Ärger & Söhne (live) [2024] #1.flac"),
        ("東京　タワー.jpg", "東京　タワー.jpg"),
        ("e\u0301.txt", "\u00e9.txt"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("..\\..\\boot.ini", "_.._boot.ini"),
        ("/etc/passwd", "_etc_passwd"),
        ("C:\\autoexec.bat", "C__autoexec.bat"),
        ("file.txt:stream:$DATA", "file.txt_stream_$DATA"),
        ("a\0b\nc.txt", "a_b_c.txt"),
        ("gpj\u202e.exe", "gpj.exe"),
        ("in\u200bvisible", "invisible"),
        ("a\uff0fb\uff3cc", "a_b_c"),
        ("-rf", "rf"),
        (".bashrc", "bashrc"),
        ("~/x", "_x"),
        ("  . -~name. . ", "name"),
        ("con", "_con"),
        ("NUL.tar.gz", "_NUL.tar.gz"),
        ("Com7 .txt", "_Com7 .txt"),
        ("LPT\u00b3", "_LPT\u00b3"),
        ("console.log", "console.log"),
        ("\udcff\udcfe.mp3", "__.mp3"),
        ("", "unnamed"),
        (".", "unnamed"),
        ("..", "unnamed"),
        (" \u3000\u200b", "unnamed"),
    ],
)
def test_what_becomes_of_a_name(text: str, name: str) -> None:
    """Harmless names stay; the rest loses what is dangerous and no more."""
    assert safe_name(text) == name


def test_a_cut_name_keeps_its_extension_and_whole_characters() -> None:
    """255 bytes are counted in UTF-8, the stem gives way."""
    assert safe_name("a" * 300 + ".FLAC") == "a" * 250 + ".FLAC"
    assert safe_name("\u00e9" * 200 + ".mp3") == "\u00e9" * 125 + ".mp3"
    assert safe_name("b. " + "a" * 300) == "b. " + "a" * 252
    assert safe_name("a" * 249 + "  ..  .mp3" + "b") == "a" * 249 + ".mp3b"


def test_a_cut_that_makes_a_device_name_is_seen() -> None:
    """What is left after the cut is looked at, not what came."""
    assert safe_name("CON" + " " * 300 + ".txt") == "_CON.txt"
    assert len(safe_name("CON." + "a" * 251)) == FILE_NAME_BYTES_MAX


@given(any_text | st.lists(any_text).map("/".join))
def test_any_text_becomes_a_safe_folder(text: str) -> None:
    """A relative path within the limits whose components are safe names."""
    folder = safe_folder(text)
    components = folder.split("/") if folder else []
    assert not folder or is_inside(folder)
    assert len(components) <= PATH_DEPTH_MAX
    assert len(folder.encode()) <= STRING_BYTES_MAX
    assert components == [safe_name(component) for component in components]
    assert safe_folder(folder) == folder


@pytest.mark.parametrize(
    ("text", "folder"),
    [
        ("", ""),
        ("/", ""),
        ("../..", ""),
        ("/music//./2024/../live/", "music/2024/live"),
        ("a\\b/c", "a_b/c"),
        (".git/hooks", "git/hooks"),
        ("/".join("x" * 40), "/".join("x" * PATH_DEPTH_MAX)),
        ("/".join(["y" * 255] * 5), "/".join(["y" * 255] * 4)),
    ],
)
def test_what_becomes_of_a_folder(text: str, folder: str) -> None:
    """Empty and dotted components go; what is too deep or too long is cut at the end."""
    assert safe_folder(text) == folder


def test_the_longest_folder_is_not_cut() -> None:
    """Exactly 1,024 bytes fit."""
    folder = "/".join(["y" * 255] * 3 + ["z" * 254, "w"])
    assert len(folder) == STRING_BYTES_MAX
    assert safe_folder(folder) == folder
    assert safe_folder(folder.replace("w", "ww")) == folder.removesuffix("/w")


@given(any_text)
def test_words_of_words_are_the_same(text: str) -> None:
    """A query made of a file's words finds that file; limits hold."""
    found = words(text)
    assert words(" ".join(found)) == found
    assert len(found) == len(dict.fromkeys(found)) <= WORDS_PER_NAME_MAX
    assert all(0 < len(word) <= WORD_CHARS_MAX for word in found)


@given(st.text(st.characters(categories=["L", "M", "N", "Zs", "Cf", "Pd"]), max_size=20))
def test_a_name_is_found_as_it_was_typed(text: str) -> None:
    """What the sanitiser leaves out of a name hides none of its words."""
    assert words(safe_name("x " + text)) == words("x " + text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("_-_.!", []),
        ("01 - The_Song (Live).FLAC", ["01", "the", "song", "live", "flac"]),
        ("a b a", ["a", "b"]),
        ("Straße STRASSE", ["strasse"]),
        ("\ufb01ancé", ["fiancé"]),
        ("E\u0301tude étude", ["étude"]),
        ("music/Ärger/Übung", ["music", "ärger", "übung"]),
        ("हिन्दी गीत", ["हिन्दी", "गीत"]),
        ("می\u200cخواهم", ["میخواهم"]),  # noqa: RUF001
        ("pass\u00adword pass\u200bword", ["password"]),
        ("\u2764\ufe0f song 1\ufe0f\u20e3", ["song", "1"]),
        ("ＡＢＣ①", ["abc1"]),
        ("½", ["1", "2"]),
        ("\u0301x", ["x"]),
        ("東京タワー", ["東京", "京タ", "タワ", "ワー"]),
        ("第1話 3D映画", ["第", "1", "話", "3d", "映画"]),
        ("ที่นี่", ["ที่นี่"]),
        ("สวัสดี", ["สวั", "วัส", "สดี"]),
        ("한국어 노래", ["한국어", "노래"]),
    ],
)
def test_what_the_words_are(text: str, found: list[str]) -> None:
    """Letters and digits with their marks, folded, once each."""
    assert words(text) == found


def test_words_are_cut_and_counted() -> None:
    """128 words of 64 characters; words that are alike after the cut are one."""
    assert words("a" * 100 + " " + "a" * 99) == ["a" * WORD_CHARS_MAX]
    many = [f"w{n}" for n in range(200)]
    assert words(" ".join(many)) == many[:WORDS_PER_NAME_MAX]


def test_a_name_of_han_characters_is_indexed_to_its_end() -> None:
    """As many as a file system allows."""
    name = "".join(chr(0x4E00 + n) for n in range(FILE_NAME_BYTES_MAX // 3))
    assert words(name)[-1] == name[-2:]


@pytest.mark.parametrize(
    ("text", "last"),
    [("tower", []), ("東京タワー 2", ["ー"]), ("学", []), ("第1話", []), ("สวัสดี", ["ดี"])],
)
def test_the_last_letter_of_a_run_is_the_beginning_of_something(text: str, last: list[str]) -> None:
    """Only where there are no spaces, and not where a letter stands alone and is a word."""
    assert last_letters(text) == last


@pytest.mark.parametrize(
    ("word", "alone"), [("学", True), ("ที่", True), ("大学", False), ("a", False), ("", False)]
)
def test_what_a_lone_letter_is(word: str, alone: bool) -> None:
    """One letter with its marks, of a script without spaces."""
    assert is_lone_letter(word) is alone


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("???", "???"),
        ("---.bin", "---"),
        ("♥ ♥.mp3", "♥ ♥"),
        ("a.bin", ""),
        ("Makefile", ""),
        ("-- - .tar.gz", ""),
    ],
)
def test_a_name_without_words_is_found_by_its_symbols(name: str, found: str) -> None:
    """What stands before the extension, where that has no word."""
    assert symbols_of_name(name) == found


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("song.FLAC", "flac"),
        ("archive.tar.gz", "gz"),
        ("Makefile", ""),
        (".bashrc", ""),
        ("ends.", ""),
        ("Mr. Smith", ""),
        ("x." + "y" * 17, ""),
    ],
)
def test_extension(name: str, found: str) -> None:
    """Lower-case, without the dot, and only where it looks like one."""
    assert extension(name) == found


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.flac", "audio"),
        ("a.MKV", "video"),
        ("a.jpeg", "image"),
        ("a.pdf", "document"),
        ("a.tar.zst", "archive"),
        ("a.deb", "software"),
        ("model.safetensors", "data"),
        ("a.xyz", "other"),
        ("mp3", "other"),
    ],
)
def test_media_type(name: str, kind: str) -> None:
    """Told by the extension alone, and always one of the eight."""
    assert media_type(name) == kind
    assert kind in MEDIA_TYPES
