"""A scenario put on stage: its hosts with their files, links and pasts, not started yet.

Super-peers are the first hosts, leaves follow; where both live together leaf N is in host N. It
follows who hangs where by what the leaves note, so that a judge can ask at any moment. What happens
on it is `deploy.sim.acts`.
"""

import hashlib
from collections.abc import Callable, Sequence
from random import Random
from typing import Final

import msgspec

from common.addresses import Address
from common.config import Config, scaled
from common.content.torrent import file_id
from common.core import Notify
from common.ids import node_text
from common.meeting import Seed
from common.node import LEAF, SUPERPEER, Node
from common.storage import SharedFile
from deploy import content, hosts
from deploy.content import Source
from deploy.oracle import Held, Oracle
from deploy.scenario import Scenario
from deploy.sim import hostile
from deploy.sim.disk import SimulatedDisk
from deploy.sim.filesystem import FileSystem
from deploy.sim.host import Host, Storage
from deploy.sim.nodes import NETWORK, SHARE, Plan, builder, seed_of
from deploy.sim.paths import Access
from deploy.sim.shelf import Known, Shelf
from deploy.sim.store import MemoryStore, Trees
from deploy.sim.world import World, identity_of
from deploy.targets import SUPER_PEER

CLAIMS_MAX: Final = 100  # files that a hostile leaf claims to have
PUBLISH_S: Final = 3.0  # after joining; what a leaf shares is not demanded earlier
DISK_S: Final = 0.001  # of an operation of the disk, on average


class Stage:
    """The world of a scenario, and how it stands (see `deploy.judge.Standing`)."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.edges = scenario.edges()
        self.world = World(
            scenario.seed,
            by_reference=scenario.large,
            strict=False,
            extra_delays=hosts.link_delays(scenario),
        )
        self._first_leaf = 0 if scenario.together else scenario.super_peers
        self._seeds: dict[int, Seed] = {}
        self._builders: dict[tuple[int, ...], Callable[[Host], Node]] = {}
        self._shelving = self._shelve
        self._config = scaled(scenario.node_config, scenario.time_scale)
        self._trees = Trees()
        self.files: dict[int, FileSystem] = {}  # by leaf
        self._stores: dict[int, MemoryStore] = {}
        self._shelves: dict[int, list[SharedFile]] = {}
        self._known: dict[int, Known] = {}  # by host
        self.data: dict[str, bytes] = {}  # by id, where there are bytes at all
        self._paths: list[tuple[str, str]] = []  # of all files: path in a share, id
        self.oracle = Oracle(self._held())
        self.super_peers = [self._super_peer(n) for n in range(scenario.super_peers)]
        self.leaves = (
            self.super_peers
            if scenario.together
            else [self._leaf(n) for n in range(scenario.leaves)]
        )
        for number in hosts.firewalled(scenario):
            self.leaves[number].is_firewalled = True
        self.hostile = self._hostile()
        self.alive = dict.fromkeys(range(scenario.super_peers))
        self.alive_leaves = dict.fromkeys(range(scenario.leaves))
        self.parents: dict[int, int] = {}  # of leaves that have had time to publish
        self.joined: dict[int, tuple[int, float]] = {}  # leaf -> parent, since when
        self._numbers = {
            node_text(host.identity.node): n for n, host in enumerate(self.super_peers)
        }
        if scenario.promotes:
            self._numbers |= {
                node_text(host.identity.node): scenario.super_peers + n
                for n, host in enumerate(self.leaves)
            }
        self._strays: dict[int, None] = {}  # leaves that hang on a liar
        self._fetches = 0
        self.on_joined: Callable[[int], None] = lambda _leaf: None
        self.world.watch([self])

    # --- hosts ------------------------------------------------------------------------------

    def _address(self, number: int) -> Address:
        if self.scenario.hosts.ipv6:
            return Address(b"\xfd" + (number + 1).to_bytes(15, "big"), 1214)
        return Address(b"\x0a" + (number + 1).to_bytes(3, "big"), 1214)

    def _seed(self, number: int) -> Seed:
        seed = self._seeds.get(number)
        if seed is None:
            node = identity_of(self.scenario.seed, number).node
            seed = self._seeds[number] = seed_of(self._address(number), node)
        return seed

    def _super_peer(self, number: int) -> Host:
        scenario = self.scenario
        joins = tuple(self._seed(a) for a, b in self.edges if b == number)
        if not scenario.together:
            build = builder(Plan((SUPERPEER,), self._config, joins), self.world.draws)
            return self._add(f"super-peer {number}", build, SUPER_PEER, number, has_bulk=False)
        plan = Plan(
            (SUPERPEER, LEAF),
            self._config_of(number),
            joins,
            (self._seed(number),),
            (SHARE,),
        )
        build = builder(plan, self.world.draws)
        return self._add(f"node {number}", build, SUPER_PEER, number, has_bulk=True)

    def _leaf(self, number: int) -> Host:
        told = self.scenario.told(number)
        config = self._config_of(number)
        key = (*told, config is not self._config)
        if key not in self._builders:
            supers = tuple(self._seed(other) for other in told)
            promotes = self.scenario.promotes
            plan = Plan((LEAF,), config, supers=supers, shares=(SHARE,), promotes=promotes)
            self._builders[key] = builder(plan, self.world.draws)
        return self._add(f"leaf {number}", self._builders[key], "leaf", number, has_bulk=True)

    def _hostile(self) -> list[Host]:
        """Those that do harm; leaves among them claim to have some of what the others have."""
        rng, added = self.scenario.random("hostile"), []
        for each in self.scenario.hostile:
            for _ in range(each.nodes):
                chosen = rng.sample(self._paths, min(CLAIMS_MAX, len(self._paths)))
                told = rng.sample(
                    range(self.scenario.super_peers), min(3, self.scenario.super_peers)
                )
                host = hostile.add(
                    self.world,
                    each.kind,
                    self._address(len(self.world.hosts)),
                    tuple(self._seed(number) for number in told),
                    {path: self.data[name] for path, name in chosen},
                    NETWORK,
                )
                added.append(host)
        return added

    def _config_of(self, leaf: int) -> Config:
        """A leaf that shares nothing serves nobody, where nobody is to serve what he fetched."""
        if self.scenario.content.sharing_on or leaf in self.files or leaf in self._shelves:
            return self._config
        swarm = msgspec.structs.replace(self._config.swarm, upload_slots=0)
        return msgspec.structs.replace(self._config, swarm=swarm)

    def _add(
        self,
        name: str,
        build: Callable[[Host], Node],
        kind: str,
        number: int,
        *,
        has_bulk: bool,
    ) -> Host:
        drawn = hosts.access(self.scenario, kind, number)
        by_leaf = has_bulk and not self.scenario.large
        return self.world.add(
            name,
            self._address(len(self.world.hosts)),
            build=build,
            equip=(lambda host: self._equip(host, number)) if by_leaf else self._shelving,
            access=Access(drawn.delay_s, drawn.up_rate, drawn.down_rate),
            has_bulk=has_bulk,
        )

    def _shelve(self, host: Host) -> Storage:
        """The disk of a super-peer, and in a large world of everybody."""
        known = self._known.setdefault(host.number, {})
        return Shelf(self._shelves.get(host.number - self._first_leaf, ()), host.take, known)

    def _equip(self, host: Host, leaf: int) -> Storage:
        rng = Random(f"{self.scenario.seed}/disk/{leaf}/{host.life}")
        if leaf not in self.files:
            self._make_files(leaf)
        return SimulatedDisk(
            self.files[leaf],
            self._stores.setdefault(leaf, MemoryStore()),
            schedule=self.world.schedule.later,
            now=lambda: host.wall,
            feed=host.take,
            latency=lambda: rng.expovariate(1 / DISK_S),
            trees=self._trees,
        )

    # --- content ----------------------------------------------------------------------------

    def _make_files(self, leaf: int) -> FileSystem:
        rng = self.scenario.random(f"files of {leaf}")
        self.files[leaf] = FileSystem(rng, lambda: self.world.now)
        self.files[leaf].make_folder(SHARE)
        return self.files[leaf]

    def _held(self) -> list[Held]:
        """Put every file where the scenario wants it; what there is to find."""
        asked = self.scenario
        chosen = content.sources(asked)
        held: list[Held] = []
        for number, (source, leaves) in enumerate(
            zip(chosen, content.holders(asked, len(chosen)), strict=True)
        ):
            put = self._put_name if asked.large else self._put_bytes
            held += put(number, source, leaves)
        return held

    def _put_bytes(self, _number: int, source: Source, leaves: Sequence[int]) -> list[Held]:
        data = content.data_of(self.scenario, source)
        tree = self._trees.of(data)
        name = file_id(tree.root, tree.size)
        self.data[name] = data
        self._paths.append((source.path, name))
        for leaf in leaves:
            files = self.files[leaf] if leaf in self.files else self._make_files(leaf)
            files.put(f"{SHARE}/{source.path}", data)
        return _held_by(leaves, name, source)

    def _put_name(self, number: int, source: Source, leaves: Sequence[int]) -> list[Held]:
        """A file without bytes: its root stands for a content that nobody fetches."""
        root = hashlib.sha256(source.path.encode()).digest()
        file = SharedFile(SHARE, source.path, source.size, 1, number, root)
        for leaf in leaves:
            self._shelves.setdefault(leaf, []).append(file)
        return _held_by(leaves, file_id(root, source.size), source)

    # --- how it stands ----------------------------------------------------------------------

    def noted(self, host: Host, note: Notify) -> None:
        """Follow who has joined whom."""
        leaf = host.number - self._first_leaf
        if not 0 <= leaf < len(self.leaves):
            return
        if note.name == "parent_joined":
            self._joined(leaf, self._numbers.get(str(note.fields["node"])))
        elif note.name == "parent_lost":
            self.left(leaf)
        elif note.name == "promoted":
            self.alive[self.scenario.super_peers + leaf] = None
        elif note.name == "demoted":
            self.alive.pop(self.scenario.super_peers + leaf, None)

    def _joined(self, leaf: int, parent: int | None) -> None:
        """A leaf hangs on a super-peer, or on a liar: then nothing is demanded of either."""
        if parent is None:
            self.left(leaf)
            self._strays[leaf] = None
            return
        self._strays.pop(leaf, None)
        joined = self.joined[leaf] = (parent, self.world.now)
        self.on_joined(leaf)
        self.world.schedule.after(PUBLISH_S, self._published, (leaf, joined))

    def _published(self, what: tuple[int, tuple[int, float]]) -> None:
        leaf, joined = what
        if self.joined.get(leaf) == joined:
            self.parents[leaf] = joined[0]

    def left(self, leaf: int) -> None:
        """A leaf has no parent any more."""
        self._strays.pop(leaf, None)
        self.joined.pop(leaf, None)
        self.parents.pop(leaf, None)

    def superpeer(self, number: int) -> Host:
        """The host of a super-peer: those that are leaves too come after all others."""
        own = len(self.super_peers)
        return self.super_peers[number] if number < own else self.leaves[number - own]

    def is_placed(self, leaf: int) -> bool:
        """Whether a leaf has a parent that has had time to index it, or a liar for a parent."""
        return leaf in self.parents or leaf in self._strays

    def next_fetch(self) -> int:
        """A number for each download, so that no two have one name."""
        self._fetches += 1
        return self._fetches


def _held_by(leaves: Sequence[int], name: str, source: Source) -> list[Held]:
    folder, _, file = source.path.rpartition("/")
    return [Held(leaf, name, file, folder) for leaf in leaves]
