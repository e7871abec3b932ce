"""Every worked example of PROTOCOL.md is what the code computes."""

import re
import zlib
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from pyroaring import BitMap

from common import wire
from common.content import merkle
from common.content.catalogue import Catalogue, Entry, slot_hash, statement
from common.content.torrent import file_id, info_hash, magnet
from common.digest import pack_places, place_of_root, place_of_word
from common.digest import statement as statement_of_digest
from common.ids import Identity, curve_key, is_signed, node_text
from common.limits import DIGEST_BITS_MAX
from common.meeting import padded_ping
from common.messages.cluster import Forget
from common.messages.fields import Message
from common.messages.link import Bye, Echo
from common.messages.overlay import Query, QueryBody, query_guid
from common.names import extension, safe_name, words
from common.network import Network
from common.terms import Terms
from superpeer.overlay.reach import Reach, nearby, short_id

TEXT = (Path(__file__).parent.parent / "PROTOCOL.md").read_text(encoding="utf-8")

FIRST = Identity(bytes(range(32)))
SECOND = Identity(bytes(range(32, 64)))
GUID = bytes(range(16))
LAB = Network("lab", b"0123456789abcdef")
ENTRIES = (
    Entry(b"\xaa" * 32, 123456, "Die Forelle.flac", "Schubert/Lieder", 1_700_000_000),
    Entry(b"\xbb" * 32, 1, "Grüße.txt", "", 0),
    Entry(b"\xcc" * 32, 2**40, "x", "y", 1),
)


def content(size: int) -> bytes:
    """The bytes of an example's file: 0, 1, ... 250, 0, ..."""
    return bytes([at % 251 for at in range(size)])


def tree_of(size: int) -> merkle.FileTree:
    """The tree of an example's file."""
    hasher = merkle.FileHasher(size)
    hasher.update(content(size))
    return hasher.finish()


def frame(*messages: Message) -> str:
    """These messages as one frame."""
    return wire.frame([wire.encode(message) for message in messages]).hex()


def frames() -> dict[str, str]:
    """Whole frames."""
    body = wire.pack(QueryBody(10, Terms(("forelle",), extensions=("flac",))))
    ping = bytes.fromhex(frame(padded_ping(GUID, Network("lab"))))
    return {
        "Echo(1000000, 900000, 50)": frame(Echo(1_000_000, 900_000, 50)),
        'Bye("x"), Forget(guid)': frame(Bye("x"), Forget(GUID)),
        "a QueryBody": body.hex(),
        "its GUID, with guid as nonce": query_guid(GUID, body).hex(),
        "a Query around it": frame(Query(query_guid(GUID, body), GUID, 1, 2, body)),
        "a ping, first 32 bytes": ping[:32].hex(),
        "a ping, its length": str(len(ping)),
    }


def identity() -> dict[str, str]:
    """A node's keys."""
    return {
        "seed": bytes(range(32)).hex(),
        "node": FIRST.node.hex(),
        "node as text": node_text(FIRST.node),
        "CURVE public key": curve_key(FIRST.node).hex(),
        "CURVE secret key": FIRST.curve_secret.hex(),
    }


def proof() -> dict[str, str]:
    """What both ends of a link in a closed network show."""
    ends = (FIRST.curve_public, SECOND.curve_public)
    name = b"lab"
    parts = (b"superpeer-hello-1", b"dialler", name, *ends)
    message = b"".join(len(part).to_bytes(2, "big") + part for part in parts)
    return {
        "network key": LAB.key.hex(),
        "dialler": ends[0].hex(),
        "acceptor": ends[1].hex(),
        "message of the dialler": message.hex(),
        "proof of the dialler": LAB.proof(*ends, by_dialler=True).hex(),
        "proof of the acceptor": LAB.proof(*ends, by_dialler=False).hex(),
    }


def digests() -> dict[str, str]:
    """A word and a content in a digest of 14 bits, and who signs it."""
    word, root = place_of_word("forelle"), place_of_root(b"\xaa" * 32)
    cut = DIGEST_BITS_MAX - 14
    places = BitMap([word >> cut, root >> cut])
    said = statement_of_digest("lab", 14, places)
    return {
        'place of the word "forelle", of 26 bits': str(word),
        "place of the root aa..., of 26 bits": str(root),
        "both in 14 bits": " ".join(map(str, places)),
        "differences, inflated": zlib.decompress(pack_places(places)).hex(),
        "statement": said.hex(),
        "signature": FIRST.sign(said).hex(),
    }


def ids() -> dict[str, str]:
    """Two super-peers, one of them covered."""
    reach = Reach()
    reach.know([short_id(SECOND.node)])
    reach.cover([short_id(FIRST.node)])
    return {
        "id of the node above": nearby([short_id(FIRST.node)]).hex(),
        "it is covered, another is not": wire.pack(reach.extent()).hex(),
    }


def catalogue() -> dict[str, str]:
    """Three entries in slots 0, 1 and 2."""
    slots = Catalogue()
    for slot, entry in enumerate(ENTRIES):
        slots.put(slot, entry)
    root = slots.root()
    said = statement("lab", FIRST.node, 5, root)
    signature = FIRST.sign(said)
    assert is_signed(FIRST.node, said, signature)
    return {
        **{f"slot hash {slot}": slot_hash(entry).hex() for slot, entry in enumerate(ENTRIES)},
        "root": root.hex(),
        "proof of slot 1, lowest": slots.proof(1)[0].hex(),
        "proof of slot 1, next": slots.proof(1)[1].hex(),
        "statement": said.hex(),
        "signature": signature.hex(),
    }


def file_tree() -> dict[str, str]:
    """Files of a byte, of one block and a byte, and of three pieces."""
    three = tree_of(40_000)
    hashes = {
        f"piece hash {at}": three.layer[at * 32 : at * 32 + 32].hex()
        for at in range(merkle.piece_count(40_000))
    }
    uncles = merkle.layer_proof(three.layer, 40_000, 0, 2)
    return {
        "root of 1 byte": tree_of(1).root.hex(),
        "root of 16,385 bytes": tree_of(16_385).root.hex(),
        **hashes,
        "root of 40,000 bytes": three.root.hex(),
        "uncle of pieces 0 and 1": "".join(uncle.hex() for uncle in uncles),
        "padding piece of 32 KiB": sha256(bytes(64)).hexdigest(),
    }


def names_of_files() -> dict[str, str]:
    """The file of 40,000 bytes as it is named."""
    root = tree_of(40_000).root
    return {
        "id": file_id(root, 40_000),
        "info hash": info_hash("a b.bin", 40_000, root).hex(),
        "link": magnet("a b.bin", root, 40_000, ("192.0.2.1:1214",)),
    }


def texts() -> dict[str, str]:
    """What becomes of names."""
    return {
        'words("Die Forelle (live) - 2nd_take.FLAC")': " ".join(
            words("Die Forelle (live) - 2nd_take.FLAC")
        ),
        'words("STRASSE Straße ﬁn")': " ".join(words("STRASSE Straße ﬁn")),
        'extension("a.tar.GZ")': extension("a.tar.GZ"),
        'safe_name("../etc/passwd")': safe_name("../etc/passwd"),
        'safe_name("con.txt")': safe_name("con.txt"),
    }


EXAMPLES: dict[str, Callable[[], dict[str, str]]] = {
    "frames": frames,
    "identity": identity,
    "proof": proof,
    "digests": digests,
    "ids": ids,
    "catalogue": catalogue,
    "file tree": file_tree,
    "names of files": names_of_files,
    "texts": texts,
}


def said_in(name: str) -> dict[str, str]:
    """The `key = value` lines of an example's block; a value may go on on indented lines."""
    found = re.search(rf"^```text example: {name}\n(.*?)^```$", TEXT, re.M | re.S)
    assert found, f"PROTOCOL.md has no example {name!r}"
    pairs = [line.split(" = ", 1) for line in found[1].replace("\n    ", "").splitlines()]
    return {key.strip(): value for key, value in pairs}


@pytest.mark.parametrize("name", EXAMPLES)
def test_worked_examples(name: str) -> None:
    """Every value of an example is what the code computes."""
    assert said_in(name) == EXAMPLES[name]()
