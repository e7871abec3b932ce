"""The race of distribution programs: the smallest one of each, its arithmetic and its tracker."""

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener

import msgspec
import pytest

from tests.bench import race
from tests.bench.course import MBIT, Job, rates_of
from tests.bench.racers import IS_HERE
from tests.bench.told import ROOT
from tests.bench.tracker import Tracker, bencode, make_v1

SMALLEST = ("--downloaders", "2", "--mib", "1", "--timeout", "60")


def raced(*arguments: str, **environ: str) -> list[dict[str, Any]]:
    """The lines of a race that goes well."""
    run = subprocess.run(
        [sys.executable, "-m", "tests.bench.race", *SMALLEST, *arguments],
        cwd=ROOT,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return [msgspec.json.decode(line) for line in run.stdout.splitlines()]


# --- real programs --------------------------------------------------------------------------------


@pytest.mark.processes
@pytest.mark.parametrize("client", ["ours", "libtorrent", "aria2", "http"])
def test_each_client_brings_the_file_to_all(tmp_path: Path, client: str) -> None:
    """Byte for byte, with its times and what it cost, and nothing is left behind."""
    if not IS_HERE[client]():
        pytest.skip(f"{client} is not here")
    line, last = raced("--clients", client, "--folder", str(tmp_path))
    assert (line["client"], line["job"], line["missing"]) == (client, "loopback", False)
    assert (line["finished"], line["verified"]) == (2, True)
    assert 0 < line["first_s"] <= line["median_s"] <= line["last_s"]
    assert line["cpu_s_per_gb"] >= 0
    assert line["seed_rss_mib"] > 0
    assert {"cpu_s", "helpers_cpu_s", "elsewhere_cpu_s", "rss_mib"} <= line.keys()
    assert last == {"bench": "race", "ratios": {"loopback": {}}}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.processes
def test_what_is_not_installed_is_told_and_skipped(tmp_path: Path) -> None:
    """A line of its own, and no error."""
    *lines, last = raced("--clients", "aria2", "http", PATH=str(tmp_path))
    assert [(line["client"], line["missing"]) for line in lines] == [
        ("aria2", True),
        ("http", True),
    ]
    assert last["ratios"] == {"loopback": {}}


@pytest.mark.processes
def test_on_shaped_links_the_bound_is_told() -> None:
    """In namespaces, two rounds, ours to HTTP."""
    clients = ["ours", "http"] if IS_HERE["http"]() else ["ours"]
    lines = raced("--job", "star", "--clients", *clients, "--up", "100", "--rounds", "2")
    if "skipped" in lines[0]:
        pytest.skip(lines[0]["skipped"])
    for line in lines[:-1]:
        assert (line["finished"], line["verified"], line["rounds"]) == (2, True, 2)
        assert line["bound_s"] == pytest.approx(2**20 * 1514 / 1448 / (40 * MBIT), rel=0.01)
        assert line["to_bound"] > 0
        assert len(line["last_s_of_rounds"]) == 2
    ratios = lines[-1]["ratios"]["star"]
    assert all(ratios[client]["last_s"] > 0 for client in clients[1:])


# --- arithmetic -----------------------------------------------------------------------------------


def star(up: str, down: str, downloaders: int = 8, mib: int = 32) -> Job:
    """A job on shaped links."""
    up_rates, down_rates = (rates_of(text, downloaders + 1) for text in (up, down))
    return Job("star", downloaders, mib * 2**20, 65536, up_rates, down_rates)


@pytest.mark.parametrize(
    ("job", "seconds"),
    [
        (star("20,10", "100,40"), 8 * 32 * 2**20 / (100 * MBIT)),  # all that can be sent
        (star("2,100", "100,40"), 32 * 2**20 / (2 * MBIT)),  # the seed once
        (star("100,100", "100,40,1"), 32 * 2**20 / (1 * MBIT)),  # the slowest taker
    ],
)
def test_the_bound_is_the_scarcest_of_three(job: Job, seconds: float) -> None:
    """The seed's first copy, the slowest downlink, all uplinks together; headers are charged."""
    assert job.bound_s() == pytest.approx(seconds * 1514 / 1448)


def test_without_limits_there_is_no_bound() -> None:
    """Neither on loopback nor where a link has no rate."""
    assert Job("loopback", 8, 2**28, 2**20).bound_s() is None
    assert star("0", "40").bound_s() is None


def test_rates_repeat_or_are_spread() -> None:
    """The last one repeats; a range is spread evenly in the logarithm."""
    assert rates_of("20,10", 4) == [20 * MBIT, 10 * MBIT, 10 * MBIT, 10 * MBIT]
    assert rates_of("20,10,5", 2) == [20 * MBIT, 10 * MBIT]
    assert rates_of("20,2..50", 4) == pytest.approx([20 * MBIT, 2 * MBIT, 10 * MBIT, 50 * MBIT])
    for wrong in ("", "fast", "20,", "-1", "nan", "2..", "1..x", "0..5"):
        with pytest.raises(ValueError):
            rates_of(wrong, 4)


def test_ratios_are_medians_over_rounds_and_not_of_medians() -> None:
    """Each round is a pair of its own; one that did not finish does not count."""
    ours = [{"last_s": 1.0}, {"last_s": 6.0}, {"last_s": 2.0}, {}]
    theirs = [{"last_s": 2.0}, {"last_s": 6.0}, {"last_s": 8.0}, {"last_s": 1.0}]
    assert race.ratios({"ours": ours, "http": theirs}) == {"http": {"last_s": 0.5}}


def test_of_rounds_the_worst_counts_where_all_must_be_well() -> None:
    """How many finished, and whether the files are right; times are medians."""
    good = {"finished": 2, "verified": True, "last_s": 1.0}
    bad = {"finished": 1, "verified": False}
    told = race.medians([good, bad, {**good, "last_s": 3.0}])
    assert told == {"finished": 1, "verified": False, "last_s": 2.0, "last_s_of_rounds": [1.0, 3.0]}


def test_one_wrong_byte_is_seen(tmp_path: Path) -> None:
    """Also in the middle, also where nothing is at all."""
    one, other = tmp_path / "one", tmp_path / "other"
    data = bytearray(os.urandom(3 * 2**20 + 5))
    one.write_bytes(data)
    assert not race.same(one, other)
    other.write_bytes(data)
    assert race.same(one, other)
    data[2**20 + 7] ^= 1
    other.write_bytes(data)
    assert not race.same(one, other)
    other.write_bytes(one.read_bytes()[:-1])
    assert not race.same(one, other)


# --- the tracker ----------------------------------------------------------------------------------


def test_the_tracker_tells_who_came_before(capfd: pytest.CaptureFixture[str]) -> None:
    """In compact form, never oneself; who lacks nothing is told as a seed."""
    tracker = Tracker("127.0.0.1")
    serving = threading.Thread(target=tracker.serve_forever)
    serving.start()
    directly = build_opener(ProxyHandler({}))

    def announce(query: str) -> bytes:
        url = f"http://127.0.0.1:{tracker.server_port}/announce?info_hash=%ff%00&{query}"
        with directly.open(url) as answer:
            body: bytes = answer.read()
            return body

    def told(*ports: int) -> bytes:
        peers = b"".join(b"\x7f\0\0\x01" + port.to_bytes(2, "big") for port in ports)
        return bencode({b"interval": 60, b"peers": peers})

    try:
        assert announce("port=6881&left=0") == told()
        assert announce("port=6882&left=9") == told(6881)
        assert announce("port=6881&left=0") == told(6882)
        assert announce("port=6882&left=9&event=stopped") == told(6881)
        assert announce("port=6883&left=9") == told(6881)
        with pytest.raises(HTTPError):
            announce("port=70000&left=9")
    finally:
        tracker.shutdown()
        serving.join()
        tracker.server_close()
    assert capfd.readouterr().out.splitlines() == ["seed 127.0.0.1:6881"] * 2


def test_a_v1_torrent_is_one_that_libtorrent_reads(tmp_path: Path) -> None:
    """Name, size, pieces and tracker."""
    libtorrent = pytest.importorskip("libtorrent")
    source, torrent = tmp_path / "a file", tmp_path / "v1.torrent"
    source.write_bytes(os.urandom(100_000))
    make_v1(source, torrent, 32768, "http://127.0.0.1:1/announce")
    read = libtorrent.load_torrent_file(str(torrent))
    assert (read.ti.name(), read.ti.total_size(), read.ti.num_pieces()) == ("a file", 100_000, 4)
    assert read.trackers == ["http://127.0.0.1:1/announce"]
