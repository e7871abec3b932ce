"""8, 10, 23: queries go once, as far as they may; what comes back is no more than was asked for.

Each super-peer sends one neighbour one query at most once, with one hop more than it had, never
beyond the limit of hops, and never to a leaf. What was asked of a neighbour (`Query`, `Extend`) is
answered by one `QueryDone` at most; who never answers is told of as lost. A hit crosses a link
once for each super-peer that has it, and no more of them than were wanted.
"""

from collections.abc import Callable

from common import wire
from common.core import Effect, Event, FrameReceived, SendFrame
from common.errors import RemoteProtocolError
from common.ids import Guid, NodeId
from common.limits import HITS_PER_QUERY_MAX, HOPS_MAX, TTL_MAX
from common.messages.cluster import Welcome
from common.messages.fields import Message
from common.messages.overlay import Extend, Held, Query, QueryBody, QueryDone, QueryHits
from deploy.sim.host import Host
from deploy.sim.inside import superpeer_of

Asked = tuple[int, int, Guid]  # by whom, in which life, which query
Pair = tuple[int, int, int, Guid]  # from, its life, to, which query


class Queries:
    """Follows every query over every link."""

    def __init__(
        self, violate: Callable[[str, str], None], hostile: dict[int, str] | None = None
    ) -> None:
        self._violate = violate
        self._hostile = {} if hostile is None else hostile
        self._sent: dict[Pair, int] = {}  # -> hops
        self._owed: dict[Pair, int] = {}  # answers that the other end owes
        self._awaited: dict[Asked, dict[int, None]] = {}  # who has not answered in this ring
        self._evaluated: dict[tuple[int, int, Guid], None] = {}
        self._counts: dict[tuple[int, int], int] = {}
        self._heard: dict[Asked, set[int]] = {}  # with how many hops
        self._parents: dict[NodeId, dict[int, None]] = {}  # by leaf: who may have it in the index
        self._bodies: dict[Guid, bytes] = {}
        self._passed: dict[Pair, list[tuple[NodeId, int, bytes]]] = {}  # hits: of whom, slot, root

    def sent(
        self, host: Host, there: Host, message: Message, _data: memoryview | bytes | None
    ) -> None:
        """A message leaves."""
        if isinstance(message, Query):
            self._query(host, there, message)
        elif isinstance(message, Extend):
            self._owes(host, there, message.guid)
        elif isinstance(message, Welcome):
            self._parents.setdefault(there.identity.node, {})[host.number] = None
        elif isinstance(message, Held) and not message.refused:  # who has a copy may show it
            self._parents.setdefault(message.leaf, {})[host.number] = None
        elif isinstance(message, QueryDone):
            self._done(host, there, message)
        if isinstance(message, QueryHits | QueryDone) and host.number not in self._hostile:
            self._hits(host, there, message)

    def fed(self, host: Host, event: Event, effects: list[Effect]) -> None:
        """An event was taken in: was a query evaluated that had been before?"""
        inside = superpeer_of(host)
        if inside is None or host.number in self._hostile:
            return
        place = (host.number, host.life)
        before, now = self._counts.get(place, 0), inside.flood.evaluated
        self._counts[place] = now
        if now == before or not isinstance(event, FrameReceived):
            return
        if not isinstance(event.message, Query):
            return
        guid = event.message.guid
        key = (*place, guid)
        if key in self._evaluated and not _said_duplicate(guid, effects):
            self._tell(host, f"evaluated query {guid.hex()[:8]} twice")
        self._evaluated[key] = None

    def _query(self, host: Host, there: Host, query: Query) -> None:
        key = (host.number, host.life, there.number, query.guid)
        if host.number not in self._hostile:
            if key in self._sent:
                self._tell(host, f"sent {there.name} query {query.guid.hex()[:8]} twice")
            if query.hops > HOPS_MAX or query.ttl > TTL_MAX + 1:
                self._tell(host, f"sent a query of {query.hops} hops, ttl {query.ttl}")
            honest = there.is_running and there.number not in self._hostile
            if honest and superpeer_of(there) is None:
                self._tell(host, f"sent a query to {there.name}, which is no super-peer")
            heard = self._heard.setdefault((host.number, host.life, query.guid), {0})  # its own
            if query.hops - 1 not in heard:
                self._tell(host, f"passes a query on with {query.hops} hops, not one more")
        self._heard.setdefault((there.number, there.life, query.guid), set()).add(query.hops)
        self._sent[key] = query.hops
        self._owes(host, there, query.guid)
        self._bodies[query.guid] = query.body

    def _owes(self, host: Host, there: Host, guid: Guid) -> None:
        key = (host.number, host.life, there.number, guid)
        self._owed[key] = self._owed.get(key, 0) + 1
        if there.number not in self._hostile:
            self._awaited.setdefault((host.number, host.life, guid), {})[there.number] = None

    def _hits(self, host: Host, there: Host, message: QueryHits | QueryDone) -> None:
        key = (host.number, host.life, there.number, message.guid)
        passed = self._passed.setdefault(key, [])
        for hit in message.hits:
            one = (hit.source.node, hit.slot, hit.entry.root)
            passed.append(one)
            holders = self._parents.get(hit.source.node, {})
            if passed.count(one) > len(holders) and not self._hostile:
                self._tell(host, f"passes a hit to {there.name} twice: {hit.entry.name!r}")
        body = self._bodies.get(message.guid, b"")
        if there.number not in self._hostile and len(passed) > _wanted(body):
            self._tell(host, f"passes {len(passed)} hits to {there.name}, more than were wanted")

    def _done(self, host: Host, there: Host, done: QueryDone) -> None:
        self._awaited.get((there.number, there.life, done.guid), {}).pop(host.number, None)
        if host.number in self._hostile:
            return
        key = (there.number, there.life, host.number, done.guid)
        owed = self._owed.get(key, 0)
        if not owed and there.is_running and there.number not in self._hostile:
            self._tell(host, f"reported query {done.guid.hex()[:8]} to {there.name} unasked")
        self._owed[key] = owed - 1
        if done.duplicate:
            return
        silent = self._awaited.pop((host.number, host.life, done.guid), None)
        if silent and not (done.lost or done.left_out):
            self._tell(host, f"reports query {done.guid.hex()[:8]} whole, though some were silent")

    def _tell(self, host: Host, what: str) -> None:
        self._violate("8: a query goes once, and where queries go", f"{host.name} {what}")


def _said_duplicate(guid: Guid, effects: list[Effect]) -> bool:
    """Whether who asked was told that the query is known: what was evaluated is another one."""
    dones = [each.message for each in effects if isinstance(each, SendFrame)]
    return any(isinstance(one, QueryDone) and one.guid == guid and one.duplicate for one in dones)


def _wanted(body: bytes) -> int:
    """How many hits a query asks for; as many as may be where that cannot be read."""
    try:
        return wire.unpack(body, QueryBody).wanted
    except RemoteProtocolError:
        return HITS_PER_QUERY_MAX
