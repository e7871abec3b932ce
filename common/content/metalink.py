"""The Metalink (RFC 5854) of a file: where it is on the web, and plain SHA-256 hashes to prove it.

Programs that know no Merkle tree (aria2 is one) check the hash of the whole file and of each piece.
`PlainHasher` makes those hashes while the file is read once. A name or URL is escaped, so that no
file can add an element of its own. Nothing is fetched and no Metalink is read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from common.content.merkle import Buffer
from common.content.torrent import torrent_piece_length
from common.names import safe_name

TORRENT_TYPE: Final = "application/x-bittorrent"

_ESCAPES: Final = {
    **{ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;", ord('"'): "&quot;"},
    **dict.fromkeys((*range(0x20), 0xFFFE, 0xFFFF), "_"),  # XML 1.0 has no way to write them
}


@dataclass(frozen=True, slots=True)
class PlainHashes:
    """SHA-256 of a whole file, and of each of its pieces of `piece_bytes`, the last one shorter."""

    whole: bytes
    pieces: tuple[bytes, ...]
    piece_bytes: int


class PlainHasher:
    """Takes the bytes of a file of known size in order."""

    def __init__(self, size: int) -> None:
        self._piece_bytes = torrent_piece_length(size)
        self._whole = sha256()
        self._piece = sha256()
        self._left = self._piece_bytes  # of the piece that was begun
        self._pieces: list[bytes] = []

    def update(self, buffer: Buffer) -> None:
        """Take the next bytes."""
        view = memoryview(buffer).cast("B")
        self._whole.update(view)
        while len(view):
            part = view[: self._left]
            self._piece.update(part)
            self._left -= len(part)
            view = view[len(part) :]
            if not self._left:
                self._end_piece()

    def finish(self) -> PlainHashes:
        """The hashes, once all bytes came."""
        if self._left < self._piece_bytes:
            self._end_piece()
        return PlainHashes(self._whole.digest(), tuple(self._pieces), self._piece_bytes)

    def _end_piece(self) -> None:
        self._pieces.append(self._piece.digest())
        self._piece, self._left = sha256(), self._piece_bytes


def metalink(name: str, size: int, hashes: PlainHashes, urls: Sequence[str], magnet: str) -> str:
    """The document; `name` is passed through `safe_name`.

    RFC 5854 (4.1.2.6) wants at least one way to the file: without `urls` that is `magnet`, the
    file's link, as a metaurl. With some it is left out, as programs that know only v1 torrents
    would try it first.
    """
    ways = [f"<url>{_escaped(url)}</url>" for url in urls] or [
        f'<metaurl mediatype="{TORRENT_TYPE}">{_escaped(magnet)}</metaurl>'
    ]
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<metalink xmlns="urn:ietf:params:xml:ns:metalink">',
        f'  <file name="{_escaped(safe_name(name))}">',
        f"    <size>{size}</size>",
        f'    <hash type="sha-256">{hashes.whole.hex()}</hash>',
        *_pieces(hashes),
        *[f"    {way}" for way in ways],
        "  </file>",
        "</metalink>",
    ]
    return "\n".join(lines) + "\n"


def _pieces(hashes: PlainHashes) -> list[str]:
    """An empty file has none, and RFC 5854 no way to say so."""
    if not hashes.pieces:
        return []
    head = f'    <pieces type="sha-256" length="{hashes.piece_bytes}">'
    return [head, *[f"      <hash>{each.hex()}</hash>" for each in hashes.pieces], "    </pieces>"]


def _escaped(text: str) -> str:
    return text.translate(_ESCAPES)
