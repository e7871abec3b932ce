"""Copies that an heir keeps, one machine alone."""

import pytest

from common.addresses import Address
from common.config import ClusterConfig
from common.content.catalogue import Catalogue, statement
from common.core import Effect, LinkUp, Send
from common.digest import CountedPlaces
from common.doors import Door
from common.ids import Identity, NodeId
from common.messages.cluster import Put
from common.messages.fields import Contact
from common.messages.overlay import Held, Hold
from superpeer.heirs.dormant import Dormant
from superpeer.index import share
from superpeer.index.holding import Holding
from superpeer.index.index import Index
from superpeer.index.share import Share
from tests.overlay_world import NETWORK, entry_of

LEAF = Identity(b"leaf".ljust(32))
PARENTS = tuple(Identity(bytes([number]) * 32).node for number in (1, 2, 3))
HERE = Address.of("127.0.0.1", 7000)
FILES = 50


def dormant_of(config: ClusterConfig) -> Dormant:
    """An heir whose three neighbours are linked."""
    links = {each: LinkUp(each, Door.CONTROL, HERE, HERE, inbound=True) for each in PARENTS}
    return Dormant(
        NETWORK.name,
        config,
        Index(1, CountedPlaces()),
        links=links,
        neighbours=set(PARENTS),
        on_changed=lambda _leaf: None,
        on_dropped=lambda _now: None,
    )


def empty(leaf: NodeId, config: ClusterConfig) -> Share:
    """A leaf that shares nothing yet."""
    holding = Holding(NETWORK.name, leaf, config.entries_max)
    return Share(1, 1, Contact(leaf, HERE), holding)


def signed() -> Hold:
    """What the leaf's new parent tells: all its files, signed."""
    catalogue = Catalogue()
    puts = tuple(Put(slot, entry_of(f"song {slot}.txt")) for slot in range(FILES))
    for put in puts:
        catalogue.put(put.slot, put.entry)
    signature = LEAF.sign(statement(NETWORK.name, LEAF.node, 1, catalogue.root()))
    return Hold(LEAF.node, 1, 1, Contact(LEAF.node, HERE), 1, puts, (), signature)


def test_a_parent_is_answered_though_its_leaf_is_shown_no_longer_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A large library is indexed for longer than a leaf that has moved is still shown."""
    monkeypatch.setattr(share, "INDEX_SLICE", 1)  # one file in a turn
    config = ClusterConfig()
    dormant = dormant_of(config)
    dormant.keep(LEAF.node, empty(LEAF.node, config), PARENTS[0], 0.0, shown_s=1.0)
    effects: list[Effect] = dormant.on_hold(PARENTS[0], signed(), 0.5)
    assert effects == []
    for turn in range(2 * FILES):
        effects += dormant.due(1.0 + turn / 1_000)
    assert effects == [Send(PARENTS[0], Held(LEAF.node, 1))]


def test_what_was_ours_is_kept_within_the_limit() -> None:
    """It takes the place of a copy of which nothing that a leaf has signed ever came."""
    config = ClusterConfig(copies_max=2)
    dormant = dormant_of(config)
    for number, parent in enumerate(PARENTS[:2]):
        stranger = Identity(bytes([200 + number]) * 32).node
        dormant.on_hold(parent, Hold(stranger, 1, 1, Contact(stranger, HERE), 1), 0.0)
    assert len(dormant) == 2
    dormant.keep(LEAF.node, empty(LEAF.node, config), PARENTS[2], 0.0, shown_s=1.0)
    assert len(dormant) == 2
    assert LEAF.node in dormant
