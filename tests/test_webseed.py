"""Which bytes a request over HTTP gets: the pure half."""

from random import Random

import pytest

from common.config import SwarmConfig
from common.core import Effect, Event, Woke
from common.ids import Identity
from common.storage import (
    FilesShared,
    FilesUnshared,
    FollowShare,
    ReadFailed,
    ReadShared,
    Restored,
    SharedFile,
)
from common.web.http import Request
from common.web.web import SPAN_BYTES_MAX, WebAsked, WebBody, WebBreak, WebHead, WebLeft, WebTaken
from leaf.downloads.downloads import Downloads
from leaf.library.library import Library
from leaf.links.links import BulkLinks
from leaf.methods import GetResult
from leaf.uploads.stock import Stock
from leaf.uploads.webseed import WebSeed
from tests.leaf_scene import begun, content, network
from tests.leaf_world import World
from tests.memory_disk import MemoryDisk, tree_of

DATA = Random(1).randbytes(3 * SPAN_BYTES_MAX + 5)
ROOT = tree_of(DATA).root
PATH = f"/f/{ROOT.hex()}/file.bin"


class Web:
    """The machine with one shared file, and an empty one, on a disk in memory."""

    def __init__(self) -> None:
        config = SwarmConfig()
        self.disk = MemoryDisk()
        links = BulkLinks(config)
        self.cap = links.caps.up
        self.disk.shares["/share"] = {"file.bin": DATA, "empty": b""}
        self.library = Library(("/share",))
        self.library.handle(Restored(), 0.0)
        for event in self.disk.perform(FollowShare("/share")):
            self.library.handle(event, 0.0)
        downloads = Downloads(
            me=Identity(bytes(32)).node,
            folder="/downloads",
            library=self.library,
            links=links,
            config=config,
            rng=Random(1),
        )
        self.seed = WebSeed(Stock(self.library, downloads), self.cap)

    def ask(self, path: str = PATH, method: str = "GET", **fields: str) -> list[Effect]:
        """What a request causes; names of fields with _ for -."""
        named = {name.replace("_", "-"): value for name, value in fields.items()}
        return self.seed.handle(WebAsked(1, Request(method, path, named)), 0.0)

    def read(self, effects: list[Effect]) -> list[Effect]:
        """Let the disk answer."""
        events = [event for effect in effects for event in self.disk.perform(effect)]
        return [out for event in events for out in self.seed.handle(event, 0.0)]

    def taken(self) -> list[Effect]:
        """The last bytes have left."""
        return self.seed.handle(WebTaken(1), 0.0)


def only_head(effects: list[Effect]) -> WebHead:
    """The one effect of an answer without bytes of a file."""
    (head,) = effects
    assert isinstance(head, WebHead)
    assert head.final
    return head


def test_a_file_comes_span_by_span() -> None:
    """The head with the first bytes; the next are read only when those have left."""
    web = Web()
    got, effects = b"", web.read(web.ask())
    head = effects.pop(0)
    assert isinstance(head, WebHead)
    assert (head.status, head.final) == (200, False)
    assert dict(head.fields)["Content-Length"] == str(len(DATA))
    assert dict(head.fields)["ETag"] == f'"{ROOT.hex()}"'
    while effects:
        (body,) = effects
        assert isinstance(body, WebBody)
        assert len(body.data) <= SPAN_BYTES_MAX
        got += body.data
        assert body.final == (len(got) == len(DATA))
        effects = web.read(web.taken())
    assert got == DATA


def test_a_range_is_read_alone() -> None:
    """Only those bytes are asked of the disk."""
    web = Web()
    effects = web.ask(range="bytes=10-19")
    (read,) = effects
    assert isinstance(read, ReadShared)
    assert (read.offset, read.length) == (10, 10)
    head, body = web.read(effects)
    assert isinstance(head, WebHead)
    assert head.status == 206
    assert dict(head.fields)["Content-Range"] == f"bytes 10-19/{len(DATA)}"
    assert body == WebBody(1, memoryview(DATA)[10:20], final=True)


def test_answers_without_bytes_of_a_file() -> None:
    """HEAD, an empty file, what is known already, what is beyond the end, another tag."""
    web = Web()
    head = only_head(web.ask(method="HEAD"))
    assert (head.status, dict(head.fields)["Content-Length"]) == (200, str(len(DATA)))
    assert dict(head.fields)["Accept-Ranges"] == "bytes"
    empty = only_head(web.ask(f"/f/{'0' * 64}/empty"))
    assert (empty.status, dict(empty.fields)["Content-Length"]) == (200, "0")
    same = only_head(web.ask(if_none_match=f'"{ROOT.hex()}"'))
    assert (same.status, same.content, "Content-Length" in dict(same.fields)) == (304, b"", False)
    beyond = only_head(web.ask(range=f"bytes={len(DATA)}-"))
    assert (beyond.status, dict(beyond.fields)["Content-Range"]) == (416, f"bytes */{len(DATA)}")
    assert only_head(web.ask(if_match='"other"')).status == 412


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/f/",
        "/f/../f/" + ROOT.hex(),
        PATH.replace("/f/", "/g/"),
        f"/f/{ROOT.hex()}0/a",
        f"/f/{ROOT.hex()[:-1]}/a",
        f"/f/{'ab' * 32}/a",
        f"//f/{ROOT.hex()}/a",
    ],
)
def test_what_is_not_shared_is_not_found(path: str) -> None:
    """One sentence; to HEAD only its length."""
    web = Web()
    head = only_head(web.ask(path))
    assert (head.status, head.content.count(b"\n")) == (404, 1)
    silent = only_head(web.ask(path, "HEAD"))
    assert (silent.content, silent.fields) == (b"", head.fields)


@pytest.mark.parametrize("tail", ["", "/", "/x", "/file.bin/file.bin", "/%2e%2e/x"])
def test_only_the_root_counts(tail: str) -> None:
    """The name is for the reader: libtorrent adds it once more to what it takes for a folder."""
    web = Web()
    assert web.read(web.ask(f"/f/{ROOT.hex().upper()}{tail}"))


def test_a_piece_layer_proves_the_file() -> None:
    """In one go; a file of a huge layer, or HEAD of one, is told that there is none."""
    web = Web()
    head, body = web.read(web.ask(f"/t/{ROOT.hex()}"))
    assert isinstance(head, WebHead)
    assert isinstance(body, WebBody)
    assert (head.status, bytes(body.data), body.final) == (200, tree_of(DATA).layer, True)
    assert dict(head.fields)["Content-Length"] == str(len(tree_of(DATA).layer))
    for path, method in (
        (f"/t/{ROOT.hex()}", "HEAD"),
        (f"/t/{ROOT.hex()}/x", "GET"),
        (f"/t/{'ab' * 32}", "GET"),
        (f"/t/{'0' * 64}", "GET"),
    ):
        assert only_head(web.ask(path, method)).status == 404
    huge = SharedFile("/share", "huge", 2**40, 1, 1, b"h" * 32)
    web.library.handle(FilesShared((huge,)), 0.0)
    assert only_head(web.ask(f"/t/{huge.root.hex()}")).status == 404


def test_nothing_can_be_written() -> None:
    """Other methods than GET and HEAD are told which there are."""
    head = only_head(Web().ask(method="PUT"))
    assert (head.status, dict(head.fields)["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(("kind", "status"), [("changed", 404), ("gone", 404), ("disk", 503)])
def test_a_file_that_cannot_be_read(kind: str, status: int) -> None:
    """At the beginning there is a word for it; later only the end of the connection."""
    web = Web()
    (read,) = web.ask()
    assert isinstance(read, ReadShared)
    head = only_head(web.seed.handle(ReadFailed(read.read, kind), 0.0))
    assert head.status == status
    web.read(web.ask())
    (read,) = web.taken()
    assert isinstance(read, ReadShared)
    assert web.seed.handle(ReadFailed(read.read, kind), 0.0) == [WebBreak(1)]
    assert web.taken() == []


def test_a_file_that_is_taken_back_is_not_sent_on() -> None:
    """No more of it is read."""
    web = Web()
    web.read(web.ask())
    web.library.handle(FilesUnshared("/share", ("file.bin",)), 0.0)
    assert web.taken() == [WebBreak(1)]
    assert only_head(web.ask()).status == 404


def test_a_file_that_moved_inside_the_shares_goes_on() -> None:
    """Content is what was asked for, not a place."""
    web = Web()
    web.read(web.ask())
    (file,) = [web.library.find(ROOT)]
    assert file is not None
    web.disk.shares["/share"]["other.bin"] = DATA
    events: list[Event] = web.disk.perform(FollowShare("/share"))
    for event in events:
        if isinstance(event, FilesShared):
            web.library.handle(event, 0.0)
    web.library.handle(FilesUnshared("/share", ("file.bin",)), 0.0)
    (read,) = web.taken()
    assert isinstance(read, ReadShared)
    assert read.file.relpath == "other.bin"


def test_what_is_read_over_http_counts_for_the_cap() -> None:
    """Each reader waits its turn; spans shrink with the cap, and nobody starves."""
    web = Web()
    web.cap.change(1_000_000.0, 0.0)
    sent, now = {1: 0, 2: 0}, 0.0
    head = Request("GET", PATH, {})
    effects = [effect for each in sent for effect in web.seed.handle(WebAsked(each, head), now)]
    while web.seed.wakeup() is not None or effects:
        for effect in effects:
            assert isinstance(effect, ReadShared)
        out = web.read(effects)
        effects = []
        for body in out:
            if isinstance(body, WebBody):
                assert len(body.data) <= 100_000
                sent[body.request] += len(body.data)
                assert abs(sent[1] - sent[2]) <= 200_000
                effects += web.seed.handle(WebTaken(body.request), now)
        if not effects and (due := web.seed.wakeup()) is not None:
            now = due
            effects = web.seed.handle(Woke(), now)
    assert sent == {1: len(DATA), 2: len(DATA)}
    assert now == pytest.approx(2 * len(DATA) / 1_000_000)


def test_who_leaves_while_the_cap_lets_him_wait_keeps_nobody_waiting() -> None:
    """However often: the next one waits for his own bytes alone."""
    web = Web()
    web.cap.change(100_000.0, 0.0)
    for number in range(2, 500):
        assert web.seed.handle(WebAsked(number, Request("GET", PATH, {})), 0.0) == []
        web.seed.handle(WebLeft(number), 0.0)
    assert web.seed.wakeup() is None
    assert web.ask() == []
    due = web.seed.wakeup()
    assert due is not None
    assert due <= 2 * 16_384 / 100_000


def test_who_left_gets_nothing() -> None:
    """What the disk brings for it afterwards goes nowhere, and nothing more is read."""
    web = Web()
    effects = web.ask()
    web.seed.handle(WebLeft(1), 0.0)
    assert web.read(effects) == []
    assert web.taken() == []
    assert web.seed.wakeup() is None


def answers(world: World, name: str, path: str) -> list[Effect]:
    """What a whole leaf answers at once; its disk is in memory."""
    before = len(world.effects)
    world.feed(name, WebAsked(7, Request("GET", path)))
    world.advance(0.01)
    webs = (WebHead, WebBody, WebBreak)
    return [each for who, each in world.effects[before:] if who == name and isinstance(each, webs)]


def test_downloads_are_served_when_they_are_whole() -> None:
    """Not a partial one: a plain reader could not tell what is missing."""
    data = content(5_000_000)
    path = f"/f/{tree_of(data).root.hex()}/x"
    world = network(data, sources=1)
    call = begun(world)
    assert only_head(answers(world, "asker", path)).status == 404
    world.advance(30.0)
    assert isinstance(world.outcome(call), GetResult)
    head, body = answers(world, "asker", path)
    assert isinstance(head, WebHead)
    assert isinstance(body, WebBody)
    assert (head.status, bytes(body.data)) == (200, data[:SPAN_BYTES_MAX])


def test_reads_for_the_web_are_none_of_the_uploads() -> None:
    """Both run side by side, and each gets its own bytes."""
    data = content(5_000_000)
    path = f"/f/{tree_of(data).root.hex()}/x"
    world = network(data, sources=1)
    call = begun(world)
    got = b""
    effects = answers(world, "source0", path)
    while isinstance(body := effects[-1], WebBody) and not body.final:
        got += body.data
        before = len(world.effects)
        world.feed("source0", WebTaken(7))
        world.advance(0.005)
        effects = [each for _, each in world.effects[before:] if isinstance(each, WebBody)]
    assert isinstance(body, WebBody)
    assert got + body.data == data
    world.advance(30.0)
    assert isinstance(world.outcome(call), GetResult)
