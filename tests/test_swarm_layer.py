"""The piece layer of a download, in ranges, proven before it is believed."""

from random import Random

from common.content.merkle import HASH_BYTES, LayerTree, layer_root, piece_count
from common.limits import TREE_HASHES_MAX
from common.messages.swarm import TreeHashes, TreeRequest
from leaf.swarm.layer import LayerFetch

SIZE = 40_000 * 1024 * 1024  # pieces of 1 MiB: three ranges


def wide_layer() -> tuple[bytes, LayerTree, bytes]:
    """A layer that does not fit into one answer."""
    layer = Random(1).randbytes(piece_count(SIZE) * HASH_BYTES)
    return layer, LayerTree(layer, SIZE), layer_root(layer, SIZE)


def answer(layer: bytes, tree: LayerTree, asked: TreeRequest) -> tuple[TreeHashes, bytes]:
    """What an honest holder sends."""
    hashes = layer[asked.first * HASH_BYTES : (asked.first + asked.count) * HASH_BYTES]
    return TreeHashes(asked.root, asked.first, tree.proof(asked.first, asked.count)), hashes


def test_ranges_of_several_leaves_make_the_layer() -> None:
    """Each leaf is asked for another range; together they are the layer."""
    layer, tree, root = wide_layer()
    fetch = LayerFetch(root, SIZE, b"", 2.0)
    asked = {peer: fetch.ask(peer, 0.0) for peer in (b"a", b"b", b"c")}
    assert [each.first for each in asked.values() if each] == [0, TREE_HASHES_MAX, 32768]
    assert fetch.ask(b"a", 0.0) is None
    assert fetch.ask(b"d", 0.0) is None
    for peer, request in asked.items():
        assert request is not None
        assert not fetch.complete
        assert fetch.take(peer, *answer(layer, tree, request))
    assert fetch.complete
    assert fetch.layer == layer


def test_only_proven_hashes_of_the_one_asked_count() -> None:
    """Wrong hashes, a wrong range or a wrong sender are refused, and the range is asked again."""
    layer, tree, root = wide_layer()
    fetch = LayerFetch(root, SIZE, b"", 2.0)
    request = fetch.ask(b"a", 0.0)
    assert request is not None
    message, hashes = answer(layer, tree, request)
    assert not fetch.take(b"b", message, hashes)
    assert not fetch.take(b"a", message, bytes(len(hashes)))
    again = fetch.ask(b"b", 0.0)
    assert again == request
    fetch.give_back(b"b")
    assert not fetch.owes(b"b")
    assert fetch.ask(b"c", 0.0) == request
    assert fetch.take(b"c", message, hashes)


def test_one_piece_needs_no_layer() -> None:
    """The root of a file of one piece, or of none, says it all."""
    for size in (0, 1, 16384):
        fetch = LayerFetch(bytes(32), size, b"", 2.0)
        assert fetch.complete
        assert fetch.layer == b""
        assert fetch.ask(b"a", 0.0) is None
