"""Metalinks: read back by an XML parser of others, hashes by hashlib."""

from hashlib import sha256
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from common.content.metalink import PlainHasher, PlainHashes, metalink
from common.names import safe_name

SPACE = "{urn:ietf:params:xml:ns:metalink}"
LINK = "magnet:?xt=urn:btmh:1220ab&dn=a"


def hashes_of(data: bytes, cuts: int = 1) -> PlainHashes:
    """Fed in buffers of an odd length."""
    hasher, step = PlainHasher(len(data)), max(1, len(data) // cuts)
    for at in range(0, len(data), step):
        hasher.update(data[at : at + step])
    return hasher.finish()


def read(text: str) -> ElementTree.Element:
    """The one file of a document."""
    (file,) = ElementTree.fromstring(text.encode())
    assert file.tag == f"{SPACE}file"
    return file


@given(st.integers(0, 200_000), st.integers(1, 50))
def test_hashes_are_those_of_the_file_and_its_pieces(size: int, cuts: int) -> None:
    """Empty, one byte, whole pieces and a rest, however the bytes come."""
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)
    hashes = hashes_of(data, cuts)
    pieces = [data[at : at + 16384] for at in range(0, size, 16384)]
    assert hashes.piece_bytes == 16384
    assert hashes.whole == sha256(data).digest()
    assert hashes.pieces == tuple(sha256(piece).digest() for piece in pieces)


def test_a_metalink_has_what_aria2_needs() -> None:
    """Name, size, hash, pieces with their length, and URLs in the order they were given."""
    data = b"x" * 20_000
    text = metalink("Ärger & <b>.bin", len(data), hashes_of(data), ["http://a/?b=1&c=2", "u"], LINK)
    file = read(text)
    pieces = file.find(f"{SPACE}pieces")
    assert file.get("name") == "Ärger & <b>.bin"
    assert file.findtext(f"{SPACE}size") == "20000"
    assert file.findtext(f"{SPACE}hash") == sha256(data).hexdigest()
    assert pieces is not None
    assert pieces.attrib == {"type": "sha-256", "length": "16384"}
    assert [each.text for each in pieces] == [
        sha256(data[:16384]).hexdigest(),
        sha256(data[16384:]).hexdigest(),
    ]
    assert [each.text for each in file.findall(f"{SPACE}url")] == ["http://a/?b=1&c=2", "u"]
    assert file.find(f"{SPACE}metaurl") is None


def test_without_a_url_the_link_is_the_way() -> None:
    """RFC 5854 wants one; an empty file has no pieces."""
    file = read(metalink("a", 0, hashes_of(b""), [], LINK))
    metaurl = file.find(f"{SPACE}metaurl")
    assert metaurl is not None
    assert (metaurl.text, metaurl.get("mediatype")) == (LINK, "application/x-bittorrent")
    assert file.find(f"{SPACE}pieces") is None
    assert file.findtext(f"{SPACE}hash") == sha256().hexdigest()


@given(st.text(max_size=60))
def test_any_name_makes_a_document_that_can_be_read(name: str) -> None:
    """No name adds an element or breaks the text."""
    file = read(metalink(name, 0, hashes_of(b""), ["http://a/b"], LINK))
    forbidden = str.maketrans({"\ufffe": "_", "\uffff": "_"})
    assert file.get("name") == safe_name(name).translate(forbidden)
    assert [each.tag.removeprefix(SPACE) for each in file] == ["size", "hash", "url"]
