"""Fixed thresholds of one node, as programs that were in use have them, beside our own controller.

They say who may be a super-peer and nothing about how many are needed. Here the parent of a leaf
that passes them asks it, and it becomes one.

- gtk-gnutella (`can_become_ultra` in src/core/nodes.c): up for NODE_MIN_UPTIME, 3,600 s; who had
  no leaf for NODE_UP_NO_LEAF_MAX, 3,600 s, is none any more. The bandwidth that it looks at is a
  setting; means of past sessions (10,800 s) are left out, as nobody here has a past.
- LimeWire (NodeAssignerImpl and its settings): upstream of MIN_UPSTREAM_REQUIRED, 10 KB/s, or
  downstream of 20, and this run 7,200 s long. Who passes that while nobody uses it tries to become
  one whatever others need, and then refuses to be demoted.

Of the hours that they ask for a quarter will do here, and of the rates a tenth, as of all rates.
"""

from collections.abc import Sequence
from typing import Final, Protocol

from common.core import Effect
from common.node import SUPERPEER
from deploy.sim.host import Host
from deploy.sim.world import World
from superpeer.role import SuperPeer

LIMEWIRE_UP: Final = 1e3  # 10 KB/s; who has that down has it up here too: down is ten times up
LIMEWIRE_UPTIME_S: Final = 7200.0 / 4
GTK_UPTIME_S: Final = 3600.0 / 4
GTK_NO_LEAF_S: Final = 3600.0 / 4


class Someone(Protocol):
    """One node, as far as the rules look at it."""

    host: Host
    up_rate: float
    began: float

    @property
    def core(self) -> SuperPeer | None:
        """Its second role, if it has one."""


class LimeWire:
    """Fast enough, and here for long enough."""

    def look(self, world: World, people: Sequence[Someone], cores: Sequence[SuperPeer]) -> None:
        """Every leaf that passes is asked by its parent."""
        for core in cores:
            promotion, members = core._hierarchy.promotion, core._cluster.members
            host = world.by_node[core._me]
            for each in people:
                node = each.host.identity.node
                passes = node in members and each.core is None and self._passes(each, world.now)
                if passes and promotion.offered is None:
                    _perform(host, promotion._offer(node, host.clock))

    def _passes(self, each: Someone, now: float) -> bool:
        return each.up_rate >= LIMEWIRE_UP and now - each.began >= LIMEWIRE_UPTIME_S


class GtkGnutella(LimeWire):
    """Here for long enough; none any more if nobody came."""

    def __init__(self) -> None:
        self._leafless: dict[int, float] = {}  # super-peers, and since when

    def look(self, world: World, people: Sequence[Someone], cores: Sequence[SuperPeer]) -> None:
        """Besides, who had none but itself for long steps down, as far as others let it."""
        super().look(world, people, cores)
        for each in people:
            core, host = each.core, each.host
            if core is None or len(core._cluster.members) > 1:
                self._leafless.pop(host.number, None)
                continue
            stepdown = core._hierarchy.stepdown
            since = self._leafless.setdefault(host.number, world.now)
            may = stepdown.promoted_at is not None and not stepdown.is_under_way
            if may and world.now - since >= GTK_NO_LEAF_S:
                _perform(host, stepdown._ask(host.clock))

    def _passes(self, each: Someone, now: float) -> bool:
        return now - each.began >= GTK_UPTIME_S


FIXED: Final = {"limewire": LimeWire, "gtk-gnutella": GtkGnutella}


def _perform(host: Host, asked: list[Effect]) -> None:
    if host.node is None:
        return
    effects: list[Effect] = []
    host.node._perform(SUPERPEER, asked, effects, host.clock)
    for effect in effects:
        host._perform(effect)
    host._flush()
    host._arm()
