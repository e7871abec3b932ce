"""How a file is named to people and to BitTorrent: `sp:` ids, the info hash and magnet links.

A file is its BEP 52 root and its size; its name is only how somebody calls it. The canonical
single-file v2 torrent of (name, root, size) gives the `urn:btmh` that other programs know. The
invariant: one file has one id, and what parses here is in the one form that is written here.
Nothing is fetched and no `.torrent` is read; `common.content.metainfo` writes them.
"""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final
from urllib.parse import parse_qsl, quote

from common.content.bencode import Value, bencode
from common.content.merkle import EMPTY_ROOT, HASH_BYTES, piece_size_bytes
from common.content.webseeds import URLS_MAX, as_seed, web_seeds
from common.limits import FILE_SIZE_MAX
from common.names import safe_name

TORRENT_PIECE_BYTES_MAX: Final = 16 * 1024 * 1024  # what common BitTorrent programs accept
LINK_CHARS_MAX: Final = 8_192  # holds the longest name, escaped, and all its super-peers
LINK_FIELDS_MAX: Final = 64  # ours are 20 at most; others may add trackers and web seeds
LINK_SUPERS_MAX: Final = 16  # wild guess: a link needs a few ways in, not a host cache
SUPER_CHARS_MAX: Final = 320  # a DNS name of 253, a port and a key

_ID = re.compile(r"sp:([a-z2-7]{52})\.(0|[1-9][0-9]{0,12})")
_BTMH = re.compile(r"urn:btmh:1220([0-9a-f]{64})")  # multihash: 0x12 SHA-256, 0x20 bytes
_ROOT = re.compile(r"[0-9a-f]{64}")
_SIZE = re.compile(r"0|[1-9][0-9]{0,12}")
_SUPER = re.compile(
    r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(?P<port>[0-9]{1,5})(?:/[a-z2-7]{52})?"
)


class LinkError(ValueError):
    """A file id or a link cannot be read; the message is one sentence for a person."""


@dataclass(frozen=True, slots=True)
class Link:
    """What a magnet link says. `name` is sanitised; `supers` are HOST:PORT or HOST:PORT/KEY."""

    root: bytes
    size: int
    name: str
    supers: tuple[str, ...]
    urls: tuple[str, ...] = ()  # of the file itself on plain web servers


def file_id(root: bytes, size: int) -> str:
    """`sp:`, the root in lower-case base32 without padding, a dot and the size in bytes."""
    return f"sp:{base64.b32encode(root).decode('ascii').rstrip('=').lower()}.{size}"


def parse_file_id(text: str) -> tuple[bytes, int]:
    """The (root, size) of a file id; raises LinkError for anything `file_id` does not write."""
    match = _ID.fullmatch(text)
    if not match:
        raise LinkError("a file id is sp: and 52 characters of base32, a dot and the size")
    root, size = base64.b32decode(match[1].upper() + "===="), int(match[2])
    _check_file(root, size)
    if file_id(root, size) != text:  # 52 characters hold 4 bits more than a root
        raise LinkError("the last character of the root in this file id is wrong")
    return root, size


def torrent_piece_length(size: int) -> int:
    """The piece length of the canonical torrent in bytes: ours, but growing to 16 MiB."""
    return piece_size_bytes(size, TORRENT_PIECE_BYTES_MAX)


def info(name: str, size: int, root: bytes) -> dict[bytes, Value]:
    """The info dictionary of the canonical torrent (BEP 52); `name` as `safe_name` gives it."""
    file: dict[bytes, Value] = {b"length": size}
    if size:  # BEP 52: an empty file has no root
        file[b"pieces root"] = root
    return {
        b"file tree": {name.encode(): {b"": file}},
        b"meta version": 2,
        b"name": name.encode(),
        b"piece length": torrent_piece_length(size),
    }


def info_hash(name: str, size: int, root: bytes) -> bytes:
    """The v2 info hash of the canonical torrent (BEP 52); `name` as `safe_name` gives it."""
    return sha256(bencode(info(name, size, root))).digest()


def magnet(
    name: str, root: bytes, size: int, supers: Sequence[str] = (), urls: Sequence[str] = ()
) -> str:
    """The link of a file: a magnet URI that also tells its root and the super-peers to ask.

    `name` is passed through `safe_name`; of `supers` the first 16 are told. `urls` are web servers
    that have the file (`ws`, BEP 9 and 19); whoever gives some sees that the link is not too long.
    """
    name = safe_name(name)
    fields = [
        f"xt=urn:btmh:1220{info_hash(name, size, root).hex()}",
        f"dn={quote(name, safe='')}",
        f"xl={size}",
        f"x.root={root.hex()}",
    ]
    fields += [f"x.super={quote(address, safe=':/')}" for address in supers[:LINK_SUPERS_MAX]]
    fields += [f"ws={quote(as_seed(url, name), safe=':/')}" for url in urls]
    return "magnet:?" + "&".join(fields)


def parse_magnet(text: str) -> Link:
    """Read a link that `magnet` wrote, with fields of other programs ignored.

    Strict: `xt`, `dn`, `xl` and `x.root` once each, and the info hash must be that of the other
    three, so a link that lost or changed a character is refused. Raises LinkError.
    """
    fields = _fields(text)
    if any(xt.startswith("urn:btih:") for xt in fields.get("xt", [])) and "x.root" not in fields:
        raise LinkError(
            "it is a link of BitTorrent v1 (urn:btih), which does not name a file by its root"
        )
    xt, name = _only(fields, "xt"), _only(fields, "dn")
    length, root_hex = _only(fields, "xl"), _only(fields, "x.root")
    if not _BTMH.fullmatch(xt):
        raise LinkError("the xt of this link is not a BitTorrent v2 info hash (urn:btmh:1220...)")
    if not _SIZE.fullmatch(length):
        raise LinkError("the xl of this link is not a size in bytes")
    if not _ROOT.fullmatch(root_hex):
        raise LinkError("the x.root of this link is not 64 hexadecimal digits")
    root, size = bytes.fromhex(root_hex), int(length)
    _check_file(root, size)
    if not xt.endswith(info_hash(name, size, root).hex()):
        raise LinkError("the info hash of this link does not belong to its name, size and root")
    return Link(root, size, safe_name(name), _supers(fields), _urls(fields, safe_name(name)))


def _fields(text: str) -> dict[str, list[str]]:
    scheme, _, query = text.partition("?")
    if scheme != "magnet:" or len(text) > LINK_CHARS_MAX:
        raise LinkError(f"a link begins with magnet:? and has at most {LINK_CHARS_MAX} characters")
    try:
        pairs = parse_qsl(
            query,
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=LINK_FIELDS_MAX,
        )
    except ValueError as error:
        raise LinkError("this link is not a list of key=value fields in UTF-8") from error
    fields: dict[str, list[str]] = {}
    for key, value in pairs:
        fields.setdefault(key, []).append(value)
    return fields


def _only(fields: dict[str, list[str]], key: str) -> str:
    values = fields.get(key, [])
    if len(values) != 1:
        raise LinkError(f"this link has {len(values) or 'no'} {key} where it must have one")
    try:
        values[0].encode()
    except UnicodeEncodeError as error:
        raise LinkError(f"the {key} of this link is not text that UTF-8 can hold") from error
    return values[0]


def _supers(fields: dict[str, list[str]]) -> tuple[str, ...]:
    supers = fields.get("x.super", [])
    if len(supers) > LINK_SUPERS_MAX:
        raise LinkError(f"this link names more than {LINK_SUPERS_MAX} super-peers")
    for address in supers:
        match = _SUPER.fullmatch(address)
        if not match or len(address) > SUPER_CHARS_MAX or int(match["port"]) > 65535:
            raise LinkError(f"the x.super {address[:80]!r} of this link is not HOST:PORT")
    return tuple(supers)


def _urls(fields: dict[str, list[str]], name: str) -> tuple[str, ...]:
    """Web seeds over plain HTTP; what is none, or of another kind, is other programs' business."""
    found: dict[str, None] = {}
    for text in fields.get("ws", []):
        if text.startswith("http://"):
            try:
                found |= dict.fromkeys(web_seeds([text], name))
            except ValueError:
                continue
    return tuple(found)[:URLS_MAX]


def _check_file(root: bytes, size: int) -> None:
    if size > FILE_SIZE_MAX:
        raise LinkError(f"a file of {size} bytes is larger than the {FILE_SIZE_MAX} allowed")
    if len(root) != HASH_BYTES or (size == 0) != (root == EMPTY_ROOT):
        raise LinkError("an empty file, and no other, has a root of zeros")
