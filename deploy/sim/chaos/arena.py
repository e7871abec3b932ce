"""A small world put up: its hosts with their disks, what they share, and what is true of it.

Faults and people act on it; it decides nothing. Super-peers are the first hosts, leaves
follow, then those that do harm.
"""

from collections.abc import Callable
from random import Random
from typing import Final

from common.doors import Door
from common.ids import Identity, NodeId
from common.meeting import Seed
from common.node import LEAF, SUPERPEER
from deploy.sim import hostile
from deploy.sim.chaos.plan import ChaosPlan
from deploy.sim.chaos.truth import Truth
from deploy.sim.dialect import Newer
from deploy.sim.disk import SimulatedDisk
from deploy.sim.diskfaults import ANY, KINDS
from deploy.sim.filesystem import FileSystem
from deploy.sim.host import Host, Storage
from deploy.sim.nodes import SHARE, Plan, builder, seed_of
from deploy.sim.store import MemoryStore
from deploy.sim.trace import Trace
from deploy.sim.world import World, identity_of

STOPPING_S: Final = 11.0  # a node that is asked to stop is gone by then
START_S: Final = 2.0  # within which the hosts start
CLAIMS_MAX: Final = 8  # true contents that a hostile leaf has


class Arena:
    """The world of one plan."""

    def __init__(self, plan: ChaosPlan) -> None:
        self.plan = plan
        self.world = World(plan.seed)
        self.rng = Random(f"{plan.seed}/chaos")
        self.truth = Truth()
        self.files: dict[int, FileSystem] = {}
        self.stores: dict[int, MemoryStore] = {}
        self.older: dict[int, MemoryStore] = {}  # what was backed up once
        self.struck: dict[str, int] = {}  # how often each fault did
        self._undo: dict[int, Callable[[], None]] = {}  # what ends a fault that goes on
        self._faults = 0
        self.is_healed = False
        self.in_vain = False  # the last strike met nothing that it could harm
        self.trace = Trace(self.world.schedule)
        self.world.watch([self.trace])
        self.super_peers = [self._super_peer(n) for n in range(plan.super_peers)]
        self.leaves = [self._leaf(n) for n in range(plan.leaves)]
        for number in plan.newer:
            self.world.hosts[number].dialect = Newer()
        for host, skew, shows in zip(self.world.hosts, plan.skew, plan.clocks, strict=True):
            host.clock_rate = 1.0 + skew
            host.clock_offset_s = shows
        self._fill()
        self.hostile = [self._hostile(kind) for kind in plan.hostile]

    # --- putting up -------------------------------------------------------------------------

    def start(self) -> None:
        """Start everything within `START_S`."""
        for host in self.world.hosts:
            self.world.schedule.at(self.rng.uniform(0, START_S), self._start, host)

    def _start(self, host: Host) -> None:
        host.start()

    def _key(self, number: int) -> NodeId:
        return identity_of(self.plan.seed, number).node

    def _super_peer(self, number: int) -> Host:
        plan = self.plan
        joins = tuple(self._seed(a, number) for a, b in plan.edges if b == number)
        return self._add(
            f"super-peer {number}",
            Plan((SUPERPEER,), plan.settings, joins, network=plan.network),
            bulk=False,
        )

    def _leaf(self, number: int) -> Host:
        plan = self.plan
        me = plan.super_peers + number
        supers = tuple(self._seed(other, me) for other in plan.told[number])
        return self._add(
            f"leaf {number}",
            Plan((LEAF,), plan.settings, supers=supers, shares=(SHARE,), network=plan.network),
            bulk=True,
        )

    def _hostile(self, kind: str) -> Host:
        """A node that does harm, with some of the contents that others have."""
        number = len(self.world.hosts)
        rng = Random(f"{self.plan.seed}/hostile/{kind}")
        told = [seed_of(host.doors[Door.CONTROL], host.identity.node) for host in self.super_peers]
        held = self._contents()
        claims = rng.sample(self.plan.files, min(CLAIMS_MAX, len(self.plan.files)))
        self.files[number] = FileSystem(rng, lambda: self.world.hosts[number].wall)
        self.stores[number] = MemoryStore()
        self.truth.hostile[number] = kind
        return hostile.add(
            self.world,
            kind,
            self.plan.address(number),
            tuple(rng.sample(told, len(told))),
            {path: held[content] for _, path, content in claims},
            self.plan.network,
        )

    def _seed(self, other: int, told_to: int) -> Seed:
        address = self.plan.address(other)
        if self.plan.with_keys[told_to]:
            return seed_of(address, self._key(other))
        return Seed(str(address), address)

    def _add(self, name: str, plan: Plan, *, bulk: bool) -> Host:
        number = len(self.world.hosts)
        rng = Random(f"{self.plan.seed}/disk/{number}")
        self.files[number] = FileSystem(rng, lambda: self.world.hosts[number].wall)
        self.files[number].make_folder(SHARE)
        self.stores[number] = MemoryStore()
        return self.world.add(
            name,
            self.plan.address(number),
            build=builder(plan, self.world.draws),
            equip=self._equip,
            has_bulk=bulk,
        )

    def _equip(self, host: Host) -> Storage:
        number, rng = host.number, Random(f"{self.plan.seed}/latency/{host.number}/{host.life}")
        return SimulatedDisk(
            self.files[number],
            self.stores[number],
            schedule=self.world.schedule.later,
            now=lambda: host.wall,
            feed=host.take,
            latency=lambda: rng.expovariate(1 / 0.002),
            notify=lambda note: self.world.noted(host, note),
            lost_power=lambda: self.darken(host),
            trees=self.truth.trees,
            rescan_s=20.0,
        )

    def _contents(self) -> list[bytes]:
        seed = self.plan.seed
        return [Random(f"{seed}/content/{n}").randbytes(s) for n, s in enumerate(self.plan.sizes)]

    def _fill(self) -> None:
        contents = self._contents()
        for leaf, path, content in self.plan.files:
            self.put(self.leaves[leaf], path, contents[content])

    # --- what happens to files --------------------------------------------------------------

    def put(self, host: Host, path: str, data: bytes) -> None:
        """A person puts a file into the share of a leaf, or replaces one."""
        self.files[host.number].put(f"{SHARE}/{path}", data)
        self.truth.put(host.number, path, data)

    def remove(self, host: Host, path: str) -> None:
        """A person takes a file out of the share."""
        self.files[host.number].delete(f"{SHARE}/{path}")
        self.truth.take(host.number, path)

    # --- what is there ----------------------------------------------------------------------

    def honest(self, hosts: list[Host]) -> list[Host]:
        """Those of them that run and do no harm."""
        return [each for each in hosts if each.is_running and each.number not in self.truth.hostile]

    def darken(self, host: Host) -> None:
        """A host loses its power; of what was not synced anything may be gone."""
        self.world.kill(host, power=True)
        self.files[host.number].power_loss()
        for show in self.world.witness.darkened:
            show(host)

    def rekey(self, host: Host) -> None:
        """The host has lost its key: its next life is somebody else."""
        fresh = identity_of(self.plan.seed, 1000 * (host.life + 1) + host.number)
        self._rename(host, fresh)

    def _rename(self, host: Host, identity: Identity) -> None:
        self.world.by_node[identity.node] = host
        host.identity = identity

    # --- faults -----------------------------------------------------------------------------

    def lasting(self, for_s: float, undo: Callable[[], None]) -> None:
        """A fault goes on for so long, or until all is healed."""
        self._faults += 1
        number = self._faults
        self._undo[number] = undo
        self.world.schedule.later(for_s, lambda: self._end(number))

    def later(self, after_s: float, call: Callable[[], None]) -> None:
        """A fault goes on with this, unless all is healed by then."""
        self.world.schedule.later(after_s, lambda: None if self.is_healed else call())

    def _end(self, number: int) -> None:
        undo = self._undo.pop(number, None)
        if undo is not None:
            undo()

    def heal(self) -> None:
        """Every fault ends, and whoever is down starts again."""
        self.is_healed = True
        for number in list(self._undo):
            self._end(number)
        for files in self.files.values():
            files.cut_after(0)
            for kind in (ANY, *KINDS):
                files.fail(kind)
        for host in self.world.hosts:
            host.thaw()
            host.start()
            self.world.schedule.later(STOPPING_S, host.start)  # for who was just stopping

    def strike(self, name: str, fault: "Callable[[Arena], None]") -> None:
        """Let a fault strike, and count it if it met something."""
        self.in_vain = False
        fault(self)
        if not self.in_vain:
            self._count(name)

    def _count(self, fault: str) -> None:
        self.struck[fault] = self.struck.get(fault, 0) + 1
