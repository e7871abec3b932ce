"""mDNS, here on loopback alone; what an entry may say, and on which interfaces it is spoken."""

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.addresses import Address
from common.ids import Identity, NodeId, node_text
from common.ladder import FOUND_MAX, LAN
from common.meeting import Seed
from common.network import Network
from common.shell.net import lan as module
from common.shell.net.lan import (
    ADDRESSES_MAX,
    NAME_BYTES_MAX,
    NETWORK_KEY,
    NODE_KEY,
    Entry,
    Interface,
    Lan,
    interfaces_of,
    read_entry,
    seeds_of,
    tag,
)

ME, OTHER, THIRD = (Identity(bytes([number]) * 32).node for number in (1, 2, 3))
LOOPBACK = [ipaddress.ip_interface("127.0.0.1/8")]
HOME = [ipaddress.ip_interface("192.168.1.5/24"), ipaddress.ip_interface("fd00::5/64")]
PORT = 4242


# --- entries --------------------------------------------------------------------------------------


def test_an_entry_is_a_network_a_key_and_a_port() -> None:
    """Anything else under our name is nobody's."""
    good: dict[str, str | None] = {NETWORK_KEY: "public", NODE_KEY: node_text(OTHER)}
    assert read_entry(good, PORT, ["10.0.0.1"]) == Entry("public", OTHER, PORT, ("10.0.0.1",))
    wrongs: list[dict[str, str | None]] = [
        {},
        {NETWORK_KEY: "public"},
        {**good, NODE_KEY: "short"},
        {**good, NODE_KEY: None},
        {**good, NETWORK_KEY: ""},
    ]
    for wrong in wrongs:
        assert read_entry(wrong, PORT, []) is None
    assert read_entry(good, None, []) is None
    assert read_entry(good, 0, []) is None


@given(
    st.dictionaries(st.sampled_from([NETWORK_KEY, NODE_KEY, "x"]), st.none() | st.text()),
    st.none() | st.integers(0, 65535),
    st.lists(st.text(max_size=40), max_size=5),
)
def test_no_entry_is_an_error(
    properties: dict[str, str | None], port: int | None, addresses: list[str]
) -> None:
    """Strangers write what they like; at worst it is passed over."""
    entry = read_entry(properties, port, addresses)
    if entry is not None:
        seeds_of(entry, "public", ME, HOME)


def test_only_addresses_on_our_own_networks_count() -> None:
    """No entry aims our pings at another place, nor at ourselves."""
    told = ("192.168.1.9", "8.8.8.8", "127.0.0.1", "10.0.0.1", "fd00::9", "fe80::9", "rubbish")
    entry = Entry("public", OTHER, PORT, told)
    assert seeds_of(entry, "public", ME, HOME) == tuple(
        Seed("", Address.of(host, PORT), OTHER, LAN) for host in ("192.168.1.9", "fd00::9")
    )
    many = Entry("public", OTHER, PORT, tuple(f"192.168.1.{number}" for number in range(10, 30)))
    assert len(seeds_of(many, "public", ME, HOME)) == ADDRESSES_MAX
    assert seeds_of(entry, "another", ME, HOME) == ()
    assert seeds_of(entry, "public", OTHER, HOME) == ()


def test_a_long_name_of_a_network_has_a_short_form() -> None:
    """A TXT record has no room for it; two long names stay two."""
    assert tag("public") == "public"
    long = "x" * (NAME_BYTES_MAX + 1)
    assert len(tag(long)) == 64
    assert tag(long) != tag(long + "x")


# --- interfaces -----------------------------------------------------------------------------------


def test_loopback_is_never_spoken_on() -> None:
    """Neither where it is listened on, nor as one of all."""
    for listen in ("127.0.0.1", "::1", "127.0.0.53"):
        assert interfaces_of(listen) == []
    for listen in ("0.0.0.0", "::"):
        found = interfaces_of(listen)
        assert not [each for each in found if each.ip.is_loopback]
    assert not [each for each in interfaces_of("0.0.0.0") if each.version == 6]


def test_one_address_is_one_interface() -> None:
    """A node that listens at one address speaks there alone."""
    for each in interfaces_of("::"):
        assert each in interfaces_of(str(each.ip))
        assert {other.ip for other in interfaces_of(str(each.ip))} == {each.ip}
    assert interfaces_of("192.0.2.77") == []


# --- on the wire ----------------------------------------------------------------------------------


class Ear:
    """Notes what a `Lan` tells; `until` waits for what a test wants to hear."""

    def __init__(self) -> None:
        self.seeds: list[Seed] = []
        self.problems: list[str] = []
        self._news = asyncio.Event()

    def __call__(self, seeds: tuple[Seed, ...], problem: str) -> None:
        self.seeds += seeds
        if problem:
            self.problems.append(problem)
        self._news.set()

    async def until(self, good: Callable[[], bool]) -> None:
        """Come back when it is so."""
        while not good():
            self._news.clear()
            await self._news.wait()


Made = Callable[..., tuple[Lan, Ear]]


@pytest.fixture
async def made() -> AsyncIterator[Made]:
    """Makes nodes on loopback; they are closed at the end."""
    open_ones: list[Lan] = []

    def make(
        node: NodeId, network: str = "test", interfaces: list[Interface] = LOOPBACK
    ) -> tuple[Lan, Ear]:
        ear = Ear()
        open_ones.append(Lan(Network(network), node, lambda: list(interfaces), ear))
        return open_ones[-1], ear

    yield make
    for each in open_ones:
        await each.close()


async def test_who_is_announced_is_found(made: Made) -> None:
    """With key and address; whoever announces himself does not find himself."""
    announced, own = made(OTHER)
    announced.announce(PORT)
    announced.seek(60.0)
    seeking, ear = made(ME)
    seeking.seek(60.0)
    await ear.until(lambda: bool(ear.seeds))
    assert ear.seeds == [Seed("", Address.of("127.0.0.1", PORT), OTHER, LAN)]
    late, late_ear = made(THIRD)
    late.announce(PORT + 1)
    await own.until(lambda: bool(own.seeds))
    assert {seed.node for seed in own.seeds} == {THIRD}
    assert late_ear.seeds == []


async def test_other_networks_are_not_told_of(made: Made) -> None:
    """The third, of our network, is announced after the others; once it is here, they were."""
    for node, network in ((OTHER, "other"), (THIRD, "test")):
        made(node, network)[0].announce(PORT)
    seeking, ear = made(ME)
    seeking.seek(60.0)
    await ear.until(lambda: bool(ear.seeds))
    assert {seed.node for seed in ear.seeds} == {THIRD}


async def test_what_is_known_is_told_again_when_it_is_sought_again(made: Made) -> None:
    """A leaf that looks a second time begins with nothing."""
    made(OTHER)[0].announce(PORT)
    seeking, ear = made(ME)
    seeking.seek(60.0)
    await ear.until(lambda: len(ear.seeds) == 1)
    seeking.seek(60.0)
    assert len(ear.seeds) == 2


async def test_who_leaves_is_forgotten(made: Made) -> None:
    """His goodbye is heard; only who is still there is told again."""
    leaving, _ = made(OTHER)
    leaving.announce(PORT)
    seeking, ear = made(ME)
    seeking.seek(60.0)
    await ear.until(lambda: len(ear.seeds) == 1)
    known = seeking._known
    leaving.announce(None)
    made(THIRD)[0].announce(PORT)
    await ear.until(lambda: len(ear.seeds) == 2)
    await leaving.close()
    while len(known) > 1:  # its goodbye is on the way
        await asyncio.sleep(0)
    seeking.seek(60.0)
    assert [seed.node for seed in ear.seeds] == [OTHER, THIRD, THIRD]


async def test_without_an_interface_the_reason_is_told(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And an error of the library as well; neither ends anything."""
    seeking, ear = made(ME, interfaces=[])
    seeking.seek(60.0)
    await ear.until(lambda: bool(ear.problems))
    assert ear.problems == ["mDNS has no interface here but loopback"]

    def broken(_interfaces: object) -> None:
        raise OSError("no such device")

    monkeypatch.setattr(module, "_opened", broken)
    wrong, other_ear = made(ME)
    wrong.seek(60.0)
    await other_ear.until(lambda: bool(other_ear.problems))
    assert other_ear.problems == ["mDNS does not work here: no such device"]


async def test_the_number_of_those_told_of_is_bounded(made: Made) -> None:
    """Whoever fills the LAN with names fills no memory."""
    seeking, ear = made(ME)
    seeds = (Seed("", Address.of("127.0.0.2", PORT), OTHER, LAN),)
    seeking._known.update({str(number): seeds for number in range(FOUND_MAX + 5)})
    seeking.seek(0.0)
    assert len(ear.seeds) == FOUND_MAX
