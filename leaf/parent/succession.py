"""Who becomes the super-peer when none is left: the first in line that still stands.

A parent tells its leaves the line (`superpeer.succession.line`): the ablest leaves of the network,
the same everywhere. A leaf whose search for a parent found nobody asks all of the line by ping,
side by side. Whoever has a super-peer names it, and that one is joined. If nobody has, the first
that answers becomes one itself, but only when another orphan has vouched that it is alone too: who
is merely cut off begins no network of its own. Who stands behind gives the one before a turn's
time; but one super-peer is not enough for all that ask: so many of the line follow at once as they
need. Who is asked is in somebody's line, even where its own does not name it.

A leaf that knows no line begins the network itself, where it may: the first machine on a LAN needs
no flag either.
"""

from collections.abc import Callable
from random import Random
from typing import ClassVar, Final

from common.addresses import Address, may_tell
from common.config import ParentConfig
from common.core import (
    DatagramReceived,
    Demoted,
    Effect,
    Event,
    Notify,
    Promote,
    Promoted,
    Received,
    Stopped,
    Woke,
)
from common.deadlines import Deadlines
from common.ids import NodeId, node_text
from common.limits import LINE_MAX
from common.meeting import Meeting
from common.messages.cluster import Line
from common.messages.fields import Contact
from common.messages.link import Ping, Pong
from common.network import Network
from leaf.signals import Alone, Joined, Named, Orphaned

FOLLOWERS: Final = 100  # leaves that ask for each that follows at once: of 150 that it could take
ASKERS_MAX: Final = LINE_MAX * FOLLOWERS  # that are counted
VOUCHERS_MIN: Final = 2  # others that ask us, where our line does not name us
ASKED_AGAIN: Final = 4  # of the line, when somebody has been named: he, or they, know others
NAMES_MAX: Final = 4  # super-peers, all of no use, that one of the line may name to us
SOON_S: Final = 3.0  # until we ask again where a super-peer was named and was of no use: it is full

_DECIDE: Final = "decide"
_AGAIN: Final = "again"


class Succession:
    """The line as this leaf knows it, and how far it is with asking it."""

    __slots__ = (
        *("_alone", "_asked", "_askers", "_config", "_deadlines", "_has_named"),
        *("_is_superpeer", "_line", "_me", "_meeting", "_names", "_parent", "_parent_address"),
        *("_pause_s", "_promotes", "_rng", "_since", "_tried"),
    )

    def __init__(
        self, me: NodeId, network: Network, config: ParentConfig, rng: Random, *, promotes: bool
    ) -> None:
        """`promotes`: this leaf would be a super-peer where one is needed."""
        self._me = me
        self._meeting = Meeting(network, rng)
        self._config = config
        self._rng = rng
        self._promotes = promotes
        self._is_superpeer = False
        self._line: tuple[Contact, ...] = ()
        self._parent: NodeId | None = None  # while we have one: nobody else tells us the line
        self._parent_address: Address | None = None  # it is believed in its scope
        self._deadlines = Deadlines()
        self._rest()

    def _rest(self) -> None:
        """There is a parent, or nothing is to be done about it."""
        self._alone: Alone | None = None  # why we ask, while we do
        self._since: float | None = None  # when all this began
        self._pause_s = self._config.line_s
        self._asked: dict[NodeId, Contact | None] = {}  # who answered, and whom it named
        self._names: dict[NodeId, set[NodeId]] = {}  # whom each has named since all this began
        self._tried: dict[NodeId, None] = {}  # named before, and of no use
        self._has_named = False  # the line has, since all this began
        self._askers: dict[Address, None] = {}  # who asked us since we had a parent
        self._deadlines.cancel(_DECIDE)
        self._deadlines.cancel(_AGAIN)

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take in one event."""
        return self._HANDLERS[type(event)](self, event, now)

    def wakeup(self) -> float | None:
        """The next deadline."""
        return self._deadlines.earliest()

    @property
    def line(self) -> tuple[Contact, ...]:
        """Who follows, the first one first."""
        return self._line

    # --- what comes -------------------------------------------------------------------------

    def _received(self, event: Received, _now: float) -> list[Effect]:
        at = self._parent_address
        if isinstance(event.message, Line) and event.peer == self._parent and at is not None:
            members = event.message.members
            self._line = tuple(each for each in members if may_tell(each.address, at))
        return []

    def _joined(self, event: Joined, _now: float) -> list[Effect]:
        self._parent, self._parent_address = event.parent, event.address
        self._rest()
        return []

    def _orphaned(self, _event: Orphaned, _now: float) -> list[Effect]:
        """The line stays: now it is needed."""
        self._parent = None
        return []

    def _on_alone(self, event: Alone, now: float) -> list[Effect]:
        """A round found nobody: ask, unless we do so already; soon, if those that were named took
        us not."""
        self._alone = event
        if self._since is None:
            self._since = now
        again_at = self._deadlines.get(_AGAIN)
        if self._has_named and again_at is not None:
            self._deadlines.set(_AGAIN, min(again_at, self._soon(now)))
        return [] if self._deadlines.earliest() is not None else self._ask(now)

    def _soon(self, now: float) -> float:
        return now + SOON_S * self._rng.uniform(0.5, 1.0)

    def _ask(self, now: float) -> list[Effect]:
        others = [each for each in self._line if each.node != self._me]
        if not others or self._is_superpeer:
            return self._begin_network()
        self._asked.clear()
        self._deadlines.set(_DECIDE, now + self._config.line_s)
        if self._has_named and len(others) > ASKED_AGAIN:
            others = self._rng.sample(others, ASKED_AGAIN)
        return [self._meeting.ask(each.node, each.address) for each in others]

    def _pong(self, event: DatagramReceived, _now: float) -> list[Effect]:
        if isinstance(event.message, Ping) and len(self._askers) < ASKERS_MAX:
            self._askers[event.address] = None
        heard = self._meeting.heard(event)
        if heard is None or not isinstance(event.message, Pong):
            return []
        node, pong = heard
        if node != pong.node or pong.refusal:
            return []
        named = pong.superpeer
        if named is not None and named.node == pong.node:
            named = Contact(named.node, event.address)
        elif named is not None and not may_tell(named.address, event.address):
            return []
        if named is None or self._may_name(pong.node, named.node):
            self._asked[pong.node] = named
        return []

    def _may_name(self, by: NodeId, superpeer: NodeId) -> bool:
        """Who names another one each time, and none that takes us, keeps us from following."""
        names = self._names.setdefault(by, set())
        if superpeer not in names and len(names) >= NAMES_MAX:
            return False
        names.add(superpeer)
        return True

    # --- deciding ---------------------------------------------------------------------------

    def _decide(self, now: float) -> list[Effect]:
        """Join whom the line names, follow, or ask again."""
        self._deadlines.set(_AGAIN, now + self._pause_s * self._rng.uniform(0.75, 1.0))
        self._pause_s = min(2 * self._pause_s, self._config.line_max_s)
        named = [self._asked[each.node] for each in self._line if self._asked.get(each.node)]
        useful = {each.node: each for each in named if each and each.node not in self._tried}
        useful.pop(self._me, None)
        if useful:
            self._tried |= dict.fromkeys(useful)
            self._has_named = True
            return [Named(tuple(useful.values()))]
        if named:  # they may have us by now
            self._deadlines.set(_AGAIN, self._soon(now))
            self._tried.clear()
        if not self._asked:
            return self._begin_network() if self._waited(now) >= self._config.cut_off_s else []
        return self._follow() if self._is_our_turn(now) else []

    def _is_our_turn(self, now: float) -> bool:
        """Whether nobody before us in line is left, or had its turn and let it pass; and whether
        another orphan vouches."""
        orphans = [
            each.node
            for each in self._line
            if each.node == self._me or self._asked.get(each.node, each) is None
        ]
        is_named = self._me in orphans
        if not is_named and len(self._askers) >= VOUCHERS_MIN:
            orphans.append(self._me)
        if not self._promotes or self._me not in orphans or len(orphans) < 2:
            return False
        needed = len(self._askers) // FOLLOWERS if is_named else 0
        turns = max(0, orphans.index(self._me) - needed)
        return self._waited(now) >= turns * self._config.turn_s

    def _waited(self, now: float) -> float:
        return now - (now if self._since is None else self._since)

    def _follow(self) -> list[Effect]:
        others = [each for each in self._line if each.node != self._me]
        vouched = [node_text(node) for node, named in self._asked.items() if named is None]
        fields: dict[str, object] = {"vouched_by": vouched}
        seeds = tuple((each.node, each.address) for each in others)
        return [Notify("succeeded", fields), Promote(seeds)]

    def _begin_network(self) -> list[Effect]:
        """Nobody is there to ask."""
        alone = self._alone
        if alone is None or not alone.may_begin or self._is_superpeer:
            return []
        return [Notify("network_started", {"reason": alone.reason}), Promote(())]

    # --- the rest ---------------------------------------------------------------------------

    def _promoted(self, _event: Promoted, _now: float) -> list[Effect]:
        self._is_superpeer = True
        self._rest()
        return []

    def _demoted(self, _event: Demoted, _now: float) -> list[Effect]:
        self._is_superpeer = False
        return []

    def _stopped(self, _event: Stopped, _now: float) -> list[Effect]:
        self._rest()
        return []

    def _woke(self, _event: Woke, now: float) -> list[Effect]:
        effects: list[Effect] = []
        for key in self._deadlines.pop_due(now):
            effects += self._decide(now) if key == _DECIDE else self._ask(now)
        return effects

    _HANDLERS: ClassVar[dict[type[Event], Callable[..., list[Effect]]]] = {
        Received: _received,
        Joined: _joined,
        Orphaned: _orphaned,
        Alone: _on_alone,
        DatagramReceived: _pong,
        Promoted: _promoted,
        Demoted: _demoted,
        Stopped: _stopped,
        Woke: _woke,
    }
