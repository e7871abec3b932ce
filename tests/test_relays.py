"""Two leaves that nobody can dial, and what passes between them through a super-peer."""

from hypothesis import given
from hypothesis import strategies as st

from common import wire
from common.addresses import Address
from common.config import ClusterConfig
from common.core import Dial, Effect, Hangup, LetGo, LinkDown, LinkUp, Received, Send, Sent, Woke
from common.doors import Door
from common.ids import Identity, NodeId
from common.limits import BULK_FRAME_BYTES_MAX, RELAY_PART_BYTES_MAX, RELAY_WINDOW_BYTES
from common.messages.fields import Contact, Message
from common.messages.relay import Ferried, Ferry, Relay, Relayed
from common.messages.swarm import Have, Piece
from deploy.report import Tally
from deploy.scenario import Content, Hosts, Overlay, Phase, Scenario
from deploy.sim.acts import Acts
from deploy.sim.stage import Stage
from leaf.links.relayed import AWAITED_S, BEYOND_MAX, WAITING_BYTES_MAX, RelayedPeers
from leaf.methods import Get, GetResult
from leaf.signals import FromRelay, Joined, RelayWanted, ToRelay
from superpeer.relays.relays import (
    IDLE_S,
    NAMED_MAX,
    NAMED_S,
    OVERDRAWN_S,
    PER_LEAF_MAX,
    RELAYS_MAX,
    Relays,
)
from tests.leaf_scene import MIB, content, found, network

KEYS = [Identity(bytes([number]) * 32).node for number in range(1, 250)]
PARENT, LEAF, VISITOR, OTHER = KEYS[:4]
ROOT = b"r" * 32
AT = Address.of("10.0.0.1", 1214)


# --- whole ------------------------------------------------------------------------------------


def test_two_that_nobody_can_dial_go_through_a_relay() -> None:
    """At the parent of the one that asks; the bytes are proven as ever."""
    data = content(MIB)
    world = network(data, sources=1)
    world.firewalled |= dict.fromkeys(("source0", "asker"))
    found(world)
    call = world.ask("asker", "leaf.get", Get("1"))
    world.advance(30.0)
    result = world.outcome(call)
    assert isinstance(result, GetResult)
    assert world.disks["asker"].files[result.path] == data
    ferried = [m.part for a, _, m in world.sent if a == "source0" and isinstance(m, Ferry)]
    assert sum(map(len, ferried)) > len(data)
    assert result.bytes_received == len(data)


def test_a_network_of_nothing_but_firewalls_is_fetched_in() -> None:
    """Whichever super-peers the two hang on, on IPv6 too."""
    for ipv6 in (False, True):
        scenario = Scenario(
            super_peers=3,
            leaves=9,
            seed=4,
            overlay=Overlay(graph="line"),
            hosts=Hosts(firewalled=1.0, ipv6=ipv6),
            content=Content(files=18, size_max=100_000),
            phases=(Phase("all fetch", gets=20),),
        )
        stage, tally = Stage(scenario), Tally()
        Acts(stage, tally, lambda _text: None).run()
        assert not tally.violations
        assert (tally.downloads, tally.downloads_complete) == (20, 20)


# --- the super-peer ---------------------------------------------------------------------------


def relaying(rate: float = 1e9) -> Relays:
    """One that has a leaf, and a visitor that speaks to it."""
    leaves = {key: Contact(key, AT) for key in (LEAF, *KEYS[100:])}
    relays = Relays(leaves, ClusterConfig(relay_per_s=rate))
    assert comes(relays, VISITOR, LEAF, 0.0) == [
        Send(LEAF, Relayed(VISITOR)),
        Send(VISITOR, Relayed(LEAF)),
    ]
    return relays


def comes(relays: Relays, visitor: NodeId, leaf: NodeId, now: float) -> list[Effect]:
    """A leaf asks that the visitor dial it, and that one comes to us."""
    relays.named(leaf, (visitor,), now)
    return relays.on_relay(visitor, Relay(leaf), now)


def test_only_who_was_asked_for_lately_speaks_to_a_leaf() -> None:
    """Others are told no, and make no relay give way; what is remembered is bounded, and goes with
    the leaf."""
    relays = relaying()
    for number in range(1, PER_LEAF_MAX):
        comes(relays, KEYS[10 + number], LEAF, 0.0)
    relays.named(KEYS[100], (OTHER,), 0.0)
    for leaf, when in ((LEAF, IDLE_S), (KEYS[100], NAMED_S + 0.1)):
        assert relays.on_relay(OTHER, Relay(leaf), when) == [
            Send(OTHER, Relayed(leaf, "that leaf has not asked for you"))
        ]
    assert len(relays) == PER_LEAF_MAX
    assert Send(LEAF, Relayed(OTHER)) in comes(relays, OTHER, LEAF, IDLE_S)
    relays.named(KEYS[100], tuple(KEYS[:NAMED_MAX]), 1.0)
    relays.named(KEYS[100], (KEYS[0], KEYS[200]), 2.0)
    assert list(relays._named[KEYS[100]]) == [*KEYS[2:NAMED_MAX], KEYS[0], KEYS[200]]
    relays.peer_lost(KEYS[100])
    assert KEYS[100] not in relays._named


def test_a_part_goes_on_at_once_and_what_was_taken_comes_back() -> None:
    """Nothing is kept; who asks twice is told again, and nobody is told of strangers."""
    relays = relaying()
    part = Ferry(LEAF, b"abc", last=True)
    assert relays.on_ferry(VISITOR, part, 1.0) == [Send(LEAF, Ferried(VISITOR, b"abc", last=True))]
    assert relays.on_ferry(LEAF, Ferry(VISITOR, taken=3), 1.0) == [
        Send(VISITOR, Ferried(LEAF, taken=3))
    ]
    assert comes(relays, VISITOR, LEAF, 1.0) == [Send(VISITOR, Relayed(LEAF))]
    assert relays.on_ferry(OTHER, part, 1.0) == []
    assert comes(relays, OTHER, VISITOR, 1.0)[0] == Send(
        OTHER, Relayed(VISITOR, "that is no leaf of this super-peer")
    )


def test_who_ignores_its_window_has_its_relay_ended() -> None:
    """Neither what is never taken, nor what was taken without having come."""
    for last in (Ferry(LEAF, b"x"), Ferry(LEAF, taken=1)):
        relays = relaying()
        full = RELAY_WINDOW_BYTES // RELAY_PART_BYTES_MAX
        for _ in range(full):
            assert relays.on_ferry(VISITOR, Ferry(LEAF, bytes(RELAY_PART_BYTES_MAX)), 1.0)
        ended = relays.on_ferry(VISITOR, last, 1.0)
        assert [type(each.message) for each in ended if isinstance(each, Send)] == [Relayed] * 2
        assert not len(relays)


def test_relays_are_few_and_end_with_either_end() -> None:
    """Of one leaf so many that their windows fit its link, and so many in all; and none where the
    rate is none."""
    relays = relaying()
    for number in range(PER_LEAF_MAX + 1):
        comes(relays, KEYS[10 + number], LEAF, 0.0)
    assert len(relays) == PER_LEAF_MAX
    for number in range(RELAYS_MAX + 5):
        comes(relays, KEYS[20 + number], KEYS[100 + number], 0.0)
    assert len(relays) == RELAYS_MAX
    gone = relays.peer_lost(VISITOR)
    assert Send(LEAF, Relayed(VISITOR, "the other end has left")) in gone
    assert relays.on_relay(KEYS[10], Relay(LEAF, over=True), 1.0)
    assert len(relays) == RELAYS_MAX - 2
    refusing = Relays({LEAF: Contact(LEAF, AT)}, ClusterConfig(relay_per_s=0.0))
    (refused,) = refusing.on_relay(VISITOR, Relay(LEAF), 0.0)
    assert isinstance(refused, Send)
    assert isinstance(refused.message, Relayed)
    assert refused.message.refused


@given(st.lists(st.integers(1, RELAY_PART_BYTES_MAX), min_size=20, max_size=60))
def test_all_relays_together_pass_no_more_than_the_rate(parts: list[int]) -> None:
    """An honest sender waits for what was taken; in any time no more passes than the rate, a
    burst of a second and the windows allow."""
    rate, now, passed, untaken = 50_000.0, 0.0, 0, 0
    relays = relaying(rate)
    waiting = list(parts)
    for _ in range(10_000):
        effects: list[Effect] = []
        while waiting and untaken + waiting[-1] <= RELAY_WINDOW_BYTES:
            part = waiting.pop()
            untaken += part
            passed += part
            effects += relays.on_ferry(VISITOR, Ferry(LEAF, bytes(part)), now)
            effects += relays.on_ferry(LEAF, Ferry(VISITOR, taken=part), now)
        due = relays.wakeup()
        if not waiting and due is None:
            break
        if due is not None:
            now = max(now, due)
            effects += relays.due(now)
        told = [each.message for each in effects if isinstance(each, Send)]
        untaken -= sum(each.taken for each in told if isinstance(each, Ferried))
        assert passed <= rate * (now + 1.0) + RELAY_WINDOW_BYTES
    assert not waiting


def test_two_that_do_not_wait_to_be_told_pass_no_more_than_others() -> None:
    """The one takes at once, and the other sends on before it hears so: their relay ends, and they
    begin the next. What passes is bounded all the same."""
    rate, seconds = 10_000.0, 100
    relays, ends = relaying(rate), 0
    for tick in range(100 * seconds):
        now = tick / 100
        relays.due(now)
        comes(relays, VISITOR, LEAF, now)
        for _ in range(4):
            relays.on_ferry(VISITOR, Ferry(LEAF, bytes(RELAY_PART_BYTES_MAX)), now)
            relays.on_ferry(LEAF, Ferry(VISITOR, taken=RELAY_PART_BYTES_MAX), now)
        ends += not len(relays)
        allowed = rate * (now + 1.0 + OVERDRAWN_S) + 2 * RELAY_WINDOW_BYTES
        assert relays.bytes <= allowed
        assert len(relays._untold) <= 2
    assert ends
    assert relays.bytes >= rate * seconds / 2


def test_what_one_relay_owed_is_not_told_to_the_next() -> None:
    """Of the same two."""
    relays = relaying(1000.0)
    for _ in range(2):
        relays.on_ferry(VISITOR, Ferry(LEAF, bytes(1000)), 0.0)
        relays.on_ferry(LEAF, Ferry(VISITOR, taken=1000), 0.0)
    assert relays.wakeup() is not None
    relays.on_relay(LEAF, Relay(VISITOR, over=True), 0.0)
    comes(relays, VISITOR, LEAF, 10.0)
    assert len(relays) == 1
    assert relays.due(500.0) == []


def test_what_was_taken_twice_ends_the_relay() -> None:
    """Also while the sender has not heard of the first time."""
    relays = relaying(1.0)
    relays.on_ferry(VISITOR, Ferry(LEAF, bytes(100)), 0.0)
    relays.on_ferry(LEAF, Ferry(VISITOR, taken=50), 0.0)
    assert relays.on_ferry(LEAF, Ferry(VISITOR, taken=50), 0.0) == []
    assert relays.on_ferry(LEAF, Ferry(VISITOR, taken=1), 0.0)
    assert not len(relays)


# --- the leaf ---------------------------------------------------------------------------------


class Beyond:
    """A leaf that hangs on PARENT, and whose parent relays between it and VISITOR."""

    def __init__(self) -> None:
        self.core = RelayedPeers()
        self.core.handle(Joined(PARENT, AT, 0, 100), 0.0)
        (up,) = self.hears(Relayed(VISITOR))
        assert isinstance(up, FromRelay)
        assert isinstance(up.event, LinkUp)

    def hears(self, message: Message, by: NodeId = PARENT) -> list[Effect]:
        """What a super-peer says."""
        return self.core.handle(Received(by, message), 0.0)

    def orders(self, order: Effect) -> list[Effect]:
        """What a download or an upload wants."""
        assert self.core.takes(order)
        return self.core.handle(ToRelay(order), 0.0)


def ferries(effects: list[Effect]) -> list[Ferry]:
    """The parts among them."""
    sent = [each.message for each in effects if isinstance(each, Send)]
    return [each for each in sent if isinstance(each, Ferry)]


@given(st.binary(max_size=3 * RELAY_WINDOW_BYTES))
def test_what_is_said_comes_out_as_it_went_in(data: bytes) -> None:
    """In parts, a window at a time; data counts as sent when all of it was taken."""
    here, there = Beyond(), Beyond()
    message: Message = Piece(ROOT, 0) if data else Have(ROOT, 3)
    waiting = ferries(here.orders(Send(VISITOR, message, data or None)))
    heard: list[object] = []
    while waiting:
        assert sum(len(each.part) for each in waiting) <= RELAY_WINDOW_BYTES
        following: list[Ferry] = []
        for each in waiting:
            out = there.hears(Ferried(VISITOR, each.part, each.last))
            taken = sum(one.taken for one in ferries(out))
            assert taken == len(each.part)
            heard += [one.event for one in out if isinstance(one, FromRelay)]
            back = here.hears(Ferried(VISITOR, taken=taken))
            following += ferries(back)
            heard += [one.event for one in back if isinstance(one, FromRelay)]
        waiting = following
    came = [each for each in heard if isinstance(each, Received)]
    assert [each.message for each in came] == [message]
    assert bytes(came[0].data or b"") == data
    sent = [each for each in heard if isinstance(each, Sent)]
    assert sent == ([Sent(VISITOR, len(data))] if data else [])


def test_what_is_no_message_ends_the_relay() -> None:
    """Neither what never ends, nor what is no bulk message, reaches anybody."""
    over = Send(PARENT, Relay(VISITOR, over=True))
    said = wire.frame([wire.encode(Joinlike)])
    for whole in (b"\0\0\0\1x", len(said).to_bytes(4, "big") + said, b"\xff" * 9, b"\0"):
        leaf = Beyond()
        out = leaf.hears(Ferried(VISITOR, whole, last=True))
        events = [each.event for each in out if isinstance(each, FromRelay)]
        assert not [each for each in events if isinstance(each, Received)]
        assert over in out or not events
    leaf, endless = Beyond(), list[Effect]()
    for _ in range(BULK_FRAME_BYTES_MAX // RELAY_PART_BYTES_MAX + 2):
        endless += leaf.hears(Ferried(VISITOR, bytes(RELAY_PART_BYTES_MAX)))
    assert over in endless


def test_who_takes_nothing_is_not_waited_for_without_end() -> None:
    """What is said to it has a bound; then the relay ends."""
    leaf, ended = Beyond(), list[Effect]()
    while leaf.core.takes(Send(VISITOR, Have(ROOT, 1))):
        ended = leaf.orders(Send(VISITOR, Piece(ROOT, 0), bytes(1 << 20)))
        if leaf.core._beyond:
            assert leaf.core._beyond[VISITOR].waiting_bytes <= WAITING_BYTES_MAX
    assert Send(PARENT, Relay(VISITOR, over=True)) in ended


def test_what_is_ordered_after_the_end_of_the_same_turn_is_dropped() -> None:
    """It was meant for a link that stood when it was ordered."""
    leaf = Beyond()
    assert leaf.orders(Hangup(VISITOR, Door.BULK, "enough"))
    for late in (Send(VISITOR, Have(ROOT, 1)), Hangup(VISITOR, Door.BULK, "enough")):
        assert leaf.core.handle(ToRelay(late), 0.0) == []


Joinlike = Relayed(VISITOR)  # of another door


def test_only_who_was_asked_or_is_our_parent_brings_others() -> None:
    """A stranger is no relay, and nobody takes over what another brings."""
    leaf = Beyond()
    assert leaf.hears(Relayed(OTHER), by=KEYS[9]) == []
    assert leaf.hears(Ferried(VISITOR, b"x", last=True), by=KEYS[9]) == []
    assert leaf.hears(Relayed(VISITOR, "gone"), by=KEYS[9]) == []
    assert leaf.core.takes(Send(VISITOR, Have(ROOT, 1)))
    assert not leaf.core.takes(Send(VISITOR, Relay(OTHER)))
    for key in KEYS[10 : 20 + BEYOND_MAX]:
        leaf.hears(Relayed(key))
    assert len(leaf.core._beyond) == BEYOND_MAX


def test_a_visitor_comes_speaks_and_leaves() -> None:
    """It dials the other's parent, asks, and hangs up when nothing is left to say; what was lost
    with the relay is told."""
    leaf, relay = RelayedPeers(), KEYS[7]
    leaf.handle(Joined(PARENT, AT, 0, 100), 0.0)
    dial = Dial(relay, AT, Door.CONTROL)
    assert leaf.handle(RelayWanted(LEAF, Contact(relay, AT)), 0.0) == [dial]
    up = LinkUp(relay, Door.CONTROL, AT, AT, inbound=False)
    assert leaf.handle(up, 0.0) == [Send(relay, Relay(LEAF))]
    assert leaf.handle(Received(relay, Relayed(LEAF)), 0.0)
    ended = leaf.handle(ToRelay(Hangup(LEAF, Door.BULK, "idle")), 0.0)
    assert Send(relay, Relay(LEAF, over=True)) in ended
    assert LetGo(relay, Door.CONTROL, "nothing more to relay") in ended
    leaf.handle(RelayWanted(LEAF, Contact(PARENT, AT)), 0.0)
    leaf.handle(Received(PARENT, Relayed(LEAF)), 0.0)
    lost = leaf.handle(LinkDown(PARENT, Door.CONTROL, "lost"), 0.0)
    assert FromRelay(LinkDown(LEAF, Door.BULK, "its relay is gone")) in lost


def test_a_silent_relay_takes_no_place_for_long() -> None:
    """It is left after a while, whether it was linked or not, and others are asked again."""
    leaf, silent, over = RelayedPeers(), Contact(KEYS[7], AT), AWAITED_S
    leaf.handle(Joined(PARENT, AT, 0, 100), 0.0)
    for key in KEYS[20 : 20 + 2 * BEYOND_MAX]:
        leaf.handle(RelayWanted(key, silent), 0.0)
    assert leaf.handle(RelayWanted(LEAF, Contact(PARENT, AT)), 1.0) == []
    up = LinkUp(silent.node, Door.CONTROL, AT, AT, inbound=False)
    asked = leaf.handle(up, 2.0)
    assert len(asked) == BEYOND_MAX
    assert leaf.wakeup() == 2.0 + over
    assert leaf.handle(Woke(), 2.0 + over) == [
        LetGo(silent.node, Door.CONTROL, "nothing more to relay")
    ]
    assert leaf.wakeup() is None
    asked = leaf.handle(RelayWanted(LEAF, Contact(PARENT, AT)), 20.0)
    assert asked == [Send(PARENT, Relay(LEAF))]


def test_a_relay_that_is_linked_too_late_is_left_at_once() -> None:
    """Nobody waits for it any more."""
    leaf, slow = RelayedPeers(), Contact(KEYS[7], AT)
    leaf.handle(RelayWanted(LEAF, slow), 0.0)
    assert leaf.needs(slow.node)
    leaf.handle(Woke(), AWAITED_S)
    up = LinkUp(slow.node, Door.CONTROL, AT, AT, inbound=False)
    assert leaf.handle(up, AWAITED_S + 1.0) == []
    assert not leaf.needs(slow.node)


def test_a_stranger_ends_no_waiting_for_a_relay() -> None:
    """What another says of the leaf that we wait for is not what its relay says."""
    leaf, relay = RelayedPeers(), KEYS[7]
    leaf.handle(RelayWanted(LEAF, Contact(relay, AT)), 0.0)
    leaf.handle(LinkUp(relay, Door.CONTROL, AT, AT, inbound=False), 0.0)
    for said in (Relayed(LEAF), Relayed(LEAF, "gone")):
        assert leaf.handle(Received(KEYS[9], said), 0.0) == []
    (brought,) = leaf.handle(Received(relay, Relayed(LEAF)), 0.0)
    assert isinstance(brought, FromRelay)
