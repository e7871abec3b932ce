"""Pings and pongs: sizes, refusals, and which pong is believed."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from common import wire
from common.addresses import Address
from common.core import DatagramReceived, SendDatagram
from common.limits import PING_BYTES
from common.meeting import ASKED_MAX, OTHER_NETWORK, Facts, Meeting, padded_ping
from common.messages.fields import Contact, Message
from common.messages.link import Ping, Pong
from common.network import Network

THERE = Address.of("10.0.0.1", 1214)
HERE = Address.of("2001:db8::1", 1214)
NETWORK = Network("lab")


def facts(others: int = 0) -> Facts:
    contacts = tuple(Contact(bytes([number]) * 32, HERE) for number in range(others))
    return Facts(b"n" * 32, Contact(b"n" * 32, THERE), 3, 150, 60.5, contacts)


def size(message: Message) -> int:
    return len(wire.frame([wire.encode(message)]))


def meeting(network: Network = NETWORK) -> Meeting:
    return Meeting(network, Random(1))


def pong_to(sent: SendDatagram, others: int = 0) -> DatagramReceived:
    """What the place that was pinged answers."""
    asked = DatagramReceived(HERE, sent.message)
    (answer,) = meeting().answer(asked, facts(others))
    return DatagramReceived(sent.address, answer.message)


@given(st.text(max_size=60))
def test_a_ping_fills_its_length(name: str) -> None:
    """Whatever the network is called, a ping is PING_BYTES long."""
    assert size(padded_ping(bytes(16), Network(name))) == PING_BYTES


@settings(max_examples=50)
@given(st.integers(0, 200), st.integers(0, PING_BYTES))
def test_a_pong_is_never_longer_than_its_ping(others: int, padding: int) -> None:
    """Others are left out until it fits; a ping too short for any pong gets none (T4)."""
    ping = Ping(bytes(16), NETWORK.name, bytes(padding))
    sent = meeting().answer(DatagramReceived(HERE, ping), facts(others))
    assert all(size(datagram.message) <= size(ping) for datagram in sent)
    assert len(sent) == (padding > 150) or 20 < padding <= 150


def test_a_pong_tells_the_facts() -> None:
    """Key, super-peer, load and where the ping came from; as many others as fit."""
    answer = pong_to(meeting().ask("a", THERE), others=40).message
    assert isinstance(answer, Pong)
    assert (answer.node, answer.leaves, answer.leaves_max, answer.uptime_s) == (
        b"n" * 32,
        3,
        150,
        60,
    )
    assert (answer.superpeer, answer.observed) == (Contact(b"n" * 32, THERE), HERE)
    assert len(answer.others) == 16


def test_another_network_learns_nothing() -> None:
    """The refusal holds neither our key nor our network's name."""
    ping = padded_ping(bytes(16), Network("elsewhere"))
    (answer,) = meeting().answer(DatagramReceived(HERE, ping), facts(3))
    pong = answer.message
    assert isinstance(pong, Pong)
    assert (pong.refusal, pong.network, pong.node) == (OTHER_NETWORK, "", bytes(32))
    assert (pong.superpeer, pong.leaves, pong.others) == (None, 0, ())


def test_a_pong_is_believed_once_and_only_by_its_nonce() -> None:
    """The key of the ping comes back with the pong; a second or a foreign pong is nobody's."""
    asker = meeting()
    event = pong_to(asker.ask("place", THERE))
    assert asker.heard(DatagramReceived(THERE, padded_ping(bytes(16), NETWORK))) is None
    assert asker.heard(event) == ("place", event.message)
    assert asker.heard(event) is None


def test_a_forgotten_ping_has_no_pong() -> None:
    """After `forget`, and after a second ping under the same key, the first pong is too late."""
    asker = meeting()
    first, second = pong_to(asker.ask("a", THERE)), pong_to(asker.ask("a", THERE))
    assert asker.heard(first) is None
    asker.forget("a")
    assert asker.heard(second) is None


def test_pings_under_way_are_bounded() -> None:
    """The oldest gives way."""
    asker = meeting()
    first = pong_to(asker.ask(0, THERE))
    for number in range(1, ASKED_MAX + 1):
        last = asker.ask(number, THERE)
    assert asker.heard(first) is None
    assert asker.heard(pong_to(last)) is not None
