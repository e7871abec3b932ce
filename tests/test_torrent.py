"""File ids, the canonical torrent (with libtorrent as yardstick) and links."""

import base64
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.content.merkle import EMPTY_ROOT, FileHasher
from common.content.torrent import (
    LINK_CHARS_MAX,
    LINK_FIELDS_MAX,
    LINK_SUPERS_MAX,
    TORRENT_PIECE_BYTES_MAX,
    Link,
    LinkError,
    file_id,
    info_hash,
    magnet,
    parse_file_id,
    parse_magnet,
    torrent_piece_length,
)
from common.limits import FILE_SIZE_MAX

MIB = 1024 * 1024
ROOT = bytes(range(32))
SUPERS = ("192.0.2.1:1214", "[2001:db8::1]:1215", "node.example:1214/" + "a2" * 26)
LINK = magnet("Ärger & Söhne.txt", ROOT, 12, SUPERS)

roots = st.binary(min_size=32, max_size=32).filter(lambda root: root != EMPTY_ROOT)
sizes = st.integers(1, FILE_SIZE_MAX)


def write_file(path: Path, size: int) -> bytes:
    """Fill `path` with seeded bytes that differ from block to block; returns our file root."""
    hasher, rng = FileHasher(size), Random(size)
    with path.open("wb") as file:
        for at in range(0, size, MIB):
            data = rng.randbytes(min(MIB, size - at))
            file.write(data)
            hasher.update(data)
    return hasher.finish().root


@pytest.mark.parametrize(
    "size", [1, 16383, 16384, 16385, MIB - 1, MIB, MIB + 1, 100 * MIB, 100 * MIB + 1]
)
def test_root_and_info_hash_are_those_of_libtorrent(tmp_path: Path, size: int) -> None:
    """The reference engine makes the same v2 torrent of the same file."""
    libtorrent = pytest.importorskip("libtorrent")
    name = "Ärger.bin"
    root = write_file(tmp_path / name, size)
    entry = libtorrent.create_file_entry(name, size)
    creator = libtorrent.create_torrent(
        [entry], torrent_piece_length(size), libtorrent.create_torrent.v2_only
    )
    libtorrent.set_piece_hashes(creator, str(tmp_path))
    torrent = creator.generate()
    theirs = torrent[b"info"][b"file tree"][name.encode()][b""]
    assert theirs == {b"length": size, b"pieces root": root}
    info = libtorrent.torrent_info(torrent)
    assert info_hash(name, size, root) == info.info_hashes().v2.to_bytes()


def test_an_empty_file_has_no_root_in_its_torrent() -> None:
    """BEP 52 leaves `pieces root` out (libtorrent makes no torrent of nothing at all)."""
    assert info_hash("empty", 0, EMPTY_ROOT) == info_hash("empty", 0, b"never looked at")
    assert parse_magnet(magnet("empty", EMPTY_ROOT, 0)) == Link(EMPTY_ROOT, 0, "empty", ())


@given(sizes)
def test_torrent_pieces_are_at_most_2048_or_16_mib(size: int) -> None:
    """The canonical piece length is the smallest that gives 2,048 pieces, up to 16 MiB."""
    length = torrent_piece_length(size)
    assert length.bit_count() == 1
    assert 16384 <= length <= TORRENT_PIECE_BYTES_MAX
    assert size <= 2048 * length or length == TORRENT_PIECE_BYTES_MAX
    assert length == 16384 or size > 2048 * length // 2


@given(roots, sizes)
def test_file_ids_come_back(root: bytes, size: int) -> None:
    """What is written can be read, and has one form."""
    text = file_id(root, size)
    assert text == text.lower()
    assert parse_file_id(text) == (root, size)


def test_a_file_id_looks_as_documented() -> None:
    """`sp:`, 52 characters of base32, a dot, the size."""
    assert file_id(bytes(32), 0) == "sp:" + "a" * 52 + ".0"
    assert parse_file_id("sp:" + "a" * 52 + ".0") == (EMPTY_ROOT, 0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sp:",
        file_id(ROOT, 5).upper(),
        file_id(ROOT, 5) + " ",
        file_id(ROOT, 5) + "\n",
        file_id(ROOT, 5)[3:],
        "sp:" + "a" * 51 + "b.5",
        "sp:" + "b" * 51 + ".5",
        "sp:" + "b" * 53 + ".5",
        "sp:" + "1" * 52 + ".5",
        file_id(ROOT, FILE_SIZE_MAX + 1),
        file_id(ROOT, 0),
        file_id(EMPTY_ROOT, 7),
        file_id(ROOT, 7).replace(".7", ".07"),
        file_id(ROOT, 7).replace(".7", ".-7"),
        file_id(ROOT, 7).replace(".7", ".٧"),  # noqa: RUF001
        file_id(ROOT, 7) + "0" * 10_000,
    ],
)
def test_other_file_ids_are_refused(text: str) -> None:
    """One file, one id: no other spelling, no impossible size or root."""
    with pytest.raises(LinkError):
        parse_file_id(text)


@given(
    st.text(max_size=300),
    roots,
    sizes,
    st.lists(st.sampled_from(SUPERS), max_size=LINK_SUPERS_MAX),
)
def test_links_come_back(name: str, root: bytes, size: int, supers: list[str]) -> None:
    """Any name, once sanitised, travels in a link unchanged, and so does the rest."""
    link = parse_magnet(magnet(name, root, size, supers))
    assert (link.root, link.size, link.supers) == (root, size, tuple(supers))
    assert magnet(link.name, root, size, supers) == magnet(name, root, size, supers)


def test_a_link_looks_as_documented() -> None:
    """A magnet URI that other programs understand, with our two fields at the end."""
    assert magnet("a b+c&d.txt", ROOT, 12, ["[::1]:1214"]) == (
        f"magnet:?xt=urn:btmh:1220{info_hash('a b+c&d.txt', 12, ROOT).hex()}"
        f"&dn=a%20b%2Bc%26d.txt&xl=12&x.root={ROOT.hex()}&x.super=%5B::1%5D:1214"
    )


def test_the_longest_link_is_within_its_own_limit() -> None:
    """255 escaped bytes of name and 16 long super-peers can still be read."""
    host = ".".join(["a" * 63] * 4)[:253]
    supers = [f"{host}:65535/{'a' * 52}"] * LINK_SUPERS_MAX
    text = magnet("é" * 127, ROOT, FILE_SIZE_MAX, [*supers, "one:2"])
    assert len(text) <= LINK_CHARS_MAX
    assert parse_magnet(text).supers == tuple(supers)


def test_fields_of_other_programs_are_ignored() -> None:
    """Trackers and web seeds do no harm."""
    assert parse_magnet(LINK + "&tr=http%3A%2F%2Fa%2Fb&tr=x&ws=") == parse_magnet(LINK)


def test_a_hostile_name_in_a_link_is_sanitised() -> None:
    """A link whose hash fits a name like ../x still gives a plain name."""
    name = "../../etc/passwd"
    text = (
        f"magnet:?xt=urn:btmh:1220{info_hash(name, 12, ROOT).hex()}"
        f"&dn={name}&xl=12&x.root={ROOT.hex()}"
    )
    assert parse_magnet(text).name == "_.._etc_passwd"


def replaced(key: str, value: str) -> str:
    """LINK with the value of one field replaced."""
    fields = LINK.removeprefix("magnet:?").split("&")
    return "magnet:?" + "&".join(
        f"{key}={value}" if field.startswith(key + "=") else field for field in fields
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "begins with magnet:"),
        ("http://example.org/", "begins with magnet:"),
        ("magnet:?", "no xt"),
        (LINK + "&" + "x" * LINK_CHARS_MAX, "at most"),
        (LINK + "&nothing", "key=value"),
        (LINK + "&a=b" * LINK_FIELDS_MAX, "key=value"),
        (replaced("dn", "%FF"), "key=value"),
        (replaced("dn", "\ud800"), "UTF-8"),
        (replaced("xt", "urn:btih:" + "0" * 40), "xt"),
        (replaced("xt", "urn:btmh:1220" + "0" * 64), "does not belong"),
        (f"magnet:?xt=urn:btih:{'a' * 40}&dn=x&tr=http%3A%2F%2Fa", "BitTorrent v1"),
        (replaced("dn", "other"), "does not belong"),
        (replaced("xl", "13"), "does not belong"),
        (replaced("xl", "012"), "xl"),
        (replaced("xl", "-1"), "xl"),
        (replaced("xl", "0"), "zeros"),
        (replaced("xl", str(FILE_SIZE_MAX + 1)), "larger"),
        (replaced("x.root", "0" * 64), "zeros"),
        (replaced("x.root", ROOT.hex().upper()), "x.root"),
        (replaced("other", "") + "&xl=12", "2 xl"),
        (LINK.replace("&xl=12", ""), "no xl"),
        (LINK.replace("&dn=", "&nd="), "no dn"),
        (LINK + "&x.super=host", "HOST:PORT"),
        (LINK + "&x.super=host:65536", "HOST:PORT"),
        (LINK + "&x.super=a%20b:1", "HOST:PORT"),
        (LINK + "&x.super=%0A:1", "HOST:PORT"),
        (LINK + "&x.super=" + "a" * 400 + ":1", "HOST:PORT"),
        (LINK + "&x.super=a:1" * LINK_SUPERS_MAX, "super-peers"),
    ],
)
def test_other_links_are_refused_with_one_sentence(text: str, why: str) -> None:
    """Each mistake has its own sentence for the person who pasted the link."""
    with pytest.raises(LinkError, match=why) as caught:
        parse_magnet(text)
    assert "\n" not in str(caught.value)


@given(st.text(max_size=200), st.integers(0, len(LINK)))
def test_random_text_in_or_for_a_link_raises_nothing_else(text: str, at: int) -> None:
    """Only LinkError leaves the parsers."""
    for candidate in (text, "magnet:?" + text, LINK[:at] + text + LINK[at:], "sp:" + text):
        for parse in (parse_magnet, parse_file_id):
            try:
                parse(candidate)
            except LinkError:
                continue


def test_ids_hold_the_bytes_of_the_root() -> None:
    """Any base32 decoder gets the root back."""
    text = file_id(ROOT, 9).removeprefix("sp:").partition(".")[0]
    assert base64.b32decode(text.upper() + "====") == ROOT
