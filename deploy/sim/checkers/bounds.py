"""10, 11, 16, 17, 18: everything has a limit: memory, queues, dials, and events in one moment.

Books that a super-peer keeps for a peer end with its link. A node that wants to be woken over and
over at the same moment has lost its way.
"""

from collections.abc import Callable, Sequence

from common import wire
from common.addresses import Address
from common.config import Config
from common.core import DialFailed, Effect, Event, FrameReceived, OpenLink, SendFrame, Woke
from common.doors import Door
from common.ids import Guid
from common.limits import CONTAINER_ITEMS_MAX
from common.links import Links, Phase
from common.messages.fields import Message
from common.messages.link import Ping, Pong
from common.messages.overlay import Prune, QueryHits
from deploy.sim.host import Host
from deploy.sim.inside import SuperPeerInside, leaf_of, links_of, superpeer_of
from deploy.sim.schedule import Schedule
from leaf.uploads.budget import ALL_BYTES_MAX
from superpeer.flood.hitflow import HITS_PER_WINDOW, WINDOW_S
from superpeer.flood.query import Tree
from superpeer.search.wishes import STANDING

MOMENT_EVENTS_MAX = 20_000  # of one host without time passing
DIALS_MAX = 60  # of one address by one host within DIALS_S: pauses double from 0.1 s on
DIALS_S = 20.0
HEARSAY_PAUSE = 0.9  # of `hearsay_s`: a place where nobody is is dialled no sooner again
READ_AHEAD_SLACK = 1024 * 1024
SLACK_S = 5.0  # later than its limit something may be noticed: a sweep, a clock, a late message
WINDOW_HITS_MAX = 2 * HITS_PER_WINDOW  # of one link within a window, wherever it begins


class Bounds:
    """Looks at one host after each of its events."""

    def __init__(
        self,
        violate: Callable[[str, str], None],
        schedule: Schedule,
        config: Config,
        hosts: Sequence[Host],
    ) -> None:
        self._violate, self._hosts = violate, hosts
        self._hello_s, self._dead_s = config.link.hello_s, config.link.dead_s
        self._hearsay_s = config.overlay.hearsay_s * HEARSAY_PAUSE
        self._schedule = schedule
        self._moment: tuple[int, float, int] = (-1, -1.0, 0)
        self._dials: dict[tuple[int, int, object, object], list[float]] = {}
        self._open_dials: dict[tuple[int, int, int], tuple[Address, bytes]] = {}  # of bulk doors
        self._pinged: dict[bytes, int] = {}
        self._trees: dict[tuple[int, int], dict[Guid, Tree]] = {}
        self._windows: dict[tuple[int, int], tuple[float, int]] = {}

    def fed(self, host: Host, event: Event, effects: list[Effect]) -> None:
        """An event was taken in."""
        number, at, count = self._moment
        now = self._schedule.now
        same = number == host.number and at == now
        self._moment = (host.number, now, count + 1 if same else 1)
        if self._moment[2] > MOMENT_EVENTS_MAX:
            self._tell(host, "18: time goes on", "turns round and round")
        failed = None
        if isinstance(event, DialFailed):
            failed = self._open_dials.pop((host.number, host.life, event.dial), None)
        for effect in effects:
            if isinstance(effect, OpenLink):
                self._dialled(host, effect)
                if (effect.address, effect.curve_key) == failed:
                    what = f"dials {effect.address} again at once"
                    self._tell(host, "16: dials are paced", what)
        if isinstance(event, Woke | FrameReceived):
            self._links(host)
        inside = superpeer_of(host)
        if inside is not None:
            self._books(host, inside, effects)
        leaf = leaf_of(host)
        ahead = 0 if leaf is None else leaf.uploads._outlet.bytes_on_their_way
        if ahead > ALL_BYTES_MAX + READ_AHEAD_SLACK:
            self._tell(host, "11: bulk on its way is bounded", "reads too far ahead")

    def sent(
        self, host: Host, there: Host, message: Message, _data: memoryview | bytes | None
    ) -> None:
        """A message leaves: a pong is never longer than its ping, hits come in windows."""
        if isinstance(message, QueryHits) and superpeer_of(host) is not None:
            self._hits(host, there, len(message.hits))
        if isinstance(message, Ping):
            self._pinged[message.nonce] = len(wire.encode(message))
            return
        allowed = self._pinged.get(message.nonce, 0) if isinstance(message, Pong) else None
        if allowed is not None and len(wire.encode(message)) > allowed:
            self._tell(host, "T4: a pong is no longer than its ping", "answers too much")

    def _hits(self, host: Host, there: Host, count: int) -> None:
        now, key = self._schedule.now, (host.number, there.number)
        began, hits = self._windows.get(key, (-1.0, 0))
        if now >= began + WINDOW_S:
            began, hits = now, 0
        self._windows[key] = (began, hits + count)
        if hits + count > WINDOW_HITS_MAX:
            self._tell(host, "11: hits cross a link in windows", f"sends {hits + count} at once")

    def _links(self, host: Host) -> None:
        """Each link that is up is to who it says, the only one by its door; others come up soon."""
        links = links_of(host)
        if not isinstance(links, Links):  # a hostile node's book
            return
        seen: dict[object, None] = {}
        now = self._schedule.now
        for link in links._links.values():
            wire = host.wires.get(link.number)
            if link.phase is Phase.UP and wire is not None:
                other = wire.hosts[1 - wire.end_of(host)]
                known = other.identity.node == link.peer or wire.dark >= 0
                if not known and wire.up[1 - wire.end_of(host)]:
                    self._tell(host, "T16: a peer is who he says", f"believes {other.name}")
                if (link.peer, link.door) in seen:
                    self._tell(host, "17: one link to a peer by each door", "has two")
                seen[link.peer, link.door] = None
            waits_s = host.clock - link.opened_at
            mute = link.phase is Phase.GREETING and waits_s > SLACK_S + self._hello_s
            if self._is_sound(host) and mute:
                self._tell(host, "17: who says nothing is hung up on", "keeps a mute link")
            gone = wire is not None and now - wire.gone_at > self._dead_s + 2 * SLACK_S
            if self._is_sound(host) and link.phase is Phase.UP and gone:
                self._tell(host, "22: the dead are noticed", "keeps a link that nobody has")

    def _is_sound(self, host: Host) -> bool:
        """Whether it has had time to look: neither asleep, nor slow, nor just awake again."""
        since = self._schedule.now - self._dead_s - 2 * SLACK_S
        late = host.is_frozen or host.cost_s > 0
        return not late and host.thawed_at < since and host.slow_until < since

    def _dialled(self, host: Host, effect: OpenLink) -> None:
        now = self._schedule.now
        key = (host.number, host.life, effect.address, effect.door)
        times = self._dials.setdefault(key, [])
        nobody = all(each.control != effect.address for each in self._hosts)
        if times and now - times[-1] < self._hearsay_s and nobody and superpeer_of(host):
            self._tell(host, "16: dials are paced", f"dials {effect.address} too soon again")
        times.append(now)
        if effect.door is Door.BULK:
            target = (effect.address, effect.curve_key)
            self._open_dials[host.number, host.life, effect.dial] = target
        while times[0] < now - DIALS_S:
            times.pop(0)
        if len(times) > DIALS_MAX:
            self._tell(host, "16: dials are paced", f"dials {effect.address} over and over")

    def _books(self, host: Host, inside: SuperPeerInside, effects: list[Effect]) -> None:
        flood, config = inside.flood, inside.flood._config
        if len(flood.seen) > config.seen_max or len(flood._trees) > config.open_max:
            self._tell(host, "11: memory of queries is bounded", "remembers too many")
        if any(count < 0 for count in flood._waiting.hits.values()):
            self._tell(host, "11: hits that wait are counted", "counts below zero")
        waiting = sum(len(tree.outbox) for tree in flood._trees.values())
        if waiting != sum(flood._waiting.hits.values()):
            self._tell(host, "11: hits that wait are counted", "has lost count")
        if waiting > config.waiting_max + CONTAINER_ITEMS_MAX:
            self._tell(host, "11: hits that wait are bounded", "lets too many wait")
        before, after = self._trees.get((host.number, host.life), {}), dict(flood._trees)
        self._trees[host.number, host.life] = after
        told = [
            each.message.guid
            for each in effects
            if isinstance(each, SendFrame) and isinstance(each.message, Prune)
        ]
        for guid, tree in before.items():
            below = [peer for peer in (*tree.owing, *tree.branches) if peer in inside.links]
            if guid not in after and told.count(guid) < len(below):
                self._tell(host, "17: who is below a query is told of its end", "tells nobody")
        for peer in (*flood._flows, *flood.paces):
            if peer not in inside.links and peer != host.identity.node:
                self._tell(host, "17: books end with the link", "keeps books of who is gone")
        wishes = inside.wishes
        for peer in (*inside.searches._asked, *wishes._of, *wishes._fresh, *wishes._told):
            here = peer == STANDING or peer in inside.cluster.members or peer in inside.links
            if not here:
                self._tell(host, "17: books end with the link", "searches for who is gone")

    def _tell(self, host: Host, rule: str, what: str) -> None:
        self._violate(rule, f"{host.name} {what}")
