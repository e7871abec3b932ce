"""9, 10: a hit answers a live question, is true, comes once, and never more come than were asked.

What an honest leaf is said to have it once had, at its own bulk door. One entry reaches one search
at most once. Where a super-peer lies, others may pass its forgeries on; no leaf may show them.
"""

from collections.abc import Callable

from common.core import Effect, Event, FrameReceived
from common.ids import Guid, NodeId
from common.limits import SOURCES_PER_ANSWER_MAX
from common.messages.cluster import Hit, Locate, Search, SearchDone, SearchHits, Sources
from common.messages.fields import Contact, Message
from deploy.sim.chaos.truth import Content, Truth
from deploy.sim.host import Host
from deploy.sim.inside import leaf_of

Key = tuple[int, int, Guid]  # the asking leaf, its life, its search
RULE = "9: every hit is true, wanted, and comes once"


class _Asked:
    """A search under way, as the wire saw it."""

    def __init__(self, parent: int, wanted: int, content: Content | None = None) -> None:
        self.parent = parent
        self.wanted = wanted
        self.content = content  # where its holders were asked for
        self.seen: dict[tuple[NodeId, bytes, int], None] = {}
        self.located: dict[NodeId, None] = {}
        self.done = False


class Hits:
    """Follows every search between leaf and parent."""

    def __init__(
        self,
        violate: Callable[[str, str], None],
        truth: Truth,
        by_node: dict[NodeId, Host],
    ) -> None:
        self._violate, self._truth, self._by_node = violate, truth, by_node
        self._asked: dict[Key, _Asked] = {}
        self._sought: dict[tuple[int, bytes], None] = {}  # ever: host, root that it looked for

    def sent(
        self, host: Host, there: Host, message: Message, _data: memoryview | bytes | None
    ) -> None:
        """A message leaves."""
        if isinstance(message, Search):
            key = (host.number, host.life, message.guid)
            self._asked[key] = _Asked(there.number, message.wanted)
        elif isinstance(message, Locate):
            key, content = (host.number, host.life, message.guid), (message.root, message.size)
            self._asked[key] = _Asked(there.number, SOURCES_PER_ANSWER_MAX, content)
            self._sought[host.number, message.root] = None
        elif host.number in self._truth.hostile:
            return
        elif isinstance(message, SearchHits | SearchDone | Sources):
            self._answer(host, there, message)

    def fed(self, host: Host, event: Event, _effects: list[Effect]) -> None:
        """An event was taken in: what a leaf shows of it, the sources have signed."""
        if not isinstance(event, FrameReceived) or not isinstance(event.message, SearchHits):
            return
        inside = leaf_of(host)
        for search in inside.searches._open.values() if inside else ():
            for content, row in search.rows.items():
                for node in row.sources:
                    self._held(host, node, content)

    def _answer(self, host: Host, there: Host, message: SearchHits | SearchDone | Sources) -> None:
        if there.number in self._truth.hostile:
            return  # it may use one GUID for several searches
        asked = self._asked.get((there.number, there.life, message.guid))
        if asked is None:
            if there.is_running:
                self._tell(host, f"answers a search that {there.name} did not ask")
            return
        if asked.done:
            self._tell(host, f"goes on answering {there.name} after the end")
        if isinstance(message, SearchHits):
            for hit in message.hits:
                self._hit(host, asked, hit)
            return
        if isinstance(message, Sources):
            self._sources(host, asked, message)
        asked.done = isinstance(message, SearchDone) or message.done

    def _sources(self, host: Host, asked: _Asked, message: Sources) -> None:
        for contact in message.sources:
            asked.located[contact.node] = None
            if asked.content is not None and not self._truth.lies:
                source = self._source(contact.node)
                if source is None or (source.number, asked.content[0]) not in self._sought:
                    self._held(host, contact.node, asked.content)  # else it may have it soon
                self._placed(host, contact)
        if len(asked.located) > asked.wanted:
            self._tell(host, f"names more than {asked.wanted} sources")

    def _hit(self, host: Host, asked: _Asked, hit: Hit) -> None:
        key = (hit.source.node, hit.entry.root, hit.slot)
        if key in asked.seen:
            self._tell(host, f"sends a hit twice: {hit.entry.name!r}")
        asked.seen[key] = None
        if len(asked.seen) > asked.wanted:
            self._tell(host, f"sends more than the {asked.wanted} hits that were wanted")
        if self._truth.lies:
            return
        self._held(host, hit.source.node, (hit.entry.root, hit.entry.size))
        self._placed(host, hit.source)

    def _placed(self, host: Host, contact: Contact) -> None:
        """A super-peer says that this leaf is there."""
        source = self._source(contact.node)
        if source is not None and contact.address != source.bulk:
            self._tell(host, f"says that {source.name} is at {contact.address}")

    def _held(self, host: Host, node: NodeId, content: Content) -> None:
        source = self._source(node)
        if source is not None and (source.number, content) not in self._truth.held:
            self._tell(host, f"says that {source.name} has {content[0].hex()}; it never had")

    def _source(self, node: NodeId) -> Host | None:
        """Who that is, if it tells the truth about what it has."""
        source = self._by_node.get(node)
        honest = source is not None and source.number not in self._truth.hostile
        # one whose disk decayed shares what it reads
        return source if source and honest and source.number not in self._truth.decayed else None

    def _tell(self, host: Host, what: str) -> None:
        self._violate(RULE, f"{host.name} {what}")
