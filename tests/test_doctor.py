"""Doctor: each check alone."""

import os
import resource
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from common import wire
from common.addresses import Address
from common.core import DatagramReceived
from common.ids import Identity
from common.meeting import Facts, Meeting, Seed
from common.network import Network
from common.shell.desk import doctor
from common.shell.desk.holder import UNKNOWN, describe_holder
from common.shell.desk.home import Home, home_at
from common.shell.desk.pins import read_pins
from common.shell.disk.store import Store

NODE = Identity(bytes(32)).node


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home that is ready to be used."""
    home = home_at("leaf", tmp_path / "home")
    home.prepare()
    return home


@pytest.fixture
def answering() -> Iterator[Address]:
    """A UDP port where one ping is answered as a node would."""
    with socket.socket(type=socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        udp.settimeout(30)
        here = Address.of(*udp.getsockname())
        thread = threading.Thread(target=_answer, args=(udp,))
        thread.start()
        yield here
        thread.join()


def _answer(udp: socket.socket) -> None:
    body, (host, port, *_) = udp.recvfrom(2000)
    (ping,) = wire.decode(body, types=wire.DATAGRAM_TYPES)
    udp.sendto(b"noise", (host, port))
    meeting = Meeting(Network("lab"), Random(1))
    event = DatagramReceived(Address.of(host, port), ping)
    for effect in meeting.answer(event, Facts(NODE, None, 3, 150, 1.0)):
        udp.sendto(wire.frame([wire.encode(effect.message)]), (host, port))


def test_a_super_peer_that_answers(answering: Address) -> None:
    """With its load; noise is passed over."""
    check = doctor.asked(Seed("here", answering, NODE), Network("lab", bytes(32)), wait_s=30)
    assert check.state == doctor.OK
    assert "not checked by a ping" in check.detail
    assert "3 of 150 leaves" in check.detail


@pytest.mark.parametrize(
    ("node", "network", "why"),
    [(bytes(32), "lab", "not the one given"), (None, "other", "another network")],
)
def test_a_super_peer_that_is_another(
    answering: Address, node: bytes | None, network: str, why: str
) -> None:
    """A wrong key and a wrong network each have their fix."""
    check = doctor.asked(Seed("here", answering, node), Network(network), wait_s=30)
    assert (check.state, why in check.detail, bool(check.fix)) == (doctor.FAIL, True, True)


def test_a_super_peer_with_another_key_than_pinned(answering: Address, home: Home) -> None:
    """The key that this home has pinned counts; the fix names the place."""
    store = Store(home.state_file)
    store.remember_pin("here:1", bytes(32))
    store.close()
    pinned = read_pins(home)["here:1"]
    check = doctor.asked(Seed("here:1", answering), Network("lab"), pinned, 30)
    assert (check.state, "pins reset here:1" in check.fix) == (doctor.FAIL, True)


def test_reading_pins_changes_nothing(home: Home) -> None:
    """No store, or a broken one, is no pins; it is left as it is."""
    assert read_pins(home) == {}
    assert not home.state_file.exists()
    home.state_file.write_bytes(b"broken")
    assert read_pins(home) == {}
    assert home.state_file.read_bytes() == b"broken"


def test_nobody_answers() -> None:
    """Exit code 1 will say so."""
    with socket.socket(type=socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        where = Address.of(*silent.getsockname())
        assert doctor.asked(Seed("here", where), Network(), wait_s=0.01).state == doctor.FAIL


def test_unknown_hosts_have_a_fix() -> None:
    """No exception leaves a check."""
    (check,) = doctor.reachable("no-such-host.invalid", Network(), {})
    assert (check.state, bool(check.fix)) == (doctor.FAIL, True)


def test_keys(home: Home) -> None:
    """None yet, whole, open to others, damaged."""
    states = [doctor.key(home).state]
    home.key()
    states.append(doctor.key(home).state)
    home.key_file.chmod(0o644)
    states.append(doctor.key(home).state)
    home.key_file.write_bytes(b"x")
    states.append(doctor.key(home).state)
    assert states == [doctor.OK, doctor.OK, doctor.WARN, doctor.FAIL]


def test_homes(home: Home, tmp_path: Path) -> None:
    """One that is there, one that will be, one that cannot be."""
    assert doctor.folder(home).state == doctor.OK
    assert doctor.folder(home_at("leaf", tmp_path / "a/b/c")).state == doctor.OK
    (tmp_path / "file").touch()
    assert doctor.folder(home_at("leaf", tmp_path / "file/home")).state == doctor.FAIL


def test_ports() -> None:
    """Free; taken by others; held by our own daemon."""
    assert doctor.port(0, None, "leaf").state == doctor.OK
    with socket.socket() as held:
        held.bind(("", 0))
        held.listen()
        number = held.getsockname()[1]
        taken = {program: doctor.port(number, None, program) for program in ("leaf", "superpeer")}
        assert [each.state for each in taken.values()] == [doctor.WARN, doctor.WARN]
        assert ["by itself" in each.fix for each in taken.values()] == [True, False]
        elsewhere = doctor.Seen("127.0.0.1:9")
        assert doctor.port(number, 1, "leaf", elsewhere).state == doctor.OK
        told = describe_holder(number) != UNKNOWN
        assert doctor.port(number, os.getpid(), "leaf").state == (
            doctor.OK if told else doctor.WARN
        )


def test_daemons() -> None:
    """One that serves, one without a parent, one that says nothing; a super-peer needs none."""
    lonely = doctor.Seen("127.0.0.1:9", None, "nobody answered")
    assert doctor.daemon("leaf", doctor.Seen("127.0.0.1:9", {"address": "a:1"})).state == doctor.OK
    assert doctor.daemon("superpeer", doctor.Seen("127.0.0.1:9")).state == doctor.OK
    assert doctor.daemon("leaf", lonely).state == doctor.WARN
    assert "nobody answered" in doctor.daemon("leaf", lonely).detail
    assert doctor.daemon("leaf", None).state == doctor.WARN


def test_clocks_limits_and_systems() -> None:
    """What is plainly wrong is said, with a fix."""
    assert doctor.clock(0).state == doctor.WARN
    assert doctor.clock(1.9e9).state == doctor.OK
    assert doctor.descriptors(256, 512).state == doctor.WARN
    assert doctor.descriptors(256, resource.RLIM_INFINITY).state == doctor.OK
    assert doctor.system("win32").state == doctor.FAIL
    assert doctor.libzmq().state == doctor.OK
