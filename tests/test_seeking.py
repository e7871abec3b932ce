"""A daemon's steps of the ladder: which there are, and what comes back of them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from common.addresses import Address
from common.core import Event
from common.ids import Identity
from common.ladder import LAN, SITE, SRV, Announce, Found, Seek
from common.network import Network
from common.shell.desk.site import Listed
from common.shell.seeking import Elsewhere, Seeking

ME = Identity(bytes(32)).node


class Fed:
    """What the node is fed; `next` waits for it."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._news = asyncio.Event()

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        self._news.set()

    async def next(self) -> Event:
        """The first that is not taken yet."""
        while not self.events:
            self._news.clear()
            await self._news.wait()
        return self.events.pop(0)


Made = Callable[..., tuple[Seeking, Fed]]


@pytest.fixture
async def made() -> AsyncIterator[Made]:
    """Makes the steps of a node that listens on loopback; they are closed at the end."""
    open_ones: list[Seeking] = []

    def make(elsewhere: Elsewhere) -> tuple[Seeking, Fed]:
        fed, loop = Fed(), asyncio.get_running_loop()
        open_ones.append(Seeking(loop, fed, elsewhere, Network(), ME, "127.0.0.1"))
        open_ones[-1].bound(Address.of("127.0.0.1", 1214))
        return open_ones[-1], fed

    yield make
    for each in open_ones:
        await each.close()


@pytest.mark.parametrize("listen", ["127.0.0.1", "::1", "127.1.2.3"])
def test_who_listens_on_loopback_has_no_lan(listen: str) -> None:
    """So no mDNS is spoken, whatever else there is."""
    everything = Elsewhere(lan=True, site="x", srv="example.org")
    assert everything.steps(listen) == (SITE, SRV)
    assert everything.steps("0.0.0.0") == everything.steps("::") == (LAN, SITE, SRV)
    assert everything.steps("10.0.0.1") == (LAN, SITE, SRV)
    assert Elsewhere().steps("::") == ()


async def test_a_list_is_asked_in_a_thread_and_told_of(made: Made, tmp_path: Path) -> None:
    """With what was wrong with it; nothing blocks meanwhile."""
    path = tmp_path / "list"
    path.write_text("127.0.0.1:7\nrubbish:rubbish\n")
    seeking, fed = made(Elsewhere(site=str(path)))
    seeking.performers()[Seek](Seek(SITE))
    found = await fed.next()
    assert isinstance(found, Found)
    assert (found.step, [str(seed.address) for seed in found.seeds]) == (SITE, ["127.0.0.1:7"])
    assert "1 of 2 lines" in found.problem


async def test_the_name_service_is_asked_for_the_domain(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the settings; its answer comes as that step's."""
    asked: list[str] = []

    def ask(domain: str) -> Listed:
        asked.append(domain)
        return Listed((), "nobody")

    monkeypatch.setattr("common.shell.desk.srv.ask_srv", ask)
    seeking, fed = made(Elsewhere(srv="example.org"))
    seeking.performers()[Seek](Seek(SRV))
    assert await fed.next() == Found(SRV, (), "nobody")
    assert asked == ["example.org"]


async def test_a_step_that_is_being_asked_is_not_asked_again(
    made: Made, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """However often the core wants it: one thread for each step."""
    started: list[object] = []

    class Held:
        """A thread that a test runs itself."""

        def __init__(self, target: Callable[[str], None], args: tuple[str], daemon: bool) -> None:
            assert daemon
            self.run = lambda: target(*args)

        def start(self) -> None:
            """Not yet."""
            started.append(self.run)

    monkeypatch.setattr("common.shell.seeking.threading.Thread", Held)
    seeking, fed = made(Elsewhere(site=str(tmp_path / "none")))
    for _ in range(3):
        seeking.performers()[Seek](Seek(SITE))
    (run,) = started
    assert callable(run)
    run()
    assert isinstance(await fed.next(), Found)
    seeking.performers()[Seek](Seek(SITE))
    assert len(started) == 2


async def test_after_the_end_nothing_is_told(made: Made, tmp_path: Path) -> None:
    """A thread that is late meets a closed node, or no loop at all."""
    seeking, fed = made(Elsewhere(site=str(tmp_path / "none")))
    await seeking.close()
    seeking._ask(SITE)
    await asyncio.sleep(0)
    assert fed.events == []
    gone = asyncio.new_event_loop()
    gone.close()
    Seeking(gone, fed, Elsewhere(site="none"), Network(), ME, "127.0.0.1")._ask(SITE)
    assert fed.events == []


async def test_the_lan_of_a_loopback_node_has_no_interface(made: Made) -> None:
    """Should a core ask for it all the same, nothing is spoken and the reason told."""
    seeking, fed = made(Elsewhere(lan=True))
    seeking.performers()[Announce](Announce())
    seeking.performers()[Seek](Seek(LAN, 1.0))
    assert await fed.next() == Found(LAN, (), "mDNS has no interface here but loopback")
