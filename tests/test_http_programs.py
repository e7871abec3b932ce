"""A leaf as a web server, with the programs of others: curl, libtorrent, aria2, a plain socket."""

import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest

from common.addresses import split_host_port
from tests.test_programs import command, ended, ready, start

pytestmark = pytest.mark.processes

MIB = 1024 * 1024
FILES = {
    "one": 1,
    "whole pieces.bin": 64 * 1024,
    "Ärger & Söhne 日本.bin": 3 * MIB + 5,
    "big.bin": 48 * MIB + 1,
    "empty": 0,
}


class Served(NamedTuple):
    """A leaf that serves a folder."""

    at: str  # HOST:PORT
    folder: Path
    home: Path

    def url(self, name: str, tail: str = "") -> str:
        """Where a file of the folder is."""
        rows = json.loads(command("leaf", "id", str(self.folder / name), "--json")[1])
        return f"http://{self.at}/f/{rows[0]['root']}/{tail}"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One for all tests: none of them changes a file that another reads."""
    folder, home = tmp_path_factory.mktemp("share"), tmp_path_factory.mktemp("home")
    for name, size in FILES.items():
        (folder / name).write_bytes(Random(name).randbytes(size))
    where = ("--home", str(home))
    process = start(
        *("leaf", "run", *where, "--listen", "127.0.0.1:0", "--no-lan"),
        *("--http", "127.0.0.1:0", "--share", str(folder)),
    )
    try:
        facts = ready(process)
        assert command("leaf", "share", "--wait", *where, "--timeout", "60")[0] == 0
        yield Served(facts["http"], folder, home)
    finally:
        assert ended(process, signal.SIGTERM) == 0


def ran(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    """A program of others, never by way of a proxy."""
    environment = {key: value for key, value in os.environ.items() if "proxy" not in key.lower()}
    return subprocess.run(arguments, capture_output=True, timeout=60, check=False, env=environment)


def needed(program: str) -> str:
    """Its path, or the test is skipped."""
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"{program} is not here")
    return path


@pytest.mark.parametrize("name", FILES)
def test_curl_reads_a_file(served: Served, tmp_path: Path, name: str) -> None:
    """All of it, under the name in the address; a second time it is known already."""
    curl, content = needed("curl"), (served.folder / name).read_bytes()
    url = served.url(name, "its%20name")
    tag = ("--etag-save", str(tmp_path / "tag"))
    assert ran(curl, "-sfO", *tag, "--output-dir", str(tmp_path), url).returncode == 0
    assert (tmp_path / "its%20name").read_bytes() == content
    known = ("--etag-compare", str(tmp_path / "tag"))
    assert ran(curl, "-sf", *known, "-w", "%{http_code}", url).stdout == b"304"


@pytest.mark.parametrize(
    ("asked", "part"), [("0-0", slice(0, 1)), ("5-99", slice(5, 100)), ("-7", slice(-7, None))]
)
def test_curl_reads_a_range(served: Served, asked: str, part: slice) -> None:
    """A piece out of the middle, the first byte, the last seven."""
    curl, name = needed("curl"), "Ärger & Söhne 日本.bin"
    got = ran(curl, "-sf", "-r", asked, "-w", "%{http_code}", served.url(name))
    assert got.stdout == (served.folder / name).read_bytes()[part] + b"206"


def test_curl_resumes(served: Served, tmp_path: Path) -> None:
    """From where it was interrupted."""
    curl, content = needed("curl"), (served.folder / "big.bin").read_bytes()
    (tmp_path / "got").write_bytes(content[: 40 * MIB])
    done = ran(curl, "-sf", "-C", "-", "-o", str(tmp_path / "got"), served.url("big.bin"))
    assert done.returncode == 0
    assert (tmp_path / "got").read_bytes() == content


def test_curl_is_told_what_it_cannot_have(served: Served) -> None:
    """404, 416 and 405 with one sentence; HEAD alone."""
    curl, url = needed("curl"), served.url("big.bin")
    status = ("-w", "%{http_code}")
    missing = ran(curl, "-s", *status, f"http://{served.at}/f/{'ab' * 32}/x").stdout
    assert missing.endswith(b".\n404")
    assert ran(curl, "-s", *status, "-r", "99999999999-", url).stdout.endswith(b".\n416")
    assert ran(curl, "-s", *status, "-d", "x" * 100_000, url).stdout.endswith(b".\n405")
    head = ran(curl, "-sfI", url).stdout
    assert f"Content-Length: {FILES['big.bin']}\r\n".encode() in head
    assert b"Accept-Ranges: bytes\r\n" in head


@pytest.mark.parametrize("name", ["one", "whole pieces.bin", "Ärger & Söhne 日本.bin"])
@pytest.mark.parametrize("kind", ["torrent", "magnet"])
def test_libtorrent_fetches_by_what_was_exported(
    served: Served, tmp_path: Path, name: str, kind: str
) -> None:
    """From the leaf alone, each piece proven by the layers that were exported."""
    libtorrent = pytest.importorskip("libtorrent")
    url = served.url(name)
    path = str(served.folder / name)
    torrent = tmp_path / "a.torrent"
    wanted = ("export", path, "--url", url)
    assert command("leaf", *wanted, "--torrent", "-o", str(torrent))[0] == 0
    params = libtorrent.load_torrent_file(str(torrent))
    if kind == "magnet":  # its web seed, with the metadata that another peer would bring
        link = command("leaf", *wanted, "--magnet")[1].strip()
        of_link = libtorrent.parse_magnet_uri(link)
        assert of_link.info_hashes == params.info_hashes
        params.url_seeds = of_link.url_seeds
    settings: dict[str, Any] = dict.fromkeys(
        ("enable_dht", "enable_lsd", "enable_upnp", "enable_natpmp"), False
    )
    settings["listen_interfaces"] = "127.0.0.1:0"
    settings["alert_mask"] = libtorrent.alert.category_t.all_categories
    session = libtorrent.session(settings)
    params.save_path = str(tmp_path)
    handle = session.add_torrent(params)
    until(session, lambda _alert: handle.status().is_seeding)
    handle.flush_cache()
    until(session, lambda alert: alert.what() == "cache_flushed")
    assert (tmp_path / name).read_bytes() == (served.folder / name).read_bytes()


def until(session: Any, done: Callable[[Any], bool]) -> None:
    """Hear what libtorrent says until it is done."""
    said: list[str] = []
    while session.wait_for_alert(30_000) is not None:
        for alert in session.pop_alerts():
            said.append(alert.message())
            if done(alert):
                return
    pytest.fail("\n".join(said[-20:]))


@pytest.mark.parametrize("name", ["one", "whole pieces.bin", "Ärger & Söhne 日本.bin", "big.bin"])
def test_aria2_fetches_by_a_metalink(served: Served, tmp_path: Path, name: str) -> None:
    """In several ranges at once, each piece checked with the hashes of the Metalink."""
    aria2 = needed("aria2c")
    target = tmp_path / "a.meta4"
    url = served.url(name)
    wanted = ("--url", url, "--metalink", "-o", str(target))
    assert command("leaf", "export", str(served.folder / name), *wanted)[0] == 0
    done = ran(
        *(aria2, "--no-conf", "-q", "--dir", str(tmp_path), "--check-integrity=true"),
        *("-x", "8", "-s", "8", "-k", "1M", "--metalink-file", str(target)),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / name).read_bytes() == (served.folder / name).read_bytes()


@pytest.mark.parametrize("name", ["one", "whole pieces.bin", "big.bin"])
@pytest.mark.parametrize("shouted", [False, True])
def test_a_leaf_of_another_network_fetches_by_a_link(
    served: Served, tmp_path: Path, name: str, shouted: bool
) -> None:
    """From the web alone, each piece proven; where the address is no leaf's (here it only does not
    look like one) the hashes are made by reading the file twice."""
    url = served.url(name)
    if shouted:
        scheme, _, root = url.rstrip("/").rpartition("/")
        url = f"{scheme}/{root.upper()}/"
    link = command("leaf", "export", str(served.folder / name), "--magnet", "--url", url)[1].strip()
    home = ("--home", str(tmp_path / "home"))
    process = start(
        *("leaf", "run", *home, "--listen", "127.0.0.1:0", "--no-lan", "--network", "other")
    )
    try:
        ready(process)
        code, out, err = command("leaf", "get", link, *home, "-o", f"{tmp_path}/", "--json")
        got = json.loads(out)
        assert (code, got["verified"], got["sources"]) == (0, True, 1), err
        assert (tmp_path / name).read_bytes() == (served.folder / name).read_bytes()
    finally:
        assert ended(process, signal.SIGTERM) == 0


def test_a_file_that_changes_while_it_is_read(tmp_path: Path) -> None:
    """The connection ends before its length: no wrong byte is ever sent; then it is not found."""
    share, home = tmp_path / "share", ("--home", str(tmp_path / "home"))
    share.mkdir()
    content = Random(1).randbytes(64 * MIB)
    (share / "a").write_bytes(content)
    process = start(
        *("leaf", "run", *home, "--listen", "127.0.0.1:0", "--no-lan"),
        *("--http", "127.0.0.1:0", "--share", str(share)),
    )
    try:
        host, port = split_host_port(ready(process)["http"])
        assert command("leaf", "share", "--wait", *home, "--timeout", "60")[0] == 0
        (row,) = json.loads(command("leaf", "id", str(share / "a"), "--json")[1])
        request = f"GET /f/{row['root']}/a HTTP/1.1\r\nHost: a\r\n\r\n".encode()
        with socket.create_connection((host, port)) as reader:
            reader.sendall(request)
            got = reader.recv(MIB)
            with (share / "a").open("r+b") as file:  # the same length, other bytes at the end
                file.seek(63 * MIB)
                file.write(bytes(MIB))
            try:
                while data := reader.recv(MIB):
                    got += data
            except ConnectionResetError:
                pass
        head, _, body = got.partition(b"\r\n\r\n")
        assert f"Content-Length: {len(content)}".encode() in head
        assert len(body) < len(content)
        assert body == content[: len(body)]
        with socket.create_connection((host, port)) as reader:
            reader.sendall(request)
            assert reader.recv(100).startswith(b"HTTP/1.1 404")
    finally:
        assert ended(process, signal.SIGTERM) == 0


def test_without_the_flag_nothing_is_served(tmp_path: Path) -> None:
    """READY says nothing of it."""
    home = ("--home", str(tmp_path))
    process = start("leaf", "run", *home, "--listen", "127.0.0.1:0", "--no-lan")
    assert list(ready(process)) == ["node", "listen", "page", "parent"]
    assert ended(process, signal.SIGTERM) == 0


def test_a_door_that_cannot_be_opened(served: Served, tmp_path: Path) -> None:
    """A taken port is exit 10 and names the holder; without a port, or elsewhere, exit 2."""
    run = ("leaf", "run", "--home", str(tmp_path), "--listen", "127.0.0.1:0", "--no-lan")
    code, out, err = command(*run, "--http", served.at)
    assert (code, out) == (10, "")
    assert f"{served.at} is taken by process" in err
    assert command(*run, "--http", "127.0.0.1")[0] == 2
    assert command(*run, "--http", "192.0.2.1:0")[0] == 2
