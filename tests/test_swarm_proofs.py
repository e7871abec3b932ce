"""Piece hashes: a short line, answers by turns, and hashes that count like all other content."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from common.content.merkle import HASH_BYTES, piece_count
from common.core import Effect, Received, Send, Sent
from common.messages.swarm import (
    Interested,
    NotInterested,
    Piece,
    Reject,
    Request,
    TreeHashes,
    TreeRequest,
)
from common.storage import FilesShared
from leaf.swarm.layer import AGAIN_S
from leaf.swarm.requests import ENDGAME_SHARE
from leaf.uploads.budget import BYTES_MIN
from leaf.uploads.proofs import LINE_BYTES_MAX, Proofs
from tests.memory_disk import shared, tree_of
from tests.test_swarm_fetch import CONFIG, TREE, A, B, Fetching, requests
from tests.test_swarm_fetch import ROOT as FILE
from tests.test_swarm_upload import Serving

SIZE = 256 * 16384
WHOLE = 256 * HASH_BYTES  # its layer
ROOT = b"r" * 32
PLACES = LINE_BYTES_MAX // WHOLE
BIG = Random(4).randbytes(4 * 2**20)
BIG_TREE = tree_of(BIG)
BIG_ROOT = BIG_TREE.root
BIG_PIECES = piece_count(len(BIG))
CROWD = [bytes((number,)) * 32 for number in range(1, 41)]


def test_the_line_is_short_and_each_leaf_has_one_place() -> None:
    """Who finds it full has none; one answer has room in any case."""
    proofs, whole = Proofs(), TreeRequest(ROOT, 0, 256)
    assert [proofs.join(peer, whole, SIZE) for peer in CROWD] == [
        *[True] * PLACES,
        *[False] * (len(CROWD) - PLACES),
    ]
    assert proofs.waiting_bytes(CROWD[0], ROOT) == WHOLE
    proofs.leave(CROWD[0])
    assert not proofs.join(CROWD[1], TreeRequest(ROOT, 0, 1), SIZE)
    assert proofs.join(CROWD[0], whole, SIZE)
    assert Proofs().join(CROWD[0], TreeRequest(ROOT, 0, 16384), 2**40)


@given(st.lists(st.tuples(st.sampled_from(CROWD), st.booleans()), max_size=200))
def test_the_line_is_what_joined_and_did_not_leave(steps: list[tuple[bytes, bool]]) -> None:
    """Whoever comes and goes in whichever order, it never holds more than its limit."""
    proofs, there = Proofs(), dict[bytes, None]()
    for peer, comes in steps:
        if comes:
            has_room = len(there) < PLACES and peer not in there
            assert proofs.join(peer, TreeRequest(ROOT, 0, 256), SIZE) == has_room
            if has_room:
                there[peer] = None
        else:
            assert (proofs.leave(peer) is not None) == (peer in there)
            there.pop(peer, None)
        assert proofs._line_bytes == len(there) * WHOLE <= LINE_BYTES_MAX


def crowded(serving: Serving) -> None:
    """Forty leaves want a file whose link takes nothing yet."""
    serving.disk._layers[BIG_ROOT] = BIG_TREE.layer
    serving.library.handle(FilesShared((shared("big.bin", BIG),)), 0.0)
    for peer in CROWD:
        serving.says(peer, Interested(BIG_ROOT, len(BIG)))


def answers(effects: list[Effect], kind: type) -> list[bytes]:
    """Who is sent a message of this kind."""
    return [each.peer for each in effects if isinstance(each, Send) and type(each.message) is kind]


def test_what_is_on_its_way_is_bounded_and_who_finds_no_place_is_told() -> None:
    """Hashes wait for their turn like pieces, and who gets none hears that at once."""
    serving = Serving(slots=64)
    crowded(serving)
    effects: list[Effect] = []
    for peer in CROWD:
        effects += serving.says(peer, TreeRequest(BIG_ROOT, 0, BIG_PIECES))
    refused = answers(effects, Reject)
    sent = answers(serving.read(effects), TreeHashes)
    layer_bytes = BIG_PIECES * HASH_BYTES
    assert len(sent) == BYTES_MIN // layer_bytes  # before it is known what the links take
    assert len(refused) == len(CROWD) - len(sent) - LINE_BYTES_MAX // layer_bytes
    assert set(sent).isdisjoint(refused)
    more = serving.feed(Sent(sent[0], layer_bytes), 1.0)
    assert answers(more, TreeHashes) and set(answers(more, TreeHashes)).isdisjoint(sent + refused)


def test_who_asks_for_pieces_has_the_hashes_and_who_wants_nothing_needs_none() -> None:
    """Their places in the line are for others."""
    serving = Serving(slots=64)
    serving.links.caps.up.change(1.0, 0.0)  # nothing passes
    crowded(serving)
    first, second, third = CROWD[:3]
    for peer in (first, second, third):
        assert answers(serving.says(peer, TreeRequest(BIG_ROOT, 0, BIG_PIECES)), Reject) == []
    serving.says(second, Request(BIG_ROOT, 0, 16384))
    serving.says(third, NotInterested(BIG_ROOT))
    serving.feed(Received(first, TreeRequest(BIG_ROOT, 0, BIG_PIECES)), 0.0)
    proofs = serving.uploads._proofs
    assert [proofs.waiting_bytes(peer, BIG_ROOT) > 0 for peer in CROWD[:3]] == [True, False, False]


def test_hashes_count_under_the_cap() -> None:
    """While they are paid for no piece passes."""
    serving = Serving(slots=64)
    crowded(serving)
    rate = BIG_PIECES * HASH_BYTES  # a layer a second
    serving.links.caps.up.change(float(rate), 0.0)
    first, second = CROWD[:2]
    effects = serving.says(first, TreeRequest(BIG_ROOT, 0, BIG_PIECES))
    assert not serving.read(effects)
    assert serving.uploads.wakeup() is not None
    effects += serving.says(second, Request(BIG_ROOT, 0, 16384))
    assert not answers(effects, Piece)
    assert serving.uploads._outlet.opens_at == 1.0


def test_who_is_asked_for_hashes_by_too_many_is_asked_again_a_little_later() -> None:
    """And another at once, which may have them by now; nobody is given up for it."""
    fetching = Fetching(layer=b"")
    ask = TreeRequest(FILE, 0, 256)
    assert Send(A, ask) in fetching.ready(A)
    assert fetching.hears(A, Reject(FILE, "too_many")) == []
    assert Send(A, ask) in fetching.wait(AGAIN_S)
    assert Send(B, ask) not in fetching.ready(B)  # A may have it for us soon
    assert Send(B, ask) in fetching.hears(A, Reject(FILE, "too_many"))
    assert fetching.wait(AGAIN_S) == []
    effects = fetching.hears(B, TreeHashes(FILE, 0), TREE.layer)
    assert requests(effects, A) and requests(effects, B)


def test_a_refusal_that_comes_late_costs_no_source() -> None:
    """Another brought the hashes meanwhile: who had too much to do has the pieces all the same."""
    fetching = Fetching(layer=b"")
    ask = TreeRequest(FILE, 0, 256)
    assert Send(A, ask) in fetching.ready(A)
    fetching.ready(B)
    assert Send(B, ask) in fetching.wait(CONFIG.request_s * ENDGAME_SHARE)
    fetching.hears(B, TreeHashes(FILE, 0), TREE.layer)
    assert fetching.hears(A, Reject(FILE, "too_many")) == []
    source = fetching.core.sources.get(A)
    assert source is not None
    assert source.requests
