"""A row of super-peers in virtual time, each with a leaf, whose disks and memories outlive them."""

from random import Random
from typing import Any

from common.addresses import Address
from common.config import Config
from common.messages.fields import Message
from common.node import LEAF, SUPERPEER
from deploy.sim.disk import SimulatedDisk
from deploy.sim.filesystem import FileSystem
from deploy.sim.host import Host
from deploy.sim.nodes import SHARE, Plan, builder, seed_of, seed_to
from deploy.sim.store import MemoryStore
from deploy.sim.world import World, identity_of
from leaf.methods import WishAdd, WishChosen, WishedRow, WishRow


class Row:
    """`supers[n]` is a neighbour of `supers[n + 1]`; `leaves[n]` hangs on `supers[n]`."""

    def __init__(self, length: int, config: Config | None = None, seed: int = 1) -> None:
        self.config = config or Config()
        self.world = World(seed)
        self.files: dict[int, FileSystem] = {}
        self.stores: dict[int, MemoryStore] = {}
        self.supers: list[Host] = []
        self.messages: list[tuple[Host, Host, Message]] = []
        for _ in range(length):
            joins = tuple(seed_to(host) for host in self.supers[-1:])
            plan = Plan((SUPERPEER,), self.config, joins=joins)
            self.supers.append(self._add(plan, bulk=False))
        self.leaves = [self.leaf(parent) for parent in self.supers]
        self.world.watch([self])
        for host in self.world.hosts:
            host.start()
        self.run(6.0)

    def sent_by(self, kind: type[Message]) -> int:
        """How many messages of this kind were sent."""
        return sum(isinstance(message, kind) for _, _, message in self.messages)

    def sent(self, host: Host, there: Host, message: Message, _data: object) -> None:
        """See `deploy.sim.witness`."""
        self.messages.append((host, there, message))

    def leaf(self, *parents: Host) -> Host:
        """One more leaf, not started."""
        told = tuple(seed_to(parent) for parent in parents)
        return self._add(Plan((LEAF,), self.config, supers=told, shares=(SHARE,)), bulk=True)

    def both(self) -> Host:
        """A super-peer that is its own leaf, beside the last one; not started."""
        number = len(self.world.hosts)
        node = identity_of(self.world.seed, number).node
        itself = seed_of(Address.of(f"10.0.0.{number + 1}", 1214), node)
        joins = (seed_to(self.supers[-1]),)
        roles = (SUPERPEER, LEAF)
        plan = Plan(roles, self.config, joins=joins, supers=(itself,), shares=(SHARE,))
        return self._add(plan, bulk=True)

    def _add(self, plan: Plan, *, bulk: bool) -> Host:
        number = len(self.world.hosts)
        files = self.files[number] = FileSystem(Random(number), lambda: self.world.now)
        files.make_folder(SHARE)
        store = self.stores[number] = MemoryStore()
        return self.world.add(
            f"host {number}",
            Address.of(f"10.0.0.{number + 1}", 1214),
            build=builder(plan, self.world.draws),
            equip=lambda host: SimulatedDisk(
                files,
                store,
                schedule=self.world.schedule.later,
                now=lambda: host.wall,
                feed=host.take,
            ),
            has_bulk=bulk,
        )

    def run(self, seconds: float) -> None:
        """Let time pass, in which nobody falls."""
        self.world.run(self.world.now + seconds)
        assert not self.world.violations

    def share(self, leaf: Host, path: str, data: bytes = b"data") -> None:
        """A file appears in the share of a leaf."""
        self.files[leaf.number].put(f"{SHARE}/{path}", data)

    def ask(self, leaf: Host, method: str, params: Any) -> Any:
        """What a person hears."""
        heard: list[object] = []
        self.world.people.ask(leaf, method, params, heard.append)
        self.world.run(self.world.now + 30.0, enough=lambda: bool(heard))
        return heard[0]

    def wish(self, leaf: Host, *words: str, **more: Any) -> WishRow:
        """A new wish of a leaf."""
        row = self.ask(leaf, "leaf.wish_add", WishAdd(list(words), **more))
        assert isinstance(row, WishRow), row
        return row

    def wishes(self, leaf: Host) -> list[WishRow]:
        """The wishes of a leaf."""
        rows = self.ask(leaf, "leaf.wish_ls", WishChosen())
        assert isinstance(rows, list), rows
        return rows

    def found(self, leaf: Host) -> list[str]:
        """The names of all that the wishes of a leaf have found."""
        return [file.name for row in self.wishes(leaf) for file in row.files]

    def watch(self, leaf: Host) -> list[Any]:
        """What is found from now on, as it is told."""
        told: list[WishedRow] = []
        params = WishChosen()
        self.world.people.ask(leaf, "leaf.wish_watch", params, lambda _end: None, told.append)  # type: ignore[arg-type]
        return told
