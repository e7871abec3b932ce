"""Links: hello, duplicates, liveness; two machines wired to each other in virtual time."""

from random import Random

import pytest

from common.addresses import Address
from common.config import LinkConfig
from common.core import (
    Bound,
    CloseLink,
    DataSent,
    DialFailed,
    Effect,
    Event,
    FrameReceived,
    LinkClosed,
    LinkDown,
    LinkHeard,
    LinkMeasured,
    LinkOpened,
    LinkStuck,
    LinkUp,
    OpenLink,
    Received,
    SendFrame,
    Sent,
    Woke,
)
from common.doors import Door
from common.ids import Identity, twin
from common.links import Links
from common.messages.cluster import Forget
from common.messages.link import Bye, Hello, Refused
from common.messages.swarm import Interested
from common.network import Network

LOW, HIGH = sorted(
    (Identity(Random(seed).randbytes(32)) for seed in (1, 2)), key=lambda each: each.node
)
AT = Address.of("127.0.0.1", 40000)
FORGET = Forget(bytes(16))
OPEN = Network()


def links(identity: Identity, network: Network = OPEN) -> Links:
    """Links of a node whose doors are open."""
    machine = Links(identity.node, network, LinkConfig(), "test")
    machine.handle(Bound(Address.of("127.0.0.1", 1214), Address.of("127.0.0.1", 1215)), 0.0)
    return machine


class Pair:
    """Two machines and the wire between them: every effect of one is an event of the other."""

    def __init__(self, a: Links, b: Links) -> None:
        self.ends = {"a": a, "b": b}
        self.told: dict[str, list[Event]] = {"a": [], "b": []}
        self.curve = {"a": LOW.curve_public, "b": HIGH.curve_public}
        self.count = 0
        self.other: dict[tuple[str, int], tuple[str, int]] = {}

    def do(self, end: str, outs: list[Effect | Event], now: float) -> None:
        """Perform what `end` ordered; deeper consequences included."""
        for out in outs:
            if isinstance(out, Event):
                self.told[end].append(out)
            elif isinstance(out, OpenLink):
                self.open(end, out, now)
            elif isinstance(out, SendFrame) and (end, out.link) in self.other:
                far, link = self.other[end, out.link]
                self.feed(far, FrameReceived(link, out.message), now)
            elif isinstance(out, CloseLink) and (end, out.link) in self.other:
                far, link = self.other.pop((end, out.link))
                self.other.pop((far, link))
                self.feed(far, LinkClosed(link, "closed"), now)

    def open(self, end: str, dial: OpenLink, now: float) -> None:
        far = "b" if end == "a" else "a"
        self.count += 1
        self.other[end, self.count] = (far, self.count)
        self.other[far, self.count] = (end, self.count)
        self.feed(far, LinkOpened(self.count, dial.door, self.curve[end], AT), now)
        opened = LinkOpened(self.count, dial.door, self.curve[far], dial.address, dial.dial)
        self.feed(end, opened, now)

    def feed(self, end: str, event: Event, now: float) -> None:
        self.do(end, self.ends[end].handle(event, now), now)

    def up(self, end: str) -> list[LinkUp]:
        return [event for event in self.told[end] if isinstance(event, LinkUp)]

    def down(self, end: str) -> list[str]:
        return [event.reason for event in self.told[end] if isinstance(event, LinkDown)]


def dialled(pair: Pair, now: float = 0.0) -> Pair:
    """The pair with a link that the lower key dialled."""
    pair.do("a", pair.ends["a"].dial(HIGH.node, AT, Door.CONTROL, now), now)
    return pair


@pytest.fixture
def pair() -> Pair:
    """Two nodes of the open network."""
    return Pair(links(LOW), links(HIGH))


def test_hello_brings_a_link_up_on_both_ends(pair: Pair) -> None:
    """After one hello each way both know the other's key and where it listens."""
    dialled(pair)
    (at_a,), (at_b,) = pair.up("a"), pair.up("b")
    assert (at_a.peer, at_a.inbound) == (HIGH.node, False)
    assert (at_b.peer, at_b.inbound) == (LOW.node, True)
    assert at_b.address == AT.at(1214)
    assert at_b.bulk_port == 1215


def test_messages_reach_the_roles_only_after_hello() -> None:
    """A first message that is no hello ends the link, and no role hears of it."""
    machine = links(LOW)
    machine.handle(LinkOpened(1, Door.CONTROL, HIGH.curve_public, AT), 0.0)
    outs = machine.handle(FrameReceived(1, FORGET), 0.0)
    assert CloseLink(1, "no hello") in outs
    assert not [out for out in outs if isinstance(out, Received | LinkUp | LinkDown)]


def test_a_key_that_is_not_the_links_key_is_refused(pair: Pair) -> None:
    """The Ed25519 key in the hello must convert to the CURVE key of the handshake."""
    pair.curve["a"] = bytes(32)
    dialled(pair)
    assert pair.up("b") == []
    assert pair.down("a") == ["refused: the node's key is not the key of the link"]


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        (Network("render"), Network("public")),
        (Network("lab", b"key one"), Network("lab", b"key two")),
        (Network("lab", b"key one"), Network("lab")),
        (Network("lab"), Network("lab", b"key two")),
    ],
)
def test_networks_do_not_mix(mine: Network, theirs: Network) -> None:
    """Another name, another key, or a key on one side only: refused, with a reason."""
    pair = dialled(Pair(links(LOW, mine), links(HIGH, theirs)))
    assert pair.up("a") == pair.up("b") == []
    (reason,) = pair.down("a")
    assert reason.startswith("refused: this is another network")


def test_a_network_key_admits_those_who_have_it() -> None:
    """The HMAC of both ends is right where both have the key."""
    closed = Network("lab", b"the key")
    pair = dialled(Pair(links(LOW, closed), links(HIGH, closed)))
    assert len(pair.up("a")) == len(pair.up("b")) == 1


def test_messages_at_the_wrong_door_are_dropped(pair: Pair) -> None:
    """Swarm messages come by the bulk door or not at all."""
    dialled(pair)
    pair.feed("a", FrameReceived(1, Interested(bytes(32), 1)), 1.0)
    assert not any(isinstance(event, Received) for event in pair.told["a"])
    assert pair.ends["a"].dropped == {"message at the wrong door": 1}


def test_who_answers_a_dial_must_be_whom_we_dialled(pair: Pair) -> None:
    """A key with the sign of x flipped has the same CURVE form, and is somebody else."""
    pair.do("a", pair.ends["a"].dial(twin(HIGH.node), AT, Door.CONTROL, 1.0), 1.0)
    assert pair.up("a") == []
    assert pair.down("a") == ["not the node that was dialled"]


def test_the_twin_of_a_linked_node_is_not_dialled(pair: Pair) -> None:
    """Otherwise the honest link would give way to the newer one."""
    dialled(pair)
    pair.do("a", pair.ends["a"].dial(twin(HIGH.node), AT, Door.CONTROL, 1.0), 1.0)
    assert pair.down("a") == ["another node has this CURVE key"]
    assert pair.down("b") == []


def test_a_place_where_the_other_door_is_is_not_dialled(pair: Pair) -> None:
    """Whoever names a peer's control door as its bulk door does not cost us the link there."""
    dialled(pair)
    there = pair.up("a")[0].address
    outs = pair.ends["a"].dial(HIGH.node, there, Door.BULK, 1.0)
    assert outs == [LinkDown(HIGH.node, Door.BULK, "that is its other door")]
    elsewhere = pair.ends["a"].dial(HIGH.node, Address.of("127.0.0.1", 1), Door.BULK, 1.0)
    assert isinstance(elsewhere[0], OpenLink)


def test_other_versions_are_refused() -> None:
    """Version ranges that do not overlap are refused with our version."""
    machine = links(LOW)
    machine.handle(LinkOpened(1, Door.CONTROL, HIGH.curve_public, AT), 0.0)
    hello = Hello(7, 9, HIGH.node, "public", b"", 1, 1, AT)
    refusal, *_ = machine.handle(FrameReceived(1, hello), 0.0)
    assert refusal == SendFrame(1, Refused("this node speaks protocol version 1"))


def test_of_two_simultaneous_dials_the_lower_key_keeps_its_link(pair: Pair) -> None:
    """Both handshakes are over before either hears a hello: one link is left, the lower key's."""
    a, b = pair.ends["a"], pair.ends["b"]
    (dial,) = a.dial(HIGH.node, AT, Door.CONTROL, 0.0)
    assert isinstance(dial, OpenLink)
    from_b = b.dial(LOW.node, AT, Door.CONTROL, 0.0)
    pair.count = 1
    pair.other |= {("a", 1): ("b", 1), ("b", 1): ("a", 1)}
    pair.feed("b", LinkOpened(1, Door.CONTROL, pair.curve["a"], AT), 0.0)
    hello = a.handle(LinkOpened(1, Door.CONTROL, pair.curve["b"], AT, dial.dial), 0.0)
    pair.do("b", from_b, 0.0)
    pair.do("a", hello, 0.0)
    assert [event.inbound for event in pair.up("a")] == [False]
    assert [event.inbound for event in pair.up("b")] == [True]
    assert pair.down("a") == pair.down("b") == []
    pair.do("b", b.send(LOW.node, Door.CONTROL, FORGET, None, 1.0), 1.0)
    assert Received(HIGH.node, FORGET) in pair.told["a"]


def test_a_dial_that_is_not_open_gives_way(pair: Pair) -> None:
    """Before a firewall it never will be: who dials out from behind it is let in meanwhile."""
    a, b = pair.ends["a"], pair.ends["b"]
    from_a = a.dial(HIGH.node, AT, Door.CONTROL, 0.0)
    pair.do("b", b.dial(LOW.node, AT, Door.CONTROL, 0.0), 0.0)
    assert [event.inbound for event in pair.up("a")] == [True]
    pair.do("a", from_a, 1.0)  # it opens after all
    assert [event.inbound for event in pair.up("b")] == [False]
    assert pair.down("a") == pair.down("b") == []
    pair.do("b", b.send(LOW.node, Door.CONTROL, FORGET, None, 1.0), 1.0)
    assert Received(HIGH.node, FORGET) in pair.told["a"]


def test_a_dial_that_was_given_up_gives_way_too(pair: Pair) -> None:
    """We wait no more, the shell still tries: who dials us meanwhile is let in."""
    a, b = pair.ends["a"], pair.ends["b"]
    a.dial(HIGH.node, AT, Door.CONTROL, 0.0)
    config = LinkConfig()
    late = config.dial_s + config.hello_s + config.echo_s
    pair.feed("a", Woke(), late)
    assert pair.down("a") == ["no answer"]
    pair.do("b", b.dial(LOW.node, AT, Door.CONTROL, late), late)
    assert [event.inbound for event in pair.up("a")] == [True]


def test_a_restarted_peer_replaces_its_old_link(pair: Pair) -> None:
    """A peer that dials again has forgotten the old link: roles hear down, then up."""
    dialled(pair)
    del pair.ends["a"]
    pair.ends["a"] = links(LOW)
    dialled(pair, 1.0)
    kinds = [type(event) for event in pair.told["b"]]
    assert kinds == [LinkUp, LinkDown, LinkUp]


def test_a_failed_dial_is_told_once(pair: Pair) -> None:
    """Who asked for a link hears why there is none."""
    (dial,) = pair.ends["a"].dial(HIGH.node, AT, Door.CONTROL, 0.0)
    assert isinstance(dial, OpenLink)
    failed = DialFailed(dial.dial, "connection refused")
    outs = pair.ends["a"].handle(failed, 0.1)
    assert outs == [LinkDown(HIGH.node, Door.CONTROL, "connection refused")]
    assert pair.ends["a"].handle(failed, 0.2) == []


def test_no_hello_in_time_is_a_hangup() -> None:
    """A link that stays silent after its handshake is hung up after hello_s."""
    machine = links(LOW)
    machine.handle(LinkOpened(1, Door.CONTROL, HIGH.curve_public, AT), 0.0)
    outs: list[Effect | Event] = []
    while (when := machine.wakeup()) is not None and when < 5:
        outs += machine.handle(Woke(), when)
    assert CloseLink(1, "no hello in time") in outs


def run(pair: Pair, ends: str, until: float, start: float = 0.0) -> None:
    """Let the machines of `ends` wake on time until then."""
    now = start
    while now < until:
        times = [(when, end) for end in ends if (when := pair.ends[end].wakeup()) is not None]
        now, end = min(times, default=(until, ""))
        if now < until:
            pair.feed(end, Woke(), now)


def test_idle_links_live_by_echoes(pair: Pair) -> None:
    """Two idle ends keep each other alive, and measure the round trip."""
    dialled(pair)
    run(pair, "ab", 60.0)
    assert pair.down("a") == pair.down("b") == []
    assert any(isinstance(event, LinkMeasured) for event in pair.told["a"])


def test_a_silent_peer_is_dead_after_its_time(pair: Pair) -> None:
    """An end that hangs sends no echo; the other ends the link between dead_s and dead_s + 1."""
    dialled(pair)
    run(pair, "a", 4.0)
    (reason,) = pair.down("a")
    assert reason.startswith("silent for")


def test_a_large_frame_on_its_way_is_a_sign_of_life(pair: Pair) -> None:
    """On a slow link a frame takes longer than dead_s: its bytes count before it is whole."""
    dialled(pair)
    for tenth in range(60):
        pair.feed("a", LinkHeard(1), tenth / 10)
        run(pair, "a", (tenth + 1) / 10, tenth / 10)
    assert pair.down("a") == []


def test_a_link_that_takes_nothing_is_ended(pair: Pair) -> None:
    """What cannot be sent any more is as good as lost, and counted under its name."""
    dialled(pair)
    pair.feed("a", LinkStuck(1), 1.0)
    assert pair.down("a") == ["it takes nothing of what we send"]
    assert pair.ends["a"].dropped == {"link that takes nothing": 1}


def test_data_that_left_is_told_to_roles(pair: Pair) -> None:
    """Who reads for a peer learns when there is room for more."""
    dialled(pair)
    pair.feed("a", DataSent(1, 1000), 1.0)
    assert Sent(HIGH.node, 1000) in pair.told["a"]


def test_who_overslept_accuses_nobody(pair: Pair) -> None:
    """Waking late is our own fault: the other end gets time to be heard again."""
    dialled(pair)
    run(pair, "ab", 10.0)
    pair.feed("a", Woke(), 30.0)
    assert pair.down("a") == []
    run(pair, "a", 40.0, 30.0)
    assert len(pair.down("a")) == 1


def test_bye_ends_a_link_with_its_reason(pair: Pair) -> None:
    """A goodbye is no crash: both ends close and the reason is told."""
    dialled(pair)
    pair.do("a", pair.ends["a"].send(HIGH.node, Door.CONTROL, Bye("stopping"), None, 1.0), 1.0)
    assert pair.down("b") == ["bye: stopping"]
    assert pair.down("a") == ["closed"]


def test_a_link_to_oneself_is_refused() -> None:
    """Dialling an address that turns out to be our own leads nowhere."""
    machine = links(LOW)
    machine.handle(LinkOpened(1, Door.CONTROL, LOW.curve_public, AT), 0.0)
    hello = Hello(1, 1, LOW.node, "public", b"", 1, 1, AT)
    refusal, *_ = machine.handle(FrameReceived(1, hello), 0.0)
    assert refusal == SendFrame(1, Refused("this is yourself"))


def test_nothing_to_watch_means_no_wakeup(pair: Pair) -> None:
    """A node without links sleeps until something happens."""
    assert pair.ends["a"].wakeup() is None
    dialled(pair)
    assert pair.ends["a"].wakeup() is not None
