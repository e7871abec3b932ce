"""Many leaves in one process, each with real doors and links; their disks are made up.

So a bench has hundreds of leaves on two cores, and clocks that it can compare. Each leaf shares
what it is told to, answers searches as a leaf does, and fetches nothing.
"""

import asyncio
import itertools
import time
from collections.abc import Iterable, Iterator
from hashlib import sha256
from random import Random
from typing import Final, TypeVar

from common.config import Config
from common.core import Answer, Asked, Bound, Effect, Event, Fail, Notify, Role, Stopped, Tell
from common.ids import Identity
from common.meeting import Seed
from common.network import Network
from common.node import LEAF, Node
from common.shell.drive import Driver, Performer
from common.shell.hosting import open_doors
from common.storage import FilesShared, Restored, SharedFile
from leaf.methods import HitRow, Search, SearchResult
from leaf.role import Leaf

SHARE: Final = "/share"

T = TypeVar("T")


def _kinds(root: type[T]) -> Iterator[type[T]]:
    yield root
    for kind in root.__subclasses__():
        yield from _kinds(kind)


class LightLeaf:
    """One leaf; `joins` are when it joined a parent, on the monotonic clock, and who that was,
    `losses` when it lost one."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        number: int,
        supers: tuple[Seed, ...],
        names: Iterable[str],
        *,
        seed: int,
    ) -> None:
        rng = Random(f"{seed}/{number}")
        self.number = number
        self._names = tuple(names)
        self._calls = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[object]] = {}
        self._loop = loop
        self.joins: list[tuple[float, str]] = []
        self.losses: list[float] = []
        identity, network = Identity(rng.randbytes(32)), Network("bench")
        cores: list[Leaf] = []

        def role(_rng: Random) -> Role:
            core = Leaf(
                identity=identity,
                config=Config(),
                network=network,
                rng=rng,
                supers=supers,
                epoch=int(time.time() * 1000),
                shares=(SHARE,),
                downloads_dir="/nowhere",
                version="",
            )
            cores.append(core)
            return core

        node = Node(
            identity.node, network, Config().link, factories={LEAF: role}, start=(LEAF,), rng=rng
        )
        self.core = cores[0]
        self._driver = Driver(loop, node, self._performers(), "127.0.0.1")
        self._doors = open_doors(
            loop, identity, self._driver, ("127.0.0.1", 0), port_asked=False, bulk=True
        )

    def start(self) -> None:
        """Join, and share what it has."""
        self._driver.feed(Restored())
        self._driver.feed(Bound(self._doors.control, self._doors.bulk))
        files = [
            SharedFile(SHARE, name, 1_000, 1, 1, sha256(name.encode()).digest())
            for name in self._names
        ]
        self._driver.feed(FilesShared(tuple(files)))

    async def search(self, word: str, wait_s: float) -> SearchResult | HitRow | Fail:
        """The first hit of a search; where there is none its result, or why it failed."""
        call = next(self._calls)
        future: asyncio.Future[object] = self._loop.create_future()
        self._waiting[call] = future
        self._driver.feed(Asked(call, "leaf.search", Search([word], wait=wait_s)))
        result = await future
        if not isinstance(result, SearchResult | HitRow | Fail):
            raise TypeError(result)
        return result

    def close(self) -> None:
        """Say goodbye and close all doors."""
        self._driver.feed(Stopped(0.0))
        self._driver.close()
        self._doors.close()

    def _performers(self) -> dict[type[Effect], Performer]:
        nothing: dict[type[Effect], Performer] = dict.fromkeys(_kinds(Effect), _nothing)
        own = ("OpenLink", "SendFrame", "CloseLink", "SendDatagram", "Exited")
        others = {kind: each for kind, each in nothing.items() if kind.__name__ not in own}
        return {
            **others,
            Answer: self._ended,
            Fail: self._ended,
            Tell: self._ended,
            Notify: self._noted,
        }

    def _ended(self, effect: Answer | Fail | Tell) -> None:
        future = self._waiting.pop(effect.call, None)
        if future is None or future.done():
            return
        if isinstance(effect, Fail):
            future.set_result(effect)
        else:
            future.set_result(effect.result if isinstance(effect, Answer) else effect.event)

    def _noted(self, note: Notify) -> None:
        if note.name == "parent_joined":
            self.joins.append((time.monotonic(), str(note.fields["node"])))
        elif note.name == "parent_lost":
            self.losses.append(time.monotonic())


def _nothing(_effect: Effect | Event) -> None:
    """It has no disk, no people and no web."""
