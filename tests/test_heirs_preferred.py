"""A leaf that is to move has its copy where it goes before the one before is given up."""

from random import Random

import pytest

from common.addresses import Address
from common.config import ClusterConfig
from common.core import Effect, LinkUp, Send
from common.doors import Door
from common.messages.cluster import Heir
from common.messages.fields import Contact
from common.messages.overlay import Held, Hold, Release
from superpeer.heirs.heirs import Heirs
from superpeer.index.holding import Holding
from superpeer.index.share import Share

LEAF, A, B = (bytes([number]) * 32 for number in range(3))
AT = {node: Address.of("10.0.0.9", 1000 + node[0]) for node in (LEAF, A, B)}
CONTACTS = {node: Contact(node, at) for node, at in AT.items()}


class Parent:
    """The heirs of one leaf, which has one; neighbours are A and B."""

    def __init__(self) -> None:
        links = {node: LinkUp(node, Door.CONTROL, at, at, True, 0) for node, at in AT.items()}
        self.links = links
        self.heirs = Heirs(
            ClusterConfig(),
            links=links,
            contacts=lambda: tuple(CONTACTS[node] for node in (A, B) if node in links),
        )
        share = Share(1, 1, CONTACTS[LEAF], Holding("n", LEAF, 10))
        self.heirs.joined(LEAF, share, 0.0)
        (asked,) = self.heirs.due(1.0)
        assert isinstance(asked, Send)
        self.first = asked.peer
        self.other = B if self.first == A else A
        assert told(self.answers(self.first)) == [(LEAF, Heir(CONTACTS[self.first]))]

    def answers(self, node: bytes, refused: str = "") -> list[Effect]:
        """It has all, or would not be the heir."""
        return self.heirs.on_held(node, Held(LEAF, 0, refused=refused), 2.0)

    def prefers(self) -> list[Effect]:
        """The leaf is to move to the other one."""
        return self.heirs.prefer(LEAF, CONTACTS[self.other], 2.0)


def told(effects: list[Effect]) -> list[tuple[bytes, object]]:
    """What is said to whom."""
    return [(each.peer, each.message) for each in effects if isinstance(each, Send)]


def test_the_one_before_stays_until_the_other_has_all() -> None:
    """Should we go meanwhile, the leaf goes where its copy is."""
    parent = Parent()
    assert [(peer, type(said)) for peer, said in told(parent.prefers())] == [(parent.other, Hold)]
    assert parent.heirs.heir_of(LEAF) == CONTACTS[parent.first]
    assert not parent.heirs.is_ready(LEAF)
    assert told(parent.answers(parent.other)) == [
        (LEAF, Heir(CONTACTS[parent.other])),
        (parent.first, Release(LEAF)),
    ]
    assert parent.heirs.is_ready(LEAF)


def test_who_will_not_have_it_leaves_it_with_the_one_before() -> None:
    """That one is asked what it has, and released no more."""
    parent = Parent()
    parent.prefers()
    again = told(parent.answers(parent.other, refused="full"))
    assert [(peer, type(said)) for peer, said in again] == [(parent.first, Hold)]
    assert told(parent.answers(parent.first)) == []
    assert parent.heirs.is_ready(LEAF)
    assert parent.heirs.heir_of(LEAF) == CONTACTS[parent.first]


def test_back_and_forth_releases_nobody_that_is_wanted() -> None:
    """The one before is preferred again before the other has said a word."""
    parent = Parent()
    parent.prefers()
    said = told(parent.heirs.prefer(LEAF, CONTACTS[parent.first], 2.0))
    assert (parent.first, Release(LEAF)) not in said
    parent.answers(parent.other)
    assert (parent.first, Release(LEAF)) not in told(parent.answers(parent.first))


def test_a_leaf_that_goes_is_kept_by_nobody() -> None:
    """Both are told."""
    parent = Parent()
    parent.prefers()
    released = told(parent.heirs.left(LEAF))
    assert sorted(released) == sorted([(A, Release(LEAF)), (B, Release(LEAF))])


@pytest.mark.parametrize("seed", range(20))
def test_whatever_happens_one_has_a_copy_or_is_asked(seed: int) -> None:
    """Preferred, refused, lost and found in any order."""
    rng, parent = Random(seed), Parent()
    for step in range(30):
        node = rng.choice((A, B))
        match rng.randrange(4):
            case 0:
                parent.heirs.prefer(LEAF, CONTACTS[node], 3.0 + step)
            case 1:
                parent.answers(node, refused=rng.choice(("", "full")))
            case 2 if node in parent.links and len(parent.links) == 3:
                del parent.links[node]
                parent.heirs.peer_lost(node, 3.0 + step)
            case _:
                at = AT[node]
                parent.links[node] = LinkUp(node, Door.CONTROL, at, at, True, 0)
                parent.heirs.peers_changed(3.0 + step)
    for node in (A, B):
        parent.links[node] = LinkUp(node, Door.CONTROL, AT[node], AT[node], True, 0)
    for step in range(8):
        for node in (A, B):
            parent.answers(node)
        parent.heirs.peers_changed(100.0 + 20 * step)
        parent.heirs.due(110.0 + 20 * step)
    assert parent.heirs.is_ready(LEAF)
