"""The `.torrent` file of a shared file: BitTorrent v2 (BEP 52) for a single file.

Its info dictionary is that of `common.content.torrent`, so the info hash is the one in our links;
the piece layers beside it let another program prove each piece. Web seeds (BEP 19) stand outside of
what is hashed. The invariant: info dictionary and piece layers are byte for byte what libtorrent
makes for the same name and piece length, and nothing in the file tells who made it or when.
"""

from collections.abc import Sequence

from common.content.bencode import Value, bencode
from common.content.merkle import FileTree, coarser_layer
from common.content.torrent import info, torrent_piece_length
from common.content.webseeds import as_seed
from common.names import safe_name


def torrent_file(name: str, tree: FileTree, urls: Sequence[str] = ()) -> bytes:
    """The bytes of a `.torrent` file; `name` is passed through `safe_name`.

    `urls` are web servers that have it, each the file itself. A file of one piece has no piece
    layer: its root says it all.
    """
    name = safe_name(name)
    layer = coarser_layer(tree.layer, tree.size, torrent_piece_length(tree.size))
    layers: dict[bytes, Value] = {tree.root: layer} if layer else {}
    torrent: dict[bytes, Value] = {
        b"info": info(name, tree.size, tree.root),
        b"piece layers": layers,
    }
    if urls:
        seeds = [as_seed(url, name).encode() for url in urls]
        torrent[b"url-list"] = seeds if len(seeds) > 1 else seeds[0]  # as libtorrent writes it
    return bencode(torrent)
