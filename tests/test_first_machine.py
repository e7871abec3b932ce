"""A node that knows nobody: it becomes a super-peer, and its leaf hangs on itself."""

from random import Random

import pytest

from common.addresses import Address
from common.config import Config
from common.core import (
    Answer,
    Asked,
    Bound,
    Demote,
    Effect,
    Event,
    Exited,
    Fail,
    OpenLink,
    Woke,
)
from common.ids import Identity
from common.ladder import LAN, Announce, Found
from common.meeting import Seed
from common.network import Network
from common.node import LEAF, SUPERPEER, Node
from common.storage import RememberSuperPeer, Restored
from leaf.methods import Nothing, Status
from leaf.role import Leaf
from superpeer.role import SuperPeer

ME = Identity(bytes(32))
OTHER = Identity(bytes([7]) * 32).node
NETWORK = Network("test")
HOME = Address.of("10.0.0.200", 1214)
ON_LAN = Found(LAN, (Seed("", Address.of("10.0.0.7", 1214), OTHER),))
LAN_S = 2 * Config().parent.lan_s


class Machine:
    """A node that may play both roles, on a machine that knows nobody."""

    def __init__(self, *steps: str, promotes: bool = True, listen: Address = HOME) -> None:
        self.now = 50.0
        config = Config()
        rng = Random(3)
        self.node = Node(
            ME.node,
            NETWORK,
            config.link,
            factories={
                LEAF: lambda rng: Leaf(
                    identity=ME,
                    config=config,
                    network=NETWORK,
                    rng=rng,
                    supers=(),
                    epoch=1,
                    shares=(),
                    downloads_dir="/downloads",
                    version="1",
                    steps=steps,
                    promotes=promotes,
                ),
                SUPERPEER: lambda rng: SuperPeer(
                    ME, config=config, network=NETWORK, rng=rng, steps=steps
                ),
            },
            start=(LEAF,),
            rng=rng,
        )
        self.ordered: list[Effect] = []
        self.feed(Restored())
        self.feed(Bound(listen, listen.at(1215)))

    def feed(self, event: Event) -> list[Effect]:
        """What an event causes."""
        effects = self.node.handle(event, self.now)
        self.ordered += effects
        return effects

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        while (due := self.node.wakeup()) is not None and due <= end:
            self.now = max(due, self.now)
            self.feed(Woke())
        self.now = end

    def status(self) -> Status:
        """What the leaf says of itself."""
        (answer,) = self.feed(Asked(1, "leaf.status", Nothing()))
        assert isinstance(answer, Answer)
        assert isinstance(answer.result, Status)
        return answer.result


@pytest.mark.parametrize(
    ("listen", "parent"),
    [
        (HOME, str(HOME)),
        (Address.of("0.0.0.0", 7), "127.0.0.1:7"),
        (Address.of("::", 7), "[::1]:7"),
    ],
)
def test_the_first_machine_is_its_own_parent(listen: Address, parent: str) -> None:
    """Nobody there: the node becomes a super-peer too, and its leaf joins it through itself."""
    machine = Machine(listen=listen)
    machine.wait(1.0)
    status = machine.status()
    assert status.roles == ["leaf", "superpeer"]
    assert status.parent is not None
    assert (status.parent.address, status.parent_source) == (parent, "self")
    assert not [each for each in machine.ordered if isinstance(each, RememberSuperPeer)]


def test_a_new_super_peer_goes_on_looking_for_others() -> None:
    """It is announced on the LAN, and dials whom it sees there."""
    machine = Machine(LAN)
    machine.wait(LAN_S)
    assert Announce() in machine.ordered
    machine.ordered.clear()
    machine.feed(ON_LAN)
    machine.wait(1.0)
    assert [each.address for each in machine.ordered if isinstance(each, OpenLink)] == [
        ON_LAN.seeds[0].address
    ]


def test_stopping_the_leaf_ends_both_roles() -> None:
    """`leaf stop` is asked of the leaf; the announcement is taken back, and the program ends."""
    machine = Machine(LAN)
    machine.wait(LAN_S)
    effects = machine.feed(Asked(1, "leaf.stop", Nothing()))
    assert Announce(on=False) in effects
    machine.wait(5.0)
    assert Exited() in machine.ordered


def test_a_role_that_is_not_there_says_so() -> None:
    """Whoever asks a leaf's node for its super-peer is answered."""
    machine = Machine(promotes=False)
    (fail,) = machine.feed(Asked(1, "superpeer.status", Nothing()))
    assert isinstance(fail, Fail)


def test_a_leaf_whose_super_peer_steps_down_looks_again() -> None:
    """And begins anew where there is still nobody."""
    machine = Machine()
    machine.wait(1.0)
    for effect in machine.node._demote(SUPERPEER, Demote(), machine.now):
        machine.node._sort([effect], machine.ordered)
    machine.feed(Found(LAN, ()))
    assert machine.status().roles == ["leaf"]
    machine.wait(1.0)
    assert machine.status().roles == ["leaf", "superpeer"]
