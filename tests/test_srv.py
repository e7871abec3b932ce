"""DNS SRV, asked of a small name server on loopback."""

import socket
import threading
from collections.abc import Iterator

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from dns.resolver import Resolver

from common.addresses import Address
from common.meeting import Seed
from common.shell.desk import srv
from common.shell.desk.srv import RECORDS_MAX, ask_srv

NAME = "_superpeer._tcp.example.org."


class NameServer:
    """Answers every question with the records that a test gives; empty: there is no such name."""

    def __init__(self) -> None:
        self.records: list[str] = []
        self.asked: list[str] = []
        self.garbage = b""
        self._socket = socket.socket(type=socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    @property
    def resolver(self) -> Resolver:
        """Asks here alone."""
        resolver = Resolver(configure=False)
        resolver.nameservers = ["127.0.0.1"]
        resolver.port = int(self._socket.getsockname()[1])
        return resolver

    def close(self) -> None:
        """End it."""
        with socket.socket(type=socket.SOCK_DGRAM) as last:
            last.sendto(b"", self._socket.getsockname())
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            body, address = self._socket.recvfrom(4096)
            if not body:
                return
            query = dns.message.from_wire(body)
            self.asked.append(query.question[0].name.to_text())
            answer = dns.message.make_response(query)
            answer.flags |= dns.flags.AA
            if self.records:
                answer.answer.append(dns.rrset.from_text_list(NAME, 60, "IN", "SRV", self.records))
            else:
                answer.set_rcode(dns.rcode.NXDOMAIN)
            self._socket.sendto(self.garbage or answer.to_wire(), address)


@pytest.fixture
def server() -> Iterator[NameServer]:
    """A name server."""
    name_server = NameServer()
    yield name_server
    name_server.close()


def test_records_name_super_peers(server: NameServer) -> None:
    """The first priority first; a host that nobody knows is told of, and one that means `none`."""
    server.records = [
        "20 5 7 localhost.",
        "10 5 1214 127.0.0.1.",
        "30 5 9 no-such-host.invalid.",
        "40 5 0 localhost.",
    ]
    seeds, problem = ask_srv("Example.org.", server.resolver)
    assert seeds[0] == Seed("127.0.0.1:1214", Address.of("127.0.0.1", 1214))
    assert {(seed.place, seed.address.port) for seed in seeds[1:]} == {("localhost:7", 7)}
    assert problem == "1 of the hosts of _superpeer._tcp.Example.org are unknown"
    assert server.asked == ["_superpeer._tcp.Example.org."]


def test_a_domain_without_records_is_a_problem_and_no_error(server: NameServer) -> None:
    """One sentence that names what was asked for."""
    seeds, problem = ask_srv("example.org", server.resolver)
    assert seeds == ()
    assert problem.startswith("no answer for the SRV records of _superpeer._tcp.example.org: ")


def test_records_are_bounded(server: NameServer) -> None:
    """Each costs a name to be looked up."""
    server.records = [f"1 1 {port} 127.0.0.1." for port in range(1, RECORDS_MAX + 9)]
    assert len(ask_srv("example.org", server.resolver).seeds) == RECORDS_MAX


@pytest.mark.parametrize("domain", ["", "a..b", "x" * 300, "\ud800", "exa mple.org"])
def test_what_is_no_domain_is_a_problem(server: NameServer, domain: str) -> None:
    """Nothing that a person types is an error here."""
    seeds, problem = ask_srv(domain, server.resolver)
    assert (seeds, bool(problem)) == ((), True)


def test_garbage_is_waited_out(server: NameServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that answers rubbish costs the time that it has, not more."""
    monkeypatch.setattr(srv, "SRV_S", 0.1)
    server.garbage = b"\xff" * 20
    seeds, problem = ask_srv("example.org", server.resolver)
    assert (seeds, bool(problem)) == ((), True)
