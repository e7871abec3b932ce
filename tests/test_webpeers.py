"""Web servers as sources of downloads: a whole leaf in virtual time, and servers of every kind."""

from collections.abc import Callable

import pytest

from common.content.merkle import piece_span
from common.content.torrent import magnet, parse_magnet
from common.content.webseeds import URLS_MAX
from common.core import Effect, Notify
from common.web.webget import WebFailed, WebFetch, WebFetched, WebFetchLayer, WebStop
from leaf.methods import Chosen, Get, GetResult
from leaf.signals import ToWeb, Wanted
from leaf.swarm.webpeers import FETCHES_MAX, PLACES_MAX, WebPeers, contact_of
from tests.leaf_scene import content, network
from tests.leaf_world import World
from tests.memory_disk import tree_of

URL = "http://web.example/f/blue%20note.mp3"
Order = WebFetch | WebFetchLayer
Serve = Callable[[Order], WebFetched | WebFailed | None]


def honest(data: bytes) -> Callable[[Order], WebFetched]:
    """A web server that has the file."""

    def serve(order: Order) -> WebFetched:
        if isinstance(order, WebFetchLayer):
            tree = tree_of(data)
            return WebFetched(order.fetch, memoryview(tree.layer or tree.root))
        return WebFetched(order.fetch, memoryview(data)[order.offset : order.offset + order.length])

    return serve


class Web:
    """A leaf that gets a file, and the web servers that it asks."""

    def __init__(self, data: bytes, sources: int = 0) -> None:
        self.data = data
        self.world = network(data, sources) if sources else World()
        if not sources:
            self.world.leaf("asker")
        self.orders: list[Order] = []
        self.stopped: list[int] = []
        self.seen = 0

    def get(self, *urls: str) -> int:
        """Ask for it by a link."""
        link = magnet("blue note.mp3", tree_of(self.data).root, len(self.data), urls=urls)
        return self.world.ask("asker", "leaf.get", Get(link, timeout=3600.0))

    def serve(self, serve: Serve, seconds: float = 30.0) -> None:
        """Let time pass and answer what is ordered from web servers."""
        end = self.world.now + seconds
        while self.world.now < end:
            for order in self.new():
                answer = serve(order)
                if answer is not None:
                    self.world.feed("asker", answer)
            self.world.advance(0.01)

    def new(self) -> list[Order]:
        """Orders since the last look."""
        effects: list[Effect] = [each for _, each in self.world.effects[self.seen :]]
        self.seen = len(self.world.effects)
        self.stopped += [each.fetch for each in effects if isinstance(each, WebStop)]
        orders = [each for each in effects if isinstance(each, WebFetch | WebFetchLayer)]
        self.orders += orders
        return [each for each in orders if each.fetch not in self.stopped]

    def notes(self) -> list[str]:
        """Names of what was logged."""
        return [each.name for each in self.world.all(Notify) if isinstance(each, Notify)]


def got(web: Web, call: int) -> GetResult:
    """The result, whose file is right."""
    result = web.world.outcome(call)
    assert isinstance(result, GetResult)
    assert web.world.disks["asker"].files[result.path] == web.data
    return result


@pytest.mark.parametrize("size", [1, 16_384, 16_385, 3_000_000])
def test_a_file_comes_from_a_web_server_alone(size: int) -> None:
    """Without any leaf, parent or network; the hashes of several pieces come first."""
    web = Web(content(size))
    call = web.get(URL)
    web.serve(honest(web.data))
    assert got(web, call).sources == 1
    first = web.orders[0]
    assert isinstance(first, WebFetchLayer) is (size > 16_384)
    assert {each.url for each in web.orders} == {URL}


def test_a_leaf_that_serves_tells_its_hashes() -> None:
    """They need not be made by reading the file twice."""
    web = Web(content(100_000))
    root = tree_of(web.data).root.hex()
    web.get(f"http://leaf.example:8080/f/{root}/")
    web.serve(honest(web.data))
    (first,) = [each for each in web.orders if isinstance(each, WebFetchLayer)]
    assert first.layer_url == f"http://leaf.example:8080/t/{root}"


def test_leaves_and_web_servers_serve_side_by_side() -> None:
    """The first to bring the hashes ends the reading of a whole file for them."""
    web = Web(content(8_000_000), sources=2)
    call = web.get(URL, "http://other.example/blue%20note.mp3")

    def slow_layer(order: Order) -> WebFetched | WebFailed | None:
        return None if isinstance(order, WebFetchLayer) else honest(web.data)(order)

    web.serve(slow_layer)
    assert got(web, call).sources == 4
    layers = [each.fetch for each in web.orders if isinstance(each, WebFetchLayer)]
    assert set(layers) <= set(web.stopped)


def test_wrong_bytes_are_never_kept() -> None:
    """The server that sent them is not asked again, and leaves bring the rest."""
    web = Web(content(3_000_000), sources=1)
    call = web.get(URL)
    offset, _ = piece_span(len(web.data), 7)

    def liar(order: Order) -> WebFetched | WebFailed | None:
        answer = honest(web.data)(order)
        if isinstance(order, WebFetchLayer) or not order.offset <= offset < order.offset + (
            order.length
        ):
            return answer
        data = bytearray(answer.data)
        data[offset - order.offset] ^= 1
        return WebFetched(order.fetch, memoryview(data))

    web.world.mute["source0"] = None  # until it has lied
    web.serve(liar, 5.0)
    assert "source_dropped" in web.notes()
    asked = len(web.orders)
    del web.world.mute["source0"]
    web.serve(liar, 120.0)
    assert got(web, call)
    assert len(web.orders) == asked


def test_hashes_of_another_file_are_not_believed() -> None:
    """No piece is asked of that server, and the log says why."""
    web = Web(content(100_000))
    web.get(URL)
    web.serve(honest(content(100_000, seed=2)))
    assert [type(each) for each in web.orders] == [WebFetchLayer]
    assert "web_source_useless" in web.notes()


def test_a_server_without_the_file_is_asked_once() -> None:
    """One that is only busy is tried again, a few times, after longer and longer pauses."""
    web = Web(content(1000))
    web.get(URL)
    web.serve(lambda order: WebFailed(order.fetch, "it answers 404", lasting=True), 300.0)
    assert len(web.orders) == 1
    web = Web(content(1000))
    call = web.get(URL)
    tries: list[float] = []

    def busy(order: Order) -> WebFetched | WebFailed:
        tries.append(web.world.now)
        if len(tries) < 3:
            return WebFailed(order.fetch, "it answers 503", lasting=False)
        return honest(web.data)(order)

    web.serve(busy, 60.0)
    assert len(tries) == 3
    assert tries[1] - tries[0] > 3.0
    assert got(web, call)


def test_a_pause_stops_what_is_under_way() -> None:
    """Nothing is fetched meanwhile; a few ranges at once are all that one server is asked for."""
    web = Web(content(8_000_000))
    call = web.get(URL)

    def only_hashes(order: Order) -> WebFetched | None:
        return honest(web.data)(order) if isinstance(order, WebFetchLayer) else None

    web.serve(only_hashes, 1.0)
    under_way = [each.fetch for each in web.orders if isinstance(each, WebFetch)]
    assert 0 < len(under_way) <= FETCHES_MAX
    web.world.ask("asker", "leaf.pause", Chosen())
    web.serve(only_hashes, 1.0)
    assert web.stopped == under_way
    web.world.ask("asker", "leaf.resume", Chosen())
    web.serve(honest(web.data), 60.0)
    assert got(web, call)


def test_places_are_bounded() -> None:
    """Of all downloads; the oldest unused gives way. Answers that nobody waits for are lost."""
    peers, root = WebPeers(), tree_of(b"x").root
    for at in range(PLACES_MAX + 10):
        peers.handle(Wanted(1, Get(""), root, 1, "a", (), (f"http://a/{at}",)), 0.0)
    known = [peers.knows(contact_of(root, f"http://a/{at}").node) for at in range(PLACES_MAX + 10)]
    assert known == [False] * 10 + [True] * PLACES_MAX
    assert peers.handle(WebFailed(1, "x", lasting=True), 0.0) == []
    assert peers.handle(WebFetched(1, memoryview(b"")), 0.0) == []
    assert peers.handle(ToWeb(Notify("x")), 0.0) == []


def test_links_name_web_servers() -> None:
    """Over plain HTTP, a folder as the file in it; others are no matter, and there are few."""
    root = tree_of(b"x").root
    link = magnet("a b", root, 1, urls=["http://h/a%20b", "http://h/c"])
    assert parse_magnet(link).urls == ("http://h/a%20b", "http://h/c")
    others = (
        "&ws=https%3A%2F%2Fh%2Fa&ws=ftp%3A%2F%2Fh%2Fa&ws=http%3A%2F%2F&ws=x&ws=http%3A%2F%2Fa%20b"
    )
    assert parse_magnet(magnet("a b", root, 1) + others).urls == ()
    many = magnet("a", root, 1, urls=[f"http://h/{at}" for at in range(URLS_MAX + 3)])
    assert len(parse_magnet(many).urls) == URLS_MAX
