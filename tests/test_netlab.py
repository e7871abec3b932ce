"""Hosts in namespaces: the commands, the switch, and one tiny network on shaped links."""

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import Exit, UserError
from deploy import hosts
from deploy.hosts import Access
from deploy.netlab import __main__ as netlab
from deploy.netlab import wiring
from deploy.netlab.machine import Machine, clean_leftovers
from deploy.netlab.switch import QUEUE_BYTES, QUEUE_S, Fabric, Plan, mac
from deploy.report import Report
from deploy.scenario import Hosts, Overlay, Scenario

LAB = wiring.lab_name(77)
TO_ALL = b"\xff" * 6

SCENARIO = """
super_peers = 2
leaves = 2

[hosts]
delay_max_s = 0.004
up_min = 400000
up_max = 4000000
down_min = 400000
down_max = 4000000

[overlay]
delay_max_s = 0.004

[content]
files = 6
size_max = 30000

[[phases]]
name = "downloads"
gets = 2

[[phases]]
name = "a leaf is cut off"
faults = [{ at_s = 0, cut = ["leaf 1"], for_s = 0.5 }]

[[phases]]
name = "all is found"
leaves_per_file = 2
"""


@pytest.mark.processes
def test_a_tiny_network_on_shaped_links_finds_everything(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rates, delays and a cut under real nodes; nothing of it is left behind."""
    path = tmp_path / "tiny.toml"
    path.write_text(SCENARIO)
    code = netlab.main([str(path), "--json", "--work", str(tmp_path / "work")])
    printed = capsys.readouterr()
    if "skipped" in (document := msgspec.json.decode(printed.out)):
        pytest.skip(document["skipped"])
    report = msgspec.convert(document, Report)
    assert (code, report.world, report.violations) == (Exit.DONE, "netlab", 0), printed.err
    assert (report.recall, report.coverage) == (1.0, 1.0)
    assert report.downloads_complete == report.downloads > 0
    lab = wiring.lab_name(os.getpid())
    assert [name for name in Machine().namespaces() if name.startswith(lab)] == []


def test_where_no_lab_can_be_made_it_is_skipped(tmp_path: Path) -> None:
    """One line that says why, a document for scripts, and no error."""
    path = tmp_path / "tiny.toml"
    path.write_text(SCENARIO)
    run = subprocess.run(
        [sys.executable, "-m", "deploy.netlab", str(path), "--json"],
        env={**os.environ, "PATH": str(tmp_path)},  # neither `ip` nor `tc` are there
        cwd=Path(netlab.__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    reason = msgspec.json.decode(run.stdout)["skipped"]
    assert (run.returncode, run.stderr) == (Exit.DONE, f"skipped: {reason}\n")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[churn]\nprofile = 'gnutella'", "churn.profile"),
        ("[[hostile]]\nkind = 'silent'", "hostile"),
    ],
)
def test_what_a_lab_cannot_do_the_simulator_can(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, key: str
) -> None:
    """It is refused before anything is made."""
    path = tmp_path / "other.toml"
    path.write_text(f"super_peers = 1\nleaves = 1\n{text}\n")
    assert netlab.main([str(path)]) == Exit.USAGE
    said = capsys.readouterr().err
    assert key in said
    assert "deploy.sim other" in said


# --- access links ---------------------------------------------------------------------------------


def test_access_is_drawn_for_each_host_by_itself() -> None:
    """Within the bounds, the same for a seed, another for another host."""
    asked = Scenario(
        super_peers=1,
        leaves=9,
        hosts=Hosts(delay_min_s=0.01, delay_max_s=0.02, up_min=1e3, up_max=1e6),
    )
    drawn = [hosts.access(asked, "leaf", number) for number in range(9)]
    assert drawn == [hosts.access(asked, "leaf", number) for number in range(9)]
    assert len({*drawn}) == 9
    for each in drawn:
        assert 0.01 <= each.delay_s <= 0.02
        assert 999 <= each.up_rate <= 1_000_001
        assert each.down_rate == 0


def test_rates_are_spread_over_the_orders_of_magnitude() -> None:
    """As many below the geometric mean of the bounds as above it."""
    asked = Scenario(super_peers=1, leaves=0, hosts=Hosts(down_min=1e3, down_max=1e7))
    low = sum(hosts.access(asked, "leaf", number).down_rate < 1e5 for number in range(400))
    assert 150 < low < 250


def test_each_link_of_the_overlay_has_its_delay() -> None:
    """One for each edge, or none at all."""
    asked = Scenario(super_peers=4, leaves=0, overlay=Overlay(delay_min_s=0.1, delay_max_s=0.2))
    delays = hosts.link_delays(asked)
    assert sorted(delays) == asked.edges()
    assert all(0.1 <= delay_s <= 0.2 for delay_s in delays.values())
    assert hosts.link_delays(Scenario(super_peers=4, leaves=0)) == {}


# --- commands -------------------------------------------------------------------------------------


def test_a_host_on_the_bridge_is_shaped_at_both_ends() -> None:
    """What it sends at its own device, what it takes in at its port; bytes/s, as tc's `bps`."""
    commands = wiring.host_on_bridge(LAB, 3, Access(0.0, 1e6, 5e7))
    shaping = [command for command in commands if command[0] == "tc"]
    assert [" ".join(command) for command in shaping] == [
        "tc -n splab77-3 qdisc add dev eth0 root tbf rate 1000000bps burst 15140 latency 50ms",
        "tc -n splab77-hub qdisc add dev p3 root tbf rate 50000000bps burst 100000 latency 50ms",
    ]


def test_a_delay_of_the_kernel_comes_before_the_rate() -> None:
    """The one queue feeds the other; without either there is none."""
    late, slow = wiring.shaped("ns", "eth0", 1e6, 0.0125)
    assert late[6:12] == ("eth0", "root", "handle", "1:", "netem", "delay")
    assert late[12] == "12500us"
    assert slow[6:10] == ("eth0", "parent", "1:1", "tbf")
    assert wiring.shaped("ns", "eth0", 0.0, 0.0) == []
    assert [command[7:9] for command in wiring.shaped("ns", "eth0", 0.0, 1.0)] == [
        ("root", "netem")
    ]


def test_a_host_on_the_switch_gets_a_device_with_its_number() -> None:
    """The switch knows it by its address, and shapes what it takes in."""
    commands = wiring.host_on_switch(LAB, 258, Access(0.5, 1e6, 1e6))
    assert commands[1][-4:] == ("name", "eth0", "address", "02:00:00:00:01:02")
    assert sum(command[0] == "tc" for command in commands) == 1


def test_hosts_have_addresses_of_their_own() -> None:
    """No two alike, none that stands for a network."""
    addresses = [wiring.address(host) for host in range(600)]
    assert len({*addresses}) == 600
    assert (addresses[0], addresses[255]) == ("10.77.0.1", "10.77.1.0")


def test_every_command_names_a_namespace_of_the_lab() -> None:
    """Nothing of the machine's own network is touched."""
    access = Access(0.1, 1e6, 1e6)
    commands = [
        *wiring.hub_with_bridge(LAB),
        *wiring.host_on_bridge(LAB, 1, access),
        *wiring.host_on_switch(LAB, 2, access),
        *wiring.cut_off(LAB, 1, [1, 2]),
        *wiring.healed(LAB, 1, [1, 2]),
    ]
    for command in commands:
        named = [after for word, after in pairwise(command) if word in ("-n", "netns", "add")]
        assert any(name.startswith(f"{LAB}-") for name in named), command


def test_only_what_a_lab_made_is_removed() -> None:
    """Another lab's, and what looks alike, stays."""
    there = ["splab77-hub", "splab77-0", "splab771-0", "splab7-0", "web", "splab77"]
    assert wiring.removed(there, LAB) == [
        ("ip", "netns", "del", "splab77-hub"),
        ("ip", "netns", "del", "splab77-0"),
    ]
    assert [wiring.maker(name) for name in there] == [77, 77, 771, 7, None, None]


class Pretended(Machine):
    """A machine that only notes what it should do."""

    def __init__(self, namespaces: list[str]) -> None:
        self.there = namespaces

    def namespaces(self) -> list[str]:
        """Those that were given."""
        return list(self.there)

    def attempt(self, command: wiring.Command) -> str:  # type: ignore[override]
        """Only removing is known."""
        assert command[:3] == ("ip", "netns", "del")
        self.there.remove(command[3])
        return ""


def test_leftovers_of_the_dead_are_cleaned() -> None:
    """A lab goes when its maker is gone; the living and strangers keep theirs."""
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    ours, dead = wiring.lab_name(os.getpid()), wiring.lab_name(gone.pid)
    machine = Pretended([f"{ours}-0", f"{dead}-hub", f"{dead}-1", "web"])
    assert clean_leftovers(machine) == [f"{dead}-hub", f"{dead}-1"]
    assert machine.there == [f"{ours}-0", "web"]


def test_a_command_that_fails_is_an_error_with_its_words() -> None:
    """What was run, and what it said."""
    with pytest.raises(UserError, match=r"`.*python.*` failed: no such thing"):
        Machine().run_all([(sys.executable, "-c", "raise SystemExit('no such thing')")])


# --- the switch -----------------------------------------------------------------------------------


def frame(to: int | None, size: int = 100, mark: bytes = b"") -> bytes:
    """An Ethernet frame to a host, or to all."""
    return (TO_ALL if to is None else mac(to)) + mark.ljust(size - 6, b"\0")


def fabric(*delays_s: float, rates: list[float] | None = None) -> Fabric:
    """Hosts with these delays."""
    return Fabric(Plan(list(delays_s), rates or [0.0] * len(delays_s)))


def test_a_frame_takes_the_way_of_both_hosts_and_of_their_link() -> None:
    """Their delays add up, and what the link has more."""
    switch = Fabric(Plan([0.01, 0.02, 0.0], [0.0] * 3, [(1, 0, 0.03)]))
    switch.came(0, frame(1), 5.0)
    switch.came(0, frame(2), 5.0)
    assert switch.next_at == pytest.approx(5.01)
    assert [host for host, _ in switch.due(5.02)] == [2]
    assert list(switch.due(5.059)) == []
    assert list(switch.due(5.061)) == [(1, frame(1))]
    assert switch.next_at is None


def test_a_frame_to_all_reaches_all_others() -> None:
    """As an address query must."""
    switch = fabric(0.0, 0.0, 0.0)
    switch.came(1, frame(None), 0.0)
    assert [host for host, _ in switch.due(0.0)] == [0, 2]


def test_frames_to_nobody_are_dropped() -> None:
    """A number beyond the hosts, or an address of another kind."""
    switch = fabric(0.0, 0.0)
    switch.came(0, frame(7), 0.0)
    switch.came(0, b"\x00\x16" + frame(1)[2:], 0.0)
    assert switch.next_at is None


def test_who_is_cut_off_reaches_only_his_own_part() -> None:
    """Both ways, until it is healed."""
    switch = fabric(0.0, 0.0, 0.0)
    switch.part([0, 1, 1])
    for source, to in ((0, 1), (1, 0), (1, 2)):
        switch.came(source, frame(to), 0.0)
    assert [host for host, _ in switch.due(0.0)] == [2]
    switch.part([0, 0, 0])
    switch.came(0, frame(1), 1.0)
    assert [host for host, _ in switch.due(1.0)] == [1]


def test_a_slow_link_takes_frames_one_after_another_and_loses_what_waits_too_long() -> None:
    """At 100,000 bytes/s a frame of 1,000 takes 10 ms, and a queue's length of them waits."""
    switch = fabric(0.0, 0.0, rates=[0.0, 100_000.0])
    for _ in range(40):
        switch.came(0, frame(1, 1000), 0.0)
    assert list(switch.due(0.0)) == []
    assert len(list(switch.due(0.0101))) == 1
    assert len(list(switch.due(9.0))) == (QUEUE_S * 100_000 + QUEUE_BYTES) // 1000


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.floats(0, 0.1)), max_size=40),
    st.lists(st.sampled_from([0.0, 5_000.0, 1e6]), min_size=3, max_size=3),
)
def test_between_two_hosts_frames_keep_their_order(
    sent: list[tuple[int, int, float]], rates: list[float]
) -> None:
    """Whatever the delays and rates are, nothing overtakes on one way, nothing is made up."""
    switch, now = fabric(0.01, 0.03, 0.0, rates=rates), 0.0
    arrived: list[tuple[int, bytes]] = []
    for number, (source, to, pause_s) in enumerate(sent):
        now += pause_s
        arrived += switch.due(now)
        switch.came(source, frame(to, mark=bytes([source, number])), now)
    arrived += switch.due(now + 10.0)
    for source in range(3):
        for to in range(3):
            seen = [data[7] for host, data in arrived if host == to and data[6] == source]
            assert seen == sorted({*seen})
