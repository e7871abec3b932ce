"""Networks that were parted find each other: whoever succeeded goes on asking who else is there.

A leaf that became a super-peer because none was left may not be the only one: others stood behind
another cut, or saw another line. So it pings, a few at a time and ever more rarely, those it knew
before and those who stand in line now. Who is not near us and is named by one of them is wanted as
a neighbour, and with that link two networks are one.
"""

from random import Random
from typing import Final

from common.addresses import may_tell
from common.config import LineConfig
from common.core import DatagramReceived, Effect, Promoted
from common.deadlines import Deadlines
from common.ids import NodeId
from common.limits import LINE_MAX
from common.meeting import Meeting
from common.messages.fields import Contact
from common.network import Network
from superpeer.overlay.joining import Why
from superpeer.overlay.overlay import Overlay
from superpeer.overlay.reach import short_id
from superpeer.succession.line import Line

ASKED: Final = 4  # at a time; wild guess
KNOWN_MAX: Final = 4 * LINE_MAX  # of those that it knew before

_ASK: Final = "ask"


class Reunion:
    """Whom we knew before; `line` and `overlay` are read as they are at the moment."""

    def __init__(
        self,
        me: NodeId,
        config: LineConfig,
        network: Network,
        rng: Random,
        line: Line,
        overlay: Overlay,
    ) -> None:
        self._me = me
        self._config = config
        self._rng = rng
        self._line = line
        self._overlay = overlay
        self._meeting = Meeting(network, rng)
        self._known: tuple[Contact, ...] = ()
        self._pause_s = config.reunion_s
        self._deadlines = Deadlines()

    def promoted(self, event: Promoted, now: float) -> list[Effect]:
        """We are a super-peer now, and knew these."""
        self._known = tuple(Contact(*each) for each in event.seeds[:KNOWN_MAX])
        if not self._known:
            return []
        return self._ask(now)

    def on_pong(self, event: DatagramReceived, now: float) -> list[Effect]:
        """One of them is there, and names its super-peer."""
        heard = self._meeting.heard(event)
        named = None if heard is None else heard[1].superpeer
        if heard is None or named is None:
            return []
        if named.node == heard[1].node:
            named = Contact(named.node, event.address)
        elif not may_tell(named.address, event.address):
            return []
        is_near = short_id(named.node) in self._overlay.around()
        if named.node == self._me or named.node in self._overlay.neighbours or is_near:
            return []
        self._pause_s = self._config.reunion_s
        return self._overlay.joining.want(named, now, Why.NAMED)

    def due(self, now: float) -> list[Effect]:
        """Ask the next few."""
        return self._ask(now) if self._deadlines.pop_due(now) else []

    def wakeup(self) -> float | None:
        """The earliest deadline."""
        return self._deadlines.earliest()

    def stop(self) -> None:
        """Look for nobody any more."""
        self._deadlines.cancel(_ASK)

    def _ask(self, now: float) -> list[Effect]:
        self._deadlines.set(_ASK, now + self._pause_s * self._rng.uniform(0.75, 1.0))
        self._pause_s = min(2 * self._pause_s, self._config.reunion_max_s)
        known = {each.node: each for each in (*self._known, *self._line.members)}
        known.pop(self._me, None)
        chosen = self._rng.sample(list(known.values()), min(ASKED, len(known)))
        return [self._meeting.ask(each.node, each.address) for each in chosen]
