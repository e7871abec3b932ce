"""The line: which leaves follow when no super-peer is left, the same list everywhere.

Each super-peer ranks those of its leaves that would be one and that others can dial, as far as it
is known, by what was measured of them; a leaf that moves to another parent keeps the merit that it
came with, or all other lines would name it and its own would not. It tells its neighbours of the
ablest it knows, its own and those it was told of; so the ablest of the network reach everybody, and
who is in the line stays there only as long as its parent says so anew: where such a word has come a
long way it is passed on early, or it would be too old before it came to the end of a long overlay.
Leaves are told the line and keep it: they need it when there is nobody to ask
(`leaf.parent.succession`). Merit is coarse, and equals are ordered by a hash of their keys: a line
that changes seldom is the same in more places.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from hashlib import blake2b
from heapq import nsmallest
from itertools import islice
from random import Random
from typing import Final, NamedTuple

from common.addresses import may_tell
from common.config import LineConfig
from common.core import Effect, LinkUp, Send
from common.deadlines import Deadlines
from common.hostcache import group_of
from common.ids import NodeId
from common.limits import LINE_AGE_MAX, LINE_MAX, MERIT_MAX
from common.messages import cluster, overlay
from common.messages.fields import Contact

HEARD_MAX: Final = 4 * LINE_MAX  # leaves of others that are remembered
PER_GROUP_MAX: Final = 2  # of one neighbourhood (public: /16): one power cut must not take them all

EARLY_SHARE: Final = 0.25  # of the time until all is said anew, between two that are early

_TELL: Final = "tell"
_REFRESH: Final = "refresh"
_EARLY: Final = "early"


class Measured(NamedTuple):
    """What was measured of a leaf of ours."""

    up_rate: float | None = None
    reachable: bool | None = None


class _Heard:
    """A leaf of another super-peer, and when its parent said so."""

    __slots__ = ("contact", "merit", "said_at")

    def __init__(self, contact: Contact, merit: int, said_at: float) -> None:
        self.contact = contact
        self.merit = merit
        self.said_at = said_at


class Line:
    """The ablest leaves known. `leaves`, `links` and `neighbours` are read as they are at the
    moment; `measured` is what others saw of a leaf."""

    def __init__(
        self,
        me: NodeId,
        *,
        config: LineConfig,
        rng: Random,
        leaves: Mapping[NodeId, object],
        links: Mapping[NodeId, LinkUp],
        neighbours: Mapping[NodeId, object],
        measured: Callable[[NodeId, float], Measured] = lambda _leaf, _now: Measured(),
    ) -> None:
        self._me = me
        self._measured = measured
        self._config = config
        self._rng = rng
        self._leaves = leaves
        self._links = links
        self._neighbours = neighbours
        self._willing: dict[NodeId, float] = {}  # those of our leaves that would, since when
        self._came_with: dict[NodeId, int] = {}  # the merit that others told of, before it was ours
        self._heard: dict[NodeId, _Heard] = {}
        self._members: tuple[Contact, ...] = ()
        self._told: dict[NodeId, tuple[Contact, ...]] = {}  # what each leaf was told last
        self._told_at = -math.inf
        self._said: dict[NodeId, float] = {}  # who neighbours heard of last, and how fresh it was
        self._said_at = -math.inf
        self._deadlines = Deadlines()

    @property
    def members(self) -> tuple[Contact, ...]:
        """The line as it was told last, the first one first."""
        return self._members

    def on_join(self, peer: NodeId, join: cluster.Join, now: float) -> list[Effect]:
        """A leaf came, or one that is here said it again: it is told the line as it is."""
        if peer not in self._leaves:
            return []
        if not join.promotes or peer == self._me:
            self._willing.pop(peer, None)
        else:
            self._willing.setdefault(peer, now)
            if peer in self._heard:
                self._came_with[peer] = self._heard.pop(peer).merit
        self.changed(now)
        self._told[peer] = self._members
        return [Send(peer, cluster.Line(self._members))] if self._members else []

    def changed(self, now: float) -> None:
        """Somebody came: it is told, and with it all that changed."""
        if self._deadlines.get(_TELL) is None:
            soon = max(now + self._config.news_s, self._told_at + self._config.tell_s)
            self._deadlines.set(_TELL, soon)

    def on_ablest(self, peer: NodeId, message: overlay.Ablest, now: float) -> list[Effect]:
        """A neighbour knows of these; within its scope we believe it, but nothing of our own."""
        if peer not in self._neighbours:
            return []
        told_from, news = self._links[peer].address, False
        for able in message.members:
            node = able.leaf.node
            if node in (self._me, peer) or not may_tell(able.leaf.address, told_from):
                continue
            known, said_at = self._heard.get(node), now - able.age_s
            if node not in self._leaves and (known is None or known.said_at < said_at):
                self._heard[node] = _Heard(able.leaf, able.merit, said_at)
                news |= known is None or (known.contact, known.merit) != (able.leaf, able.merit)
                if self._is_stale(node, said_at, now):
                    self._pass_on_early(now)
        self._trim()
        if news:
            self.changed(now)
        return []

    def due(self, now: float) -> list[Effect]:
        """Tell of what changed, and say anew what stays."""
        due = self._deadlines.pop_due(now)
        if not due:
            return []
        self._told_at = now
        self._forget_gone(now)
        ablest = tuple(islice(self._ranked(now), LINE_MAX))
        before, self._members = self._members, tuple(each.leaf for each in ablest)
        effects = self._tell_leaves()
        if ablest and (_REFRESH in due or _EARLY in due or before != self._members):
            self._said = {each.leaf.node: now - each.age_s for each in ablest}
            self._said_at = now
            self._deadlines.set(_REFRESH, now + self._pause())
            effects += [Send(peer, overlay.Ablest(ablest)) for peer in self._neighbours]
        return effects

    def wakeup(self) -> float | None:
        """The earliest deadline."""
        return self._deadlines.earliest()

    def _tell_leaves(self) -> list[Effect]:
        """Each leaf once, as long as the line stays."""
        told, line = self._told, self._members
        self._told = dict.fromkeys(self._leaves, line)
        return [
            Send(leaf, cluster.Line(line)) for leaf in self._leaves if told.get(leaf, ()) != line
        ]

    def _ranked(self, now: float) -> Iterator[overlay.Able]:
        """The ablest first, few of them of one neighbourhood."""
        own = (
            overlay.Able(Contact(leaf, self._links[leaf].address), merit, 0)
            for leaf, since in self._willing.items()
            if (merit := self._merit(leaf, now - since, now)) is not None
        )
        others = (  # a second is added on each link, or what goes round would never age
            overlay.Able(each.contact, each.merit, int(now - each.said_at) + 1)
            for each in self._heard.values()
        )
        known = nsmallest(HEARD_MAX, [*own, *others], key=_place)
        crowds: dict[bytes, int] = {}
        for each in known:
            group = group_of(each.leaf)
            crowds[group] = crowds.get(group, 0) + 1
            if crowds[group] <= PER_GROUP_MAX:
                yield each

    def _merit(self, leaf: NodeId, uptime_s: float, now: float) -> int | None:
        """Of a leaf of ours; None where it could not follow."""
        rate, is_dialled = self._measured(leaf, now)
        is_there = self._links[leaf].address.is_a_place and leaf not in self._neighbours
        if is_dialled is False or not is_there:
            return None
        return max(merit_of(uptime_s, rate), self._came_with.get(leaf, 0))

    def _forget_gone(self, now: float) -> None:
        """Leaves of ours that left, and those of others that nobody speaks of any more."""
        gone = [leaf for leaf in self._willing if leaf not in self._leaves]
        for leaf in gone:
            del self._willing[leaf]
            self._came_with.pop(leaf, None)
        self._heard = {
            node: each
            for node, each in self._heard.items()
            if now - each.said_at < LINE_AGE_MAX and node not in self._leaves
        }

    def _is_stale(self, node: NodeId, said_at: float, now: float) -> bool:
        """Whether what we told of it is old, as it had come a long way, and this is far fresher."""
        told = self._said.get(node)
        if told is None or now - told <= self._config.refresh_s:
            return False
        return said_at - told >= self._config.refresh_s / 2

    def _pass_on_early(self, now: float) -> None:
        """Before it is time anyway, but not for each of many that come one by one."""
        if self._deadlines.get(_EARLY) is None:
            pause = EARLY_SHARE * self._config.refresh_s
            self._deadlines.set(_EARLY, max(now + self._config.news_s, self._said_at + pause))

    def _trim(self) -> None:
        """The least able that others told us of give way."""
        if len(self._heard) > HEARD_MAX:
            ranked = sorted(
                self._heard.items(), key=lambda one: _order(one[1].merit, one[1].contact.node)
            )
            self._heard = dict(ranked[:HEARD_MAX])

    def _pause(self) -> float:
        return self._config.refresh_s * self._rng.uniform(0.75, 1.0)


def merit_of(uptime_s: float, up_rate: float | None) -> int:
    """How good a super-peer a leaf would be: twice as long here, or four times as fast, is one
    more. Who has been up longer stays longer (THREATS, finding 7), and a rate that nobody measured
    counts for nothing."""
    age = math.log2(1.0 + max(uptime_s, 0.0))
    speed = math.log2(1.0 + max(up_rate or 0.0, 0.0)) / 2
    return min(int(age + speed), MERIT_MAX)


def _place(able: overlay.Able) -> tuple[int, bytes]:
    return _order(able.merit, able.leaf.node)


def _order(merit: int, node: NodeId) -> tuple[int, bytes]:
    return (-merit, blake2b(node, digest_size=8).digest())
