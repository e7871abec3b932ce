"""Neighbours know what each other has and leads to, and rule out nothing that is there."""

import itertools
from collections import deque
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap

from common import wire
from common.config import DigestConfig
from common.core import Effect, Hangup, Send
from common.digest import CountedPlaces, fullest, pack_places, statement
from common.ids import Identity
from common.limits import CONTROL_FRAME_BYTES_MAX, DEGREE_MAX, DIGEST_BITS_MAX
from common.messages.overlay import Patch, Patches
from superpeer.digests import copies, digests
from superpeer.digests.copies import WAITING_BYTES_MAX, Copy, patch_bytes, reading_pace
from superpeer.digests.digests import LAG_MAX, Digests

KEYS = [Identity(bytes([number]) * 32) for number in range(1, 6)]
A, B, C, D, E = (identity.node for identity in KEYS)
LAB = "lab"
ONE, BITS = BitMap([1]), 14
MANY = Random(1).sample(range(6_000, 2**DIGEST_BITS_MAX - 700), 100_000)  # two messages
SETTLED_S = 60.0
FORGED = (b"x", pack_places(ONE)[:-1])


def place(number: int) -> int:
    """Where a key with this number stands: far from those of others, while the numbers are few."""
    return number * 9_973 << 12 & 2**DIGEST_BITS_MAX - 1 if number < 6_000 else number


class Net:
    """Some super-peers' digests, the links between them, and the patches under way."""

    def __init__(self) -> None:
        self.own: dict[bytes, CountedPlaces] = {}
        self.digests: dict[bytes, Digests] = {}
        self.links: dict[frozenset[bytes], None] = {}
        self.sent: list[Patches] = []
        self.now = 0.0
        for identity in KEYS:
            node = identity.node
            self.own[node] = CountedPlaces()
            self.digests[node] = Digests(identity, LAB, DigestConfig(), self.own[node])

    def link(self, one: bytes, other: bytes) -> None:
        """Two become neighbours."""
        self.links[frozenset((one, other))] = None
        self.digests[one].neighbour_linked(other, self.now)
        self.digests[other].neighbour_linked(one, self.now)

    def part(self, one: bytes, other: bytes) -> None:
        """They are neighbours no more."""
        del self.links[frozenset((one, other))]
        self.digests[one].neighbour_lost(other, self.now)
        self.digests[other].neighbour_lost(one, self.now)

    def add(self, node: bytes, *numbers: int) -> None:
        """An index gains keys."""
        for number in numbers:
            self.own[node].add(place(number))
        self.digests[node].look(self.now)

    def discard(self, node: bytes, *numbers: int) -> None:
        """An index loses keys."""
        for number in numbers:
            self.own[node].discard(place(number))
        self.digests[node].look(self.now)

    def may_have(self, node: bytes, owner: bytes, by: bytes, *numbers: int) -> bool:
        """What a node thinks that another one has."""
        places = [place(number) for number in numbers]
        return self.digests[node].may_have(owner, by, places, self.now)

    def run(self, for_s: float) -> None:
        """Let time pass; patches arrive at once."""
        until = self.now + for_s
        while True:
            times = {node: each.wakeup() for node, each in self.digests.items()}
            due = {node: when for node, when in times.items() if when is not None}
            if not due or min(due.values()) > until:
                self.now = until
                return
            node = min(due, key=lambda one: (due[one], one))
            self.now = max(self.now, due[node])
            waiting = deque((node, effect) for effect in self.digests[node].due(self.now))
            while waiting:
                sender, effect = waiting.popleft()
                assert isinstance(effect, Send)
                assert isinstance(effect.message, Patches)
                assert frozenset((sender, effect.peer)) in self.links
                self.sent.append(effect.message)
                self.digests[effect.peer].on_patches(sender, effect.message, self.now)

    def neighbours(self, node: bytes) -> list[bytes]:
        """With whom a node is linked."""
        return [other for other in self.own if frozenset((node, other)) in self.links]

    def check(self, numbers: range) -> None:
        """What each node says of its neighbours is what is so."""
        for node in self.own:
            for peer in self.neighbours(node):
                for owner in [peer, *self.neighbours(peer)]:
                    for number in numbers if owner != node else ():
                        has = place(number) in self.own[owner].places
                        assert self.may_have(node, owner, peer, number) == has


def in_line() -> Net:
    """A - B - C - D, each with the place of its number."""
    net = Net()
    for number, node in enumerate((A, B, C, D)):
        net.add(node, number)
    for one, other in ((A, B), (B, C), (C, D)):
        net.link(one, other)
    return net


def test_two_links_away_is_known_and_three_are_not() -> None:
    """A knows what B has, and by B what C has, and nothing of D."""
    net = in_line()
    net.run(SETTLED_S)
    net.check(range(5))
    assert net.may_have(A, D, B, 4)


def test_all_keys_must_be_there() -> None:
    """A query for two words spares whoever lacks one of them."""
    net = in_line()
    net.add(B, 10)
    net.run(SETTLED_S)
    assert net.may_have(A, B, B, 1, 10)
    assert not net.may_have(A, B, B, 1, 2)
    assert net.may_have(A, B, B)


def test_what_is_not_whole_rules_nothing_out() -> None:
    """Before the first patch, and between the first and the last; one link away and two."""
    net = Net()
    net.add(B, *MANY)
    net.link(A, B)
    net.link(A, C)
    assert net.may_have(A, B, B, 7)
    net.run(0.0)
    assert net.may_have(A, B, B, 7)
    assert net.may_have(C, B, A, 7)
    net.run(SETTLED_S)
    assert not net.may_have(A, B, B, 7)
    assert not net.may_have(C, B, A, 7)


def test_who_is_no_neighbour_is_not_ruled_out() -> None:
    """Nobody is spared whose digest we do not have."""
    assert Net().may_have(A, B, B, 1)


def test_a_new_file_is_known_two_links_away_in_a_moment() -> None:
    """Soon after it was shared, a search for it is led there."""
    net = in_line()
    net.run(SETTLED_S)
    net.add(C, 77)
    net.run(net.digests[C].spread_s())
    assert net.may_have(B, C, C, 77)
    assert net.may_have(A, C, B, 77)


def test_nobody_is_told_what_changes_nothing() -> None:
    """What comes and goes cancels out; what changes goes two links far, in one patch each."""
    net = in_line()
    net.run(SETTLED_S)
    net.sent.clear()
    net.add(D, 50)
    net.discard(D, 50)
    net.run(SETTLED_S)
    assert net.sent == []
    net.add(D, 51)
    net.discard(D, 3)
    net.run(SETTLED_S)
    assert [[each.owner for each in sent.patches] for sent in net.sent] == [
        [D],
        [D],
    ]  # for C, and by C for B
    net.check(range(60))


def test_a_lost_neighbour_is_told_on_no_more() -> None:
    """Who was two links away is not known any more, so nothing rules it out."""
    net = in_line()
    net.run(SETTLED_S)
    assert not net.may_have(A, C, B, 9)
    net.part(B, C)
    net.run(SETTLED_S)
    assert net.may_have(A, C, B, 9)
    net.link(B, C)
    net.run(SETTLED_S)
    net.check(range(5))


def test_a_large_digest_comes_in_frames() -> None:
    """Whatever was set and cleared at once, each patch fits."""
    net = Net()
    net.add(A, *MANY)
    net.link(A, B)
    net.run(SETTLED_S)
    net.discard(A, *MANY)
    net.add(A, *(number + 700 for number in MANY))
    net.run(SETTLED_S)
    assert len(net.sent) > 4
    assert max(len(wire.encode(each)) for each in net.sent) < CONTROL_FRAME_BYTES_MAX
    assert net.may_have(B, A, A, MANY[0] + 700)
    assert sum(net.may_have(B, A, A, number) for number in MANY) < len(MANY) // 20


def said(owner: Identity, *places: int, network: str = LAB) -> Patch:
    """A whole digest, signed by its owner."""
    digest = BitMap(places)
    signature = owner.sign(statement(network, BITS, digest))
    return Patch(owner.node, BITS, pack_places(digest), afresh=True, signature=signature)


def hung_up(effects: list[Effect]) -> list[bytes]:
    """Whom these effects part from."""
    return [effect.peer for effect in effects if isinstance(effect, Hangup)]


def hear(net: Net, *patches: Patch) -> list[bytes]:
    """B tells A; whom A parts from."""
    return hung_up(net.digests[A].on_patches(B, Patches(patches), net.now))


def test_nobody_lies_about_the_files_of_others() -> None:
    """What its owner has not signed rules nothing out, wherever it came from."""
    net = in_line()
    net.run(SETTLED_S)
    of_c = said(KEYS[2])
    lies = [
        msgspec.structs.replace(said(KEYS[1]), owner=C),
        msgspec.structs.replace(of_c, added=pack_places(BitMap([7]))),
        said(KEYS[2], network="another"),
        msgspec.structs.replace(of_c, signature=bytes(64)),
        msgspec.structs.replace(of_c, added=b"x"),
    ]
    for lie in lies:
        assert hear(net, lie) == []
        assert net.may_have(A, C, B, 9)
        assert hear(net, Patch(C, BITS, pack_places(ONE), signature=of_c.signature)) == []
        assert net.may_have(A, C, B, 9)  # nor what is built upon it
    assert hear(net, of_c) == []
    assert not net.may_have(A, C, B, 9)


@pytest.mark.parametrize(
    "lie",
    [
        {"signature": bytes(64)},
        {"signature": said(KEYS[2]).signature},
        *({field: forged} for field in ("added", "cleared") for forged in FORGED),
        {"bits": 13, "afresh": False},
    ],
)
def test_a_neighbour_that_lies_about_itself_is_parted_from(lie: dict[str, object]) -> None:
    """It is no digest, or not its own."""
    net = in_line()
    net.run(SETTLED_S)
    assert hear(net, msgspec.structs.replace(said(KEYS[1]), **lie)) == [B]
    assert net.may_have(A, B, B, 9)
    assert net.digests[A].dropped == {"digest_refused": 1}


def test_a_stranger_is_only_counted() -> None:
    """Who is no neighbour tells us nothing."""
    net = in_line()
    assert net.digests[A].on_patches(E, Patches((Patch(E, BITS, b"x"),)), 0.0) == []
    assert net.digests[A].dropped == {"digest_of_stranger": 1}


def test_a_digest_of_all_ones_is_none() -> None:
    """It would rule nothing out, and costs memory; a digest of all zeros is one like any other."""
    net = in_line()
    full = BitMap(range(fullest(BITS) + 1))
    assert hear(net, said(KEYS[2], *full)) == []
    assert net.may_have(A, C, B, 9)
    assert hear(net, said(KEYS[1], *full)) == [B]
    assert hear(net, said(KEYS[1])) == []
    assert not net.may_have(A, B, B, 9)


def test_a_neighbour_has_only_so_many_neighbours() -> None:
    """Who tells of more than anybody has is parted from; what it says of us is not looked at."""
    net = in_line()
    assert hear(net, Patch(A, BITS, b"x")) == []
    for number in range(DEGREE_MAX):
        assert hear(net, Patch(bytes([number]) * 32, BITS, pack_places(ONE), afresh=True)) == []
    assert hear(net, Patch(b"z" * 32, BITS, afresh=True)) == [B]


def test_what_nobody_asks_for_takes_little_memory() -> None:
    """Patches wait until they are needed, and only so many; what they say is not lost by it."""
    copy = Copy(C, LAB, reading_pace(0.0))
    kinds = 2 * WAITING_BYTES_MAX // patch_bytes(Patch(C, BITS))
    copy.take(Patch(C, BITS, afresh=True))
    for number in range(kinds):
        copy.take(Patch(C, BITS, pack_places(BitMap([number]))))
        if copy.lags:
            copy.look(0.0)
    assert kinds // 4 < len(copy) < kinds
    places = range(kinds)
    signature = KEYS[2].sign(statement(LAB, BITS, BitMap(places)))
    copy.take(Patch(C, BITS, signature=signature))
    copy.look(0.0)
    assert copy.rules_out([kinds << DIGEST_BITS_MAX - BITS])
    assert not copy.rules_out([kinds - 1 << DIGEST_BITS_MAX - BITS])


def test_one_neighbour_tells_only_so_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond that, what it tells of others is not kept, and rules nothing out."""
    monkeypatch.setattr(digests, "PLACES_MAX", 150)
    net = in_line()
    net.link(A, C)
    for owner in KEYS[1:4]:
        assert hear(net, said(owner, *range(100))) == []
        assert net.digests[A].may_have(owner.node, B, [1 << DIGEST_BITS_MAX - BITS], net.now)
    assert not net.may_have(A, B, B, 9)
    assert net.may_have(A, D, B, 9)


def test_what_one_neighbour_tells_is_read_at_a_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signature in a hundred bytes may stand over millions of places: it waits for its turn, and
    rules nothing out until then. Who tells more than can wait is parted from."""
    proofs = itertools.count()
    monkeypatch.setattr(copies, "READ_PER_S", 1_000)
    monkeypatch.setattr(copies, "READ_BURST", 10_000)
    monkeypatch.setattr(copies, "is_signed", lambda *_proof: next(proofs) >= 0)
    net = in_line()
    changes = [Patch(B, BITS, signature=bytes(64))] * 100
    assert hear(net, said(KEYS[1], *range(200)), *changes) == []
    for _ in range(3):
        assert net.may_have(A, B, B, 9)
        net.now += 60.0
    assert not net.may_have(A, B, B, 9)
    assert next(proofs) < 30
    for _ in range(6):
        parted = hear(net, *changes)
    assert parted == [B]
    assert next(proofs) < 60


def test_who_lags_hears_all_of_it_and_not_each_change() -> None:
    """A neighbour of a neighbour that changes far more often than anybody is told."""
    net = in_line()
    net.link(A, E)
    net.run(SETTLED_S)
    net.sent.clear()
    for number in range(3 * LAG_MAX):
        digest = BitMap(range(number))
        signature = KEYS[1].sign(statement(LAB, BITS, digest))
        added = pack_places(BitMap([number - 1])) if number else b""
        assert hear(net, Patch(B, BITS, added, afresh=not number, signature=signature)) == []
    net.run(SETTLED_S)
    of_b = [patch for sent in net.sent for patch in sent.patches]
    assert [(patch.owner, patch.afresh) for patch in of_b] == [(B, True)]
    assert net.digests[E].may_have(B, A, [1 << DIGEST_BITS_MAX - BITS], net.now)
    assert not net.digests[E].may_have(B, A, [3 * LAG_MAX << DIGEST_BITS_MAX - BITS], net.now)


NODES = st.sampled_from([A, B, C, D, E])
STEPS = st.lists(
    st.tuples(st.sampled_from(["link", "part", "add", "discard", "run"]), NODES, NODES),
    max_size=60,
)


@given(STEPS, st.lists(st.integers(0, 4), min_size=60, max_size=60))
def test_whatever_happens_all_is_known_in_the_end(
    steps: list[tuple[str, bytes, bytes]], numbers: list[int]
) -> None:
    """Links and keys come and go; once it is quiet, everybody knows what is two links away."""
    net = Net()
    for (what, one, other), number in zip(steps, numbers, strict=False):
        linked = frozenset((one, other)) in net.links
        if what == "link" and one != other and not linked:
            net.link(one, other)
        elif what == "part" and linked:
            net.part(one, other)
        elif what == "add":
            net.add(one, number)
        elif what == "discard" and place(number) in net.own[one].places:
            net.discard(one, number)
        elif what == "run":
            net.run(0.1)
    net.run(SETTLED_S)
    net.check(range(6))
