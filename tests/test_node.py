"""Node: routing by the table, orders of roles, links to ourselves, a second role."""

from random import Random

import msgspec

from common.addresses import Address
from common.config import LinkConfig
from common.core import (
    Answer,
    Asked,
    Bound,
    DatagramReceived,
    Demote,
    Demoted,
    Dial,
    Effect,
    Event,
    Exited,
    Hangup,
    LinkDown,
    LinkUp,
    Notify,
    OpenLink,
    Promote,
    Promoted,
    Received,
    Send,
    Stopped,
    Woke,
)
from common.doors import Door
from common.ids import Identity, NodeId
from common.messages.cluster import Join, Welcome
from common.messages.link import Ping
from common.network import Network
from common.node import LEAF, SUPERPEER, Node, RoleFactory
from common.storage import Restored

ME = Identity(Random(1).randbytes(32)).node
OTHER = Identity(Random(2).randbytes(32)).node
AT = Address.of("127.0.0.1", 1214)
JOIN = Join(1, 1, 0)
WELCOME = Welcome(0, 5.0, 10)


class Scribe:
    """A role that notes what it is told and orders what it was given to order."""

    def __init__(self, orders: dict[type[Event], list[Effect]] | None = None) -> None:
        self.heard: list[Event] = []
        self.orders = orders or {}
        self.due: float | None = None

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Note it; answer with the orders for its type."""
        self.heard.append(event)
        return self.orders.get(type(event), [])

    def wakeup(self) -> float | None:
        """What the test set."""
        return self.due

    def snapshot(self) -> msgspec.Struct:
        """Nothing."""
        return msgspec.Struct()

    def needs(self, _peer: NodeId, _door: Door) -> bool:
        """All that it dialled; what comes of others stands in `test_node_links`."""
        return True


def node(start: tuple[str, ...] = (LEAF,), **roles: Scribe) -> Node:
    """A node whose roles are scribes."""

    def giving(scribe: Scribe) -> RoleFactory:
        return lambda _rng: scribe

    factories = {name: giving(role) for name, role in roles.items()}
    return Node(ME, Network(), LinkConfig(), factories=factories, start=start, rng=Random(1))


def test_what_a_role_sends_to_itself_loops() -> None:
    """A leaf that dials its own node gets a link, and its messages reach the other role."""
    leaf = Scribe({Stopped: [Dial(ME, AT, Door.CONTROL), Send(ME, JOIN)]})
    superpeer = Scribe({Received: [Send(ME, WELCOME)]})
    both = node((LEAF, SUPERPEER), leaf=leaf, superpeer=superpeer)
    both.handle(Bound(AT, AT.at(1215)), 0.0)
    assert both.handle(Stopped(1.0), 0.0) == []
    assert Received(ME, JOIN) in superpeer.heard
    assert Received(ME, WELCOME) in leaf.heard
    (up,) = [event for event in leaf.heard if isinstance(event, LinkUp)]
    assert (up.peer, up.bulk_port) == (ME, 1215)


def test_nobody_hangs_on_doors_that_are_not_open_yet() -> None:
    """A role that dials its own node too early hears no, and may try again."""
    leaf = Scribe({Stopped: [Dial(ME, AT, Door.CONTROL)]})
    one = node(leaf=leaf)
    one.handle(Stopped(1.0), 0.0)
    assert leaf.heard[-1] == LinkDown(ME, Door.CONTROL, "our own doors are not open yet")
    one.handle(Bound(AT, None), 0.0)
    one.handle(Stopped(1.0), 0.0)
    assert isinstance(leaf.heard[-1], LinkUp)


def test_hanging_up_on_oneself_is_told() -> None:
    """A link to ourselves ends like any other."""
    leaf = Scribe(
        {
            Stopped: [Dial(ME, AT, Door.CONTROL)],
            LinkUp: [Hangup(ME, Door.CONTROL, "enough")],
        }
    )
    one = node(leaf=leaf)
    one.handle(Bound(AT, None), 0.0)
    one.handle(Stopped(1.0), 0.0)
    assert leaf.heard[-1] == LinkDown(ME, Door.CONTROL, "enough")


def test_dials_become_orders_for_the_shell() -> None:
    """A role names a peer; the shell gets an address and the key to demand."""
    leaf = Scribe({Stopped: [Dial(OTHER, AT, Door.BULK)]})
    (effect,) = node(leaf=leaf).handle(Stopped(1.0), 0.0)
    assert isinstance(effect, OpenLink)
    assert (effect.door, effect.address) == (Door.BULK, AT)


def test_calls_go_to_the_role_of_their_method() -> None:
    """`superpeer.status` is none of the leaf's business."""
    leaf, superpeer = Scribe(), Scribe({Asked: [Answer(1, None)]})
    both = node((LEAF, SUPERPEER), leaf=leaf, superpeer=superpeer)
    asked = Asked(1, "superpeer.status", msgspec.Struct())
    assert both.handle(asked, 0.0) == [Answer(1, None)]
    assert leaf.heard == []


def test_pings_go_to_the_super_peer_if_there_is_one() -> None:
    """One node gives one pong."""
    leaf, superpeer = Scribe(), Scribe()
    ping = DatagramReceived(AT, Ping(bytes(16), "public"))
    node(leaf=leaf).handle(ping, 0.0)
    assert leaf.heard == [ping]
    node((LEAF, SUPERPEER), leaf=Scribe(), superpeer=superpeer).handle(ping, 0.0)
    assert superpeer.heard == [ping]


def test_only_due_roles_are_woken() -> None:
    """A role whose deadline has not come sleeps on."""
    leaf, superpeer = Scribe(), Scribe()
    both = node((LEAF, SUPERPEER), leaf=leaf, superpeer=superpeer)
    leaf.due, superpeer.due = 1.0, 2.0
    assert both.wakeup() == 1.0
    both.handle(Woke(), 1.5)
    assert (leaf.heard, superpeer.heard) == ([Woke()], [])


def test_promotion_starts_the_second_role_and_demotion_ends_it() -> None:
    """The new role learns the doors; all roles learn that it is there, and that it is gone."""
    leaf = Scribe({Stopped: [Promote(())], Asked: [Demote()]})
    superpeer = Scribe()
    promotable = node(leaf=leaf, superpeer=superpeer)
    bound = Bound(AT, AT.at(1215))
    promotable.handle(Restored(shares=("/a",)), 0.0)
    promotable.handle(bound, 0.0)
    promotable.handle(Stopped(1.0), 0.0)
    assert superpeer.heard == [Restored(shares=("/a",)), bound, Promoted(ME)]
    assert Promoted(ME) in leaf.heard
    promotable.handle(Asked(1, "leaf.demote", msgspec.Struct()), 0.0)
    assert leaf.heard[-1] == Demoted()
    assert list(promotable.snapshot().roles) == [LEAF]


def test_stepping_down_ends_the_links_to_ourselves() -> None:
    """A leaf that hung on its own super-peer hears that it is gone."""
    orders: dict[type[Event], list[Effect]] = {
        Stopped: [Dial(ME, AT, Door.CONTROL)],
        Asked: [Demote()],
    }
    leaf = Scribe(orders)
    both = node((LEAF, SUPERPEER), leaf=leaf, superpeer=Scribe())
    both.handle(Bound(AT, None), 0.0)
    both.handle(Stopped(1.0), 0.0)
    both.handle(Asked(1, "leaf.demote", msgspec.Struct()), 0.0)
    assert leaf.heard[-2:] == [LinkDown(ME, Door.CONTROL, "stepped down"), Demoted()]


def test_the_program_ends_when_all_roles_have() -> None:
    """One role's last word is not the node's."""
    leaf, superpeer = Scribe({Stopped: [Exited()]}), Scribe({Woke: [Exited()]})
    both = node((LEAF, SUPERPEER), leaf=leaf, superpeer=superpeer)
    assert both.handle(Stopped(1.0), 0.0) == []
    superpeer.due = 1.0
    assert both.handle(Woke(), 1.0) == [Exited()]


def test_other_effects_pass_through() -> None:
    """What is no order about peers is the shell's."""
    notify = Notify("something", {"a": 1})
    assert node(leaf=Scribe({Stopped: [notify]})).handle(Stopped(1.0), 0.0) == [notify]
