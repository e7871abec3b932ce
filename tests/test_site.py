"""A tracker site: what is read from a file or a URL, and how little a bad one costs."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.addresses import Address, Scope
from common.ids import Identity, node_text
from common.meeting import Seed
from common.shell.desk import site
from common.shell.desk.site import ENTRIES_MAX, LIST_BYTES_MAX, ask_site

NODE = Identity(bytes(32)).node
LIST = f"""\
# the super-peers of our lab
127.0.0.1            # the old one
[::1]:7/{node_text(NODE)}

127.0.0.1:99999
no-such-host.invalid
127.0.0.1:5/short
"""
SEEDS = (
    Seed("127.0.0.1:1214", Address.of("127.0.0.1", 1214)),
    Seed("[::1]:7", Address.of("::1", 7), NODE),
)

Answer = Callable[[BaseHTTPRequestHandler], None]


class Served:
    """A web server on loopback that gives one answer, and counts how often it was asked."""

    def __init__(self) -> None:
        self.answer: Answer = lambda _handler: None
        self.asked = 0
        served = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                served.asked += 1
                served.answer(self)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def url(self) -> str:
        """Where the list is."""
        return f"http://127.0.0.1:{self._server.server_port}/list.txt"

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def served() -> Iterator[Served]:
    """A web server."""
    server = Served()
    yield server
    server.close()


def text(body: bytes, status: int = 200, **headers: str) -> Answer:
    """An answer with this body."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def test_a_file_names_super_peers(tmp_path: Path) -> None:
    """As a path or as a URL; bad lines are counted, the others hold."""
    path = tmp_path / "my list"
    path.write_text(LIST)
    for where in (str(path), path.as_uri()):
        seeds, problem = ask_site(where)
        assert seeds == SEEDS
        assert problem == f"3 of 5 lines of {where} are of no use"


def test_a_url_names_super_peers(served: Served) -> None:
    """The same list over HTTP; a site on loopback may speak of loopback."""
    served.answer = text(LIST.encode())
    assert ask_site(served.url).seeds == SEEDS


def test_a_site_speaks_within_its_scope(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """One out in the world names nobody on our loopback or in our LAN."""
    served.answer = text(b"127.0.0.1:1\n10.0.0.1:1\n8.8.8.8:1\n")
    for scope, hosts in (
        (Scope.LOOPBACK, ["127.0.0.1", "10.0.0.1", "8.8.8.8"]),
        (Scope.PRIVATE, ["10.0.0.1", "8.8.8.8"]),
        (Scope.PUBLIC, ["8.8.8.8"]),
    ):
        monkeypatch.setattr(site, "_scope_of", lambda _host, scope=scope: scope)
        assert [seed.address.host for seed in ask_site(served.url).seeds] == hosts


def test_scopes_of_hosts() -> None:
    """Who cannot be looked up is out in the world."""
    found = [site._scope_of(host) for host in ("127.0.0.1", "::1", "10.0.0.1", "8.8.8.8")]
    assert found == [Scope.LOOPBACK, Scope.LOOPBACK, Scope.PRIVATE, Scope.PUBLIC]
    assert site._scope_of("no-such-host.invalid") == site._scope_of("") == Scope.PUBLIC


def test_a_list_is_bounded(tmp_path: Path, served: Served) -> None:
    """In entries and in bytes, as a file and over HTTP, where it may never end."""
    path = tmp_path / "list"
    path.write_text("127.0.0.1:1\n" * (ENTRIES_MAX + 7))
    seeds, problem = ask_site(str(path))
    assert len(seeds) == ENTRIES_MAX
    assert problem == f"only the first {ENTRIES_MAX} entries of {path} are read"
    path.write_bytes(b"#" * (LIST_BYTES_MAX + 1))
    assert "longer than 64 KiB" in ask_site(str(path)).problem
    assert "longer than 64 KiB" in ask_site("/dev/zero").problem
    served.answer = text(b"x" * (LIST_BYTES_MAX + 1))
    assert "longer than 64 KiB" in ask_site(served.url).problem


def test_names_are_looked_up_for_so_long_only(tmp_path: Path) -> None:
    """What was found by then holds."""
    path = tmp_path / "list"
    path.write_text("127.0.0.1:1\n127.0.0.1:2\n127.0.0.1:3\n")
    ticks = iter((0.0, 1.0, 2.0, site.SITE_S + 1))
    seeds, problem = ask_site(str(path), clock=lambda: next(ticks))
    assert [seed.address.port for seed in seeds] == [1, 2]
    assert problem == f"not all names on {path} could be looked up"


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ("/nowhere/list", "No such file"),
        ("ftp://example.org/list", "ftp is not"),
        ("http://no-such-host.invalid/list", "cannot be read"),
        ("http://127.0.0.1:1/list", "refused"),
        ("http://[::1/list", "cannot be read"),
        ("http://127.0.0.1:99999/list", "cannot be read"),
        ("", "cannot be read"),
        ("\0", "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_a_problem_and_no_error(where: str, reason: str) -> None:
    """One sentence; the ladder goes on."""
    seeds, problem = ask_site(where)
    assert seeds == ()
    assert reason in problem
    assert len(problem.splitlines()) == 1


def test_bad_answers_are_problems(served: Served, tmp_path: Path) -> None:
    """A page that is not there, one that is no text or no HTTP, a way in circles or to a file."""
    secret = tmp_path / "secret"
    secret.write_text("127.0.0.1:1\n")
    for answer, reason in (
        (text(b"", 404), "Not Found"),
        (text(b"\xff\xfe\xff"), "is no text"),
        (lambda handler: handler.wfile.write(b"hello\r\n\r\n"), "cannot be read"),
        (text(b"", 302, Location=served.url), "cannot be read"),
        (text(b"", 302, Location=secret.as_uri()), "cannot be read"),
        (text(b"", 302, Location="ftp://127.0.0.1/x"), "cannot be read"),
        (text(b"short", 200, **{"Content-Length": "100"}), ""),
    ):
        served.answer = answer
        seeds, problem = ask_site(served.url)
        assert seeds == ()
        assert reason in problem
        assert len(problem.splitlines()) <= 1


@given(st.binary(max_size=300))
def test_no_list_is_an_error(tmp_path_factory: pytest.TempPathFactory, body: bytes) -> None:
    """Whatever stands in it: seeds that can be used, or a sentence."""
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(body.replace(b".", b":"))  # no names that would be asked of a server
    seeds, _ = ask_site(str(path))
    assert all(seed.address.is_a_place for seed in seeds)
