"""Super-peers and leaves in the simulator, real roles all, for tests of promotion.

Leaves are told of super-peers as people tell them; everything else they do themselves.
"""

import hashlib
from collections import deque
from collections.abc import Callable

import msgspec
from msgspec.structs import replace

from common.addresses import Address
from common.config import ClusterConfig, Config, OverlayConfig, PromotionConfig, VitalsConfig
from common.core import Effect, Fail, Notify
from common.ids import node_text
from common.messages.fields import Message
from common.node import LEAF, SUPERPEER
from common.storage import SharedFile
from deploy.sim.host import Host
from deploy.sim.nodes import NETWORK, SHARE, Plan, builder, seed_to
from deploy.sim.paths import Access
from deploy.sim.shelf import Shelf
from deploy.sim.world import World
from leaf.methods import Nothing, Search, SearchResult, Status
from superpeer.methods import Explain, Explanation
from superpeer.methods import Status as SuperPeerStatus
from superpeer.role import SuperPeer

QUICK = VitalsConfig(dialback_again_s=2.0, records_s=5.0, receipts_s=2.0)


def config(leaves_max: int = 8, **promotion: float) -> Config:
    """A small cluster whose floors are for others to test: only need or rank decide."""
    return Config(
        cluster=ClusterConfig(leaves_max=leaves_max),
        overlay=OverlayConfig(gossip_s=1.0, news_s=0.5),
        vitals=QUICK,
        promotion=PromotionConfig(**{"age_min_s": 10.0, **promotion}),  # type: ignore[arg-type]
    )


class Network:
    """Hosts by name."""

    def __init__(self, settings: Config, seed: int = 1) -> None:
        self.config = settings
        self.world = World(seed)
        self.notes: list[tuple[str, Notify]] = []
        self.said: deque[tuple[str, str, Message]] = deque(maxlen=100_000)
        self.world.watch([self])

    def sent(self, here: Host, there: Host, message: Message, _data: object) -> None:
        """See `deploy.sim.witness`; the last thousands."""
        self.said.append((here.name, there.name, message))

    def conversation(self, *kinds: type[Message]) -> list[str]:
        """Who said these things to whom, in order; the same thing said again is told once."""
        lines = [
            f"{here} -> {there}: {type(message).__name__}"
            for here, there, message in self.said
            if isinstance(message, kinds)
        ]
        return list(dict.fromkeys(lines))

    def wall(self, name: str) -> None:
        """From now on nobody can dial this host, though it can dial others."""
        del self.world.wires._hosts[self.host(name).control.ip]

    def noted(self, host: Host, note: Notify) -> None:
        """See `deploy.sim.witness`."""
        self.notes.append((host.name, note))

    def add(self, name: str, plan: Plan, access: Access | None = None) -> Host:
        """A host, started."""
        number = len(self.world.hosts)
        host = self.world.add(
            name,
            Address.of(f"10.0.{number // 200}.{number % 200 + 1}", 1214),
            build=builder(plan, self.world.draws),
            equip=lambda one: Shelf(self._files(one.name), one.take, {}),
            access=access,
            has_bulk=LEAF in plan.roles,
        )
        host.start()
        return host

    def _files(self, name: str) -> list[SharedFile]:
        """Each leaf shares one file, named after itself."""
        root = hashlib.sha256(name.encode()).digest()
        return [SharedFile(SHARE, f"song of {name}.ogg", 1000, 1, 1, root)]

    def superpeer(self, name: str, *joins: str) -> Host:
        """A super-peer that was started as one."""
        seeds = tuple(seed_to(self.host(one)) for one in joins)
        return self.add(name, Plan((SUPERPEER,), self.config, seeds))

    def leaf(
        self, name: str, *supers: str, promotes: bool = True, access: Access | None = None
    ) -> Host:
        """A leaf that was told of these super-peers."""
        seeds = tuple(seed_to(self.host(one)) for one in supers)
        plan = Plan((LEAF,), self.config, supers=seeds, shares=(SHARE,), promotes=promotes)
        return self.add(name, plan, access)

    def core(self, name: str) -> SuperPeer:
        """The second role of a node."""
        node = self.host(name).node
        core = None if node is None else node._roles.get(SUPERPEER)
        assert isinstance(core, SuperPeer)
        return core

    def order(self, name: str, act: Callable[[float], list[Effect]]) -> None:
        """Have a super-peer do something at once, and perform what that orders."""
        host, effects = self.host(name), list[Effect]()
        assert host.node is not None
        host.node._perform(SUPERPEER, act(host.clock), effects, host.clock)
        for effect in effects:
            host._perform(effect)
        host._flush()
        host._arm()

    def has_leaf(self, superpeer: str, leaf: str) -> bool:
        """Whether it is one of its leaves."""
        return self.host(leaf).identity.node in self.core(superpeer)._cluster.members

    def host(self, name: str) -> Host:
        """By name."""
        return next(each for each in self.world.hosts if each.name == name)

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.world.run(self.world.now + seconds)

    def until(self, is_so: Callable[[], bool], within_s: float) -> bool:
        """Let time pass until something is so."""
        end = self.world.now + within_s
        while not is_so() and self.world.now < end:
            self.world.run(min(end, self.world.now + 0.5))
        return is_so()

    def ask(self, name: str, method: str, params: msgspec.Struct) -> object:
        """Call a method, and wait for what comes of it."""
        ends: list[object] = []
        self.world.people.ask(self.host(name), method, params, ends.append)
        self.until(lambda: bool(ends), 30.0)
        assert ends, f"{name} does not answer {method}"
        return ends[0]

    def status(self, name: str) -> Status:
        """What a leaf says of itself."""
        found = self.ask(name, "leaf.status", Nothing())
        assert isinstance(found, Status)
        return found

    def superpeer_status(self, name: str) -> SuperPeerStatus:
        """What a super-peer says of itself."""
        found = self.ask(name, "superpeer.status", Nothing())
        assert isinstance(found, SuperPeerStatus)
        return found

    def explain(self, name: str, leaf: str = "") -> Explanation:
        """What `superpeer explain` says."""
        node = node_text(self.host(leaf).identity.node) if leaf else ""
        found = self.ask(name, "superpeer.explain", Explain(node))
        assert isinstance(found, Explanation), found
        return found

    def search(self, name: str, words: str) -> SearchResult | Fail:
        """What a leaf finds."""
        found = self.ask(name, "leaf.search", Search([words]))
        assert isinstance(found, SearchResult | Fail)
        return found

    def roles(self, name: str) -> list[str]:
        """The roles that a node plays."""
        return self.status(name).roles

    def noted_by(self, name: str, note: str) -> int:
        """How often a node noted this."""
        return sum(host == name and each.name == note for host, each in self.notes)


__all__ = ["NETWORK", "QUICK", "Network", "config", "replace"]
