"""Whose a link is to end: two nodes with two roles each, whatever those want."""

from collections import deque
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.addresses import Address
from common.config import LinkConfig
from common.core import (
    Bound,
    CloseLink,
    Demote,
    Dial,
    Effect,
    Event,
    Hangup,
    LetGo,
    LinkClosed,
    LinkDown,
    LinkOpened,
    LinkUp,
    OpenLink,
    Promote,
    SendFrame,
    Stopped,
    Woke,
)
from common.core import FrameReceived as Frame
from common.doors import Door
from common.ids import Identity, NodeId
from common.network import Network
from common.node import LEAF, SUPERPEER, Node

ENDS = sorted((Identity(Random(seed).randbytes(32)) for seed in (1, 2)), key=lambda each: each.node)
AT = [Address.of("10.0.0.1", 1214), Address.of("10.0.0.2", 1214)]
Key = tuple[NodeId, Door]


class Wants:
    """A role that wants what the test says, and hears of its links."""

    def __init__(self) -> None:
        self.wanted: dict[Key, None] = {}
        self.orders: list[Effect] = []
        self.heard: list[Event] = []

    def handle(self, event: Event, _now: float) -> list[Effect]:
        """Order what was laid ready, and from then on want whom it dials."""
        self.heard.append(event)
        orders, self.orders = self.orders, []
        dials = [each for each in orders if isinstance(each, Dial)]
        self.wanted |= dict.fromkeys((each.peer, each.door) for each in dials)
        return orders

    def wakeup(self) -> float | None:
        """Never."""
        return None

    def snapshot(self) -> msgspec.Struct:
        """Nothing."""
        return msgspec.Struct()

    def needs(self, peer: NodeId, door: Door) -> bool:
        """What it wants."""
        return (peer, door) in self.wanted

    @property
    def last(self) -> Event:
        """What it heard last."""
        return self.heard[-1]


class Pair:
    """Two nodes and the wire between them: what one does reaches the other when the wire moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.roles: list[dict[str, Wants]] = [{}, {}]
        self.nodes = [self._node(0), self._node(1)]
        self.wire: deque[tuple[int, Event]] = deque()
        self.far: dict[tuple[int, int], int] = {}  # an end's link -> the number at the other end
        self.count = 0
        for end in (0, 1):
            self.feed(end, Bound(AT[end], AT[end].at(1215)))

    def _node(self, end: int) -> Node:
        def role(name: str) -> Wants:
            self.roles[end][name] = Wants()
            return self.roles[end][name]

        factories = {name: lambda _rng, name=name: role(name) for name in (LEAF, SUPERPEER)}
        me, config = ENDS[end].node, LinkConfig()
        return Node(me, Network(), config, factories=factories, start=(LEAF,), rng=Random(1))

    # --- what roles say ---------------------------------------------------------------------

    def order(self, end: int, name: str, *orders: Effect) -> None:
        """Have a role order this, if the node plays it."""
        if name in self.nodes[end].snapshot().roles:
            self.roles[end][name].orders += orders
            faulty = any(isinstance(each, Hangup) for each in orders)
            refuses = any(isinstance(each, LetGo) and each.refuses for each in orders)
            self.feed(end, Stopped(0.0), faulty=faulty, refuses=refuses)

    def want(self, end: int, name: str, door: Door = Door.CONTROL) -> None:
        """A role wants the other node."""
        self.order(end, name, Dial(ENDS[1 - end].node, AT[1 - end], door))

    def refuse(self, end: int, name: str, door: Door = Door.CONTROL) -> None:
        """A role wants nothing of the other node, and lets it have nothing of ours."""
        self.roles[end].get(name, Wants()).wanted.pop((ENDS[1 - end].node, door), None)
        self.order(end, name, LetGo(ENDS[1 - end].node, door, "go away", refuses=True))

    def let_go(self, end: int, name: str, door: Door = Door.CONTROL, *, says: bool = True) -> None:
        """It wants it no longer, and maybe forgets to say so."""
        peer = ENDS[1 - end].node
        if name in self.nodes[end].snapshot().roles:
            self.roles[end][name].wanted.pop((peer, door), None)
            self.order(end, name, *([LetGo(peer, door, "it has served")] if says else []))

    def change(self, end: int) -> None:
        """Take up the second role, or lay it down."""
        both = SUPERPEER in self.nodes[end].snapshot().roles
        self.order(end, LEAF, Demote() if both else Promote(()))

    # --- the wire ---------------------------------------------------------------------------

    def feed(self, end: int, event: Event, *, faulty: bool = False, refuses: bool = False) -> None:
        """Give one event to a node. Nothing it does by itself ends a link that it should not."""
        before = self.up(end)
        for effect in self.nodes[end].handle(event, self.now):
            self._perform(end, effect)
        by_itself = isinstance(event, Stopped | Woke) and not faulty
        gone = [link for key, link in before.items() if key not in self.up(end)]
        if by_itself:
            assert refuses or not [link for link in gone if link.inbound]
            assert not [link for link in gone if self.is_wanted(end, link)]

    def _perform(self, end: int, effect: Effect) -> None:
        far = 1 - end
        if isinstance(effect, OpenLink):
            self.count += 2
            here, there = self.count - 1, self.count
            self.far |= {(end, here): there, (far, there): here}
            key, door = ENDS[end].curve_public, effect.door
            self.wire.append((far, LinkOpened(there, door, key, AT[end])))
            key = ENDS[far].curve_public
            self.wire.append((end, LinkOpened(here, door, key, effect.address, effect.dial)))
        elif isinstance(effect, SendFrame) and (end, effect.link) in self.far:
            self.wire.append((far, Frame(self.far[end, effect.link], effect.message)))
        elif isinstance(effect, CloseLink) and (end, effect.link) in self.far:
            there = self.far.pop((end, effect.link))
            self.wire.append((far, LinkClosed(there, "closed")))

    def settle(self, after_s: float = 0.0) -> None:
        """All that is on the wire arrives; then time passes."""
        while self.wire:
            end, event = self.wire.popleft()
            self.feed(end, event)
        self.now += after_s
        for end in (0, 1) if after_s else ():
            self.feed(end, Woke())
        if after_s:
            self.settle()

    # --- questions --------------------------------------------------------------------------

    def up(self, end: int) -> dict[Key, LinkUp]:
        """The links of one end."""
        return {(each.peer, each.door): each for each in self.nodes[end]._links.links_up()}

    def is_wanted(self, end: int, link: LinkUp) -> bool:
        """Whether a role of this end wants a link."""
        names = self.nodes[end].snapshot().roles
        return any(self.roles[end][name].needs(link.peer, link.door) for name in names)

    def unneeded(self, doors: tuple[Door, ...]) -> list[LinkUp]:
        """The links that their makers do not want."""
        links = [(end, link) for end in (0, 1) for link in self.up(end).values()]
        ours = [(end, link) for end, link in links if not link.inbound and link.door in doors]
        return [link for end, link in ours if not self.is_wanted(end, link)]


DOORS = st.sampled_from([Door.CONTROL, Door.BULK])
STEPS = st.tuples(
    st.sampled_from(
        ["want", "want", "let go", "refuse", "forget", "fault", "change", "settle", "wait"]
    ),
    st.sampled_from([0, 1]),
    st.sampled_from([LEAF, SUPERPEER]),
    DOORS,
)


@given(st.lists(STEPS, min_size=8, max_size=40))
@settings(deadline=None, max_examples=300)
def test_a_link_lasts_as_long_as_its_maker_needs_it(
    steps: list[tuple[str, int, str, Door]],
) -> None:
    """Whatever the roles of both ends want, say and forget, and whoever dials whom when: no node
    ends a link by itself that the other end made or that a role of its own wants (`Pair.feed`),
    none is up that was let go, and none that was forgotten outlives the next sweep."""
    pair, forgetful = Pair(), False
    for what, end, name, door in steps:
        if what == "want":
            pair.want(end, name, door)
        elif what in ("let go", "forget"):
            pair.let_go(end, name, door, says=what == "let go")
            forgetful |= what == "forget"
        elif what == "refuse":
            pair.refuse(end, name, door)
        elif what == "fault":
            pair.order(end, name, Hangup(ENDS[1 - end].node, door, "it lies"))
        elif what == "change":
            pair.change(end)
        else:
            pair.settle(0.0 if what == "settle" else 0.6)
            forgetful &= what == "settle"
            if not forgetful:
                assert not pair.unneeded((Door.CONTROL,))
    pair.settle()
    pair.settle(0.6)
    assert not pair.unneeded((Door.CONTROL,))


@pytest.mark.parametrize("door", list(Door))
def test_two_roles_share_a_link_until_neither_wants_it(door: Door) -> None:
    """Who lets go first ends nothing; who lets go last ends it, and both hear of it."""
    pair = Pair()
    pair.change(0)
    pair.want(0, LEAF, door)
    pair.settle()
    pair.want(0, SUPERPEER, door)
    pair.let_go(0, LEAF, door)
    pair.settle()
    assert pair.up(0)
    pair.let_go(0, SUPERPEER, door)
    assert not pair.up(0)
    down = LinkDown(ENDS[1].node, door, "hung up: it has served")
    assert [pair.roles[0][name].last for name in (LEAF, SUPERPEER)] == [down, down]


def test_who_begins_to_want_a_link_in_the_turn_in_which_it_is_let_go_has_it() -> None:
    """All roles have their say about an event before anything ends."""
    pair = Pair()
    pair.want(0, LEAF)
    pair.change(0)
    pair.settle()
    leaf, superpeer = pair.roles[0][LEAF], pair.roles[0][SUPERPEER]
    leaf.wanted.clear()
    leaf.orders = [LetGo(ENDS[1].node, Door.CONTROL, "it is our parent no longer")]
    superpeer.orders = [Dial(ENDS[1].node, AT[1], Door.CONTROL)]
    pair.feed(0, Stopped(0.0))
    assert pair.up(0)
    assert not pair.wire


def test_the_other_end_ends_what_it_made() -> None:
    """It wants us no longer, or still does: either way it is not for us to say."""
    pair = Pair()
    pair.want(1, LEAF)
    pair.settle()
    pair.want(0, LEAF)  # there is one
    pair.let_go(0, LEAF)
    pair.settle(1.0)
    assert pair.up(0)
    assert pair.up(1)
    pair.let_go(1, LEAF)
    pair.settle()
    assert not pair.up(0)


@pytest.mark.parametrize("lets_go", [0, 1])
def test_where_both_dial_at_once_one_is_the_maker(lets_go: int) -> None:
    """The lower key's link is kept, so it is for that end to end it; the other may dial anew."""
    pair = Pair()
    pair.want(0, LEAF)
    pair.want(1, LEAF)
    pair.settle()
    assert [each.inbound for end in (0, 1) for each in pair.up(end).values()] == [False, True]
    pair.let_go(lets_go, LEAF)
    pair.settle(1.0)
    assert bool(pair.up(0)) is bool(pair.up(1)) is (lets_go == 1)
    pair.want(1, LEAF)
    pair.settle()
    assert pair.up(0)


def test_nobody_waits_for_a_link_that_nobody_wants_any_more() -> None:
    """It comes up after its dialler has turned to another: it ends at once."""
    pair = Pair()
    pair.want(0, LEAF)
    pair.let_go(0, LEAF)
    assert pair.wire
    pair.settle()
    assert not pair.up(0)
    assert not pair.up(1)


def test_a_fault_ends_a_link_that_others_want() -> None:
    """Who lies is not kept for the other role, nor because it came to us."""
    pair = Pair()
    pair.change(0)
    pair.want(1, LEAF)
    pair.settle()
    pair.want(0, SUPERPEER)
    pair.order(0, LEAF, Hangup(ENDS[1].node, Door.CONTROL, "it lies"))
    assert not pair.up(0)


@pytest.mark.parametrize("leaf_wants", [False, True])
def test_who_is_refused_loses_what_it_made_but_not_what_we_need(leaf_wants: bool) -> None:
    """A super-peer sends a leaf away that is the parent of its own leaf: that link stays."""
    pair = Pair()
    pair.change(0)
    pair.want(1, LEAF)
    pair.settle()
    if leaf_wants:
        pair.want(0, LEAF)
    pair.refuse(0, SUPERPEER)
    pair.settle(1.0)
    assert bool(pair.up(1)) is leaf_wants


def test_what_a_role_wanted_goes_with_it() -> None:
    """A link that only the super-peer wanted ends when the node steps down; the leaf's stays."""
    for wants, stays in ((SUPERPEER, False), (LEAF, True)):
        pair = Pair()
        pair.change(0)
        pair.want(0, wants)
        pair.settle()
        pair.change(0)
        assert bool(pair.up(0)) is stays


def test_a_role_that_is_taken_up_takes_nothing_away() -> None:
    """A link that the leaf lets go is kept where the super-peer wants it by then."""
    pair = Pair()
    pair.want(0, LEAF)
    pair.settle()
    pair.change(0)
    pair.want(0, SUPERPEER)
    pair.let_go(0, LEAF)
    assert pair.up(0)


def test_at_a_door_of_our_own_only_the_dialler_counts() -> None:
    """A leaf that lets go of its own super-peer is gone, though that one has it as its leaf."""
    pair = Pair()
    pair.change(0)
    me, leaf, superpeer = ENDS[0].node, pair.roles[0][LEAF], pair.roles[0][SUPERPEER]
    leaf.wanted[me, Door.CONTROL] = superpeer.wanted[me, Door.CONTROL] = None
    pair.order(0, LEAF, Dial(me, AT[0], Door.CONTROL))
    pair.order(0, SUPERPEER, LetGo(me, Door.CONTROL, "not ours to say"))
    assert isinstance(leaf.last, LinkUp | Stopped)
    leaf.wanted.clear()
    pair.order(0, LEAF, LetGo(me, Door.CONTROL, "another parent"))
    assert leaf.last == superpeer.last == LinkDown(me, Door.CONTROL, "another parent")


def test_a_link_that_was_forgotten_does_not_stay_for_ever() -> None:
    """Who wants it no longer did not say so: a sweep finds it."""
    pair = Pair()
    pair.want(0, LEAF)
    pair.settle()
    pair.let_go(0, LEAF, says=False)
    assert pair.up(0)
    pair.settle(LinkConfig().echo_s)
    assert not pair.up(0)
    assert not pair.up(1)
