"""Whom we want as neighbours, and how far we are with each: meet, dial, ask, and try again.

A place without a key is asked for it by ping; the key that its link then proves is pinned to the
place as typed, and from then on another one is refused. The seeds we were told to join are tried
for ever with growing pauses; peers that others named only a few times, a few a second in all, and
no address of theirs twice in a minute: nobody can aim our dials at a victim. Who is a neighbour is
decided by both ends in `superpeer.overlay`; here stands only what we do to get there.
"""

import enum
from collections.abc import Callable, Container, Mapping
from random import Random
from typing import Final

from common.addresses import Address, may_tell
from common.config import OverlayConfig
from common.core import DatagramReceived, Dial, Effect, LinkUp, Notify, Send
from common.deadlines import Deadlines
from common.doors import Door
from common.ids import NodeId, node_text
from common.meeting import Meeting, Seed
from common.messages.fields import Contact
from common.messages.link import Pong
from common.messages.overlay import Link
from common.rates import Bucket
from common.storage import RememberPin

STRANGER_TRIES_MAX: Final = 1  # of a peer that others named; the host cache may name it again
NEIGHBOUR_TRIES_MAX: Final = 10  # ... once it was our neighbour: two or three minutes
STRANGERS_MAX: Final = 8  # such peers wanted at a time; wild guess


class Phase(enum.Enum):
    """How far we are with a peer that we want as a neighbour."""

    RESTING = "resting"
    PINGED = "pinged"
    DIALLED = "dialled"
    ASKED = "asked"
    NEIGHBOUR = "neighbour"


class _Wanted:
    """A peer that we want as a neighbour; `node` is the key that its place showed last."""

    def __init__(self, seed: Seed, tries_max: int | None) -> None:
        self.place = seed.place
        self.seed = seed
        self.node = seed.node
        self.address = seed.address
        self.phase = Phase.RESTING
        self.tries = 0
        self.tries_max = tries_max  # None: for ever
        self.settled_at: float | None = None  # as our neighbour, for the last time
        self.complaint = ""  # the last one, so that each is told once

    @property
    def is_seed(self) -> bool:
        """Whether we were told to join it."""
        return self.tries_max is None

    @property
    def is_hearsay(self) -> bool:
        """Whether we know of it only because another named it."""
        return self.tries_max is not None and self.settled_at is None

    def lasted(self, now: float, enough_s: float) -> bool:
        """Whether it was our neighbour long enough to be tried as at first when it is lost."""
        is_neighbour = self.phase is Phase.NEIGHBOUR and self.settled_at is not None
        return is_neighbour and now - (self.settled_at or 0.0) >= enough_s


class Joining:
    """The wanted peers by place. `links` and `neighbours` are read as they are at the moment.

    `has_room` says whether this peer (None: its key is not known), a seed or not, may be one more
    neighbour, `greeting` what it is asked with.
    """

    def __init__(
        self,
        me: NodeId,
        *,
        config: OverlayConfig,
        rng: Random,
        links: Mapping[NodeId, LinkUp],
        neighbours: Container[NodeId],
        has_room: Callable[[NodeId | None, bool], bool],
        greeting: Callable[[NodeId], Link],
        meeting: Meeting,
        seeds: tuple[Seed, ...],
    ) -> None:
        self._me = me
        self._config = config
        self._rng = rng
        self._links = links
        self._neighbours = neighbours
        self._has_room = has_room
        self._greeting = greeting
        self._meeting = meeting
        self._wanted = {seed.place: _Wanted(seed, None) for seed in seeds}
        self._pins: dict[str, NodeId] = {}
        self._hearsay: dict[Address, float] = {}  # when it was dialled, oldest first
        self._hearsay_credit = Bucket(config.hearsay_dials_per_s, config.hearsay_dials_burst, 0.0)
        self._deadlines = Deadlines()

    def restore(self, pins: tuple[tuple[str, NodeId], ...]) -> None:
        """The keys that places had in earlier runs."""
        self._pins = dict(pins)

    def start(self, now: float) -> list[Effect]:
        """Our doors are open: go and find the seeds."""
        effects: list[Effect] = []
        for wanted in list(self._wanted.values()):
            effects += self._try(wanted, now)
        return effects

    # --- questions --------------------------------------------------------------------------

    def has_asked(self, node: NodeId) -> bool:
        """Whether it owes us an answer to our `Link`."""
        return any(wanted.phase is Phase.ASKED for wanted in self._known_as(node))

    def is_seed(self, node: NodeId) -> bool:
        """Whether we were told to join it."""
        return any(wanted.is_seed for wanted in self._known_as(node))

    @property
    def seeds_missing(self) -> int:
        """How many seeds are not our neighbours now."""
        seeds = [wanted for wanted in self._wanted.values() if wanted.is_seed]
        return sum(wanted.node not in self._neighbours for wanted in seeds)

    # --- what happened ----------------------------------------------------------------------

    def on_pong(self, event: DatagramReceived, now: float) -> list[Effect]:
        """A place answered: dial the super-peer that it names."""
        heard = self._meeting.heard(event)
        wanted = self._wanted.get(str(heard[0])) if heard else None
        if heard is None or wanted is None or wanted.phase is not Phase.PINGED:
            return []
        pong = heard[1]
        why, level = self._objection(wanted, pong, event)
        if why or pong.superpeer is None:
            return self._rest(wanted, now, why, level)
        wanted.node = pong.superpeer.node
        itself = wanted.node == pong.node
        wanted.address = wanted.seed.address if itself else pong.superpeer.address
        return self._dial(wanted, now)

    def peer_linked(self, peer: NodeId, now: float) -> list[Effect]:
        """A link is up: ask to be neighbours if we want this peer."""
        effects: list[Effect] = []
        for wanted in self._known_as(peer):
            if wanted.phase is not Phase.NEIGHBOUR:
                effects += self._ask(wanted, now)
        return effects

    def peer_lost(self, peer: NodeId, now: float) -> list[Effect]:
        """The link is gone or could not be made, or the peer does not want us: later again."""
        effects: list[Effect] = []
        for wanted in self._known_as(peer):
            was_neighbour = wanted.phase is Phase.NEIGHBOUR
            if wanted.lasted(now, self._config.redial_max_s):
                wanted.tries = 0
            why = "" if was_neighbour else f"{wanted.place} cannot be made a neighbour"
            effects += self._rest(wanted, now, why)
        return effects

    def settle(self, peer: NodeId, now: float) -> list[Effect]:
        """The peer is our neighbour; its key is pinned where its place showed it first."""
        effects: list[Effect] = []
        for wanted in self._known_as(peer):
            if wanted.phase is not Phase.NEIGHBOUR:
                wanted.settled_at = now
            wanted.phase, wanted.complaint = Phase.NEIGHBOUR, ""
            if wanted.tries_max is not None:
                wanted.tries_max = NEIGHBOUR_TRIES_MAX
            self._deadlines.cancel(wanted.place)
            referred = wanted.address != wanted.seed.address  # a leaf's parent may change
            if wanted.seed.node is None and not referred and wanted.place not in self._pins:
                self._pins[wanted.place] = peer
                effects.append(RememberPin(wanted.place, peer))
        return effects

    def want_one_of(self, contacts: list[Contact], now: float) -> list[Effect]:
        """Try one peer of those that somebody named instead of itself."""
        unknown = [
            contact
            for contact in contacts
            if self._is_unknown(contact.node) and not self._dialled_lately(contact.address, now)
        ]
        return self._want(self._rng.choice(unknown), now) if unknown else []

    def want(self, contact: Contact, now: float) -> list[Effect]:
        """Try this one, if there is no reason not to."""
        lately = self._dialled_lately(contact.address, now)
        return self._want(contact, now) if self._is_unknown(contact.node) and not lately else []

    def want_place(self, seed: Seed, now: float) -> list[Effect]:
        """Try a place that a list or the LAN names; without a key it is pinged first."""
        if seed.node is not None:
            return self.want(Contact(seed.node, seed.address), now)
        strangers = sum(wanted.is_hearsay for wanted in self._wanted.values())
        if seed.place in self._wanted or strangers >= STRANGERS_MAX:
            return []
        self._wanted[seed.place] = _Wanted(seed, STRANGER_TRIES_MAX)
        return self._try(self._wanted[seed.place], now)

    @property
    def trying(self) -> int:
        """How many are being tried now."""
        resting = (Phase.RESTING, Phase.NEIGHBOUR)
        return sum(wanted.phase not in resting for wanted in self._wanted.values())

    def _want(self, contact: Contact, now: float) -> list[Effect]:
        if sum(wanted.is_hearsay for wanted in self._wanted.values()) >= STRANGERS_MAX:
            return []
        place = f"{contact.address}/{node_text(contact.node)}"
        seed = Seed(place, contact.address, contact.node)
        self._wanted[place] = _Wanted(seed, STRANGER_TRIES_MAX)
        return self._try(self._wanted[place], now)

    def due(self, now: float) -> list[Effect]:
        """Give up on pongs that did not come, and try again whose pause is over."""
        effects: list[Effect] = []
        for key in self._deadlines.pop_due(now):
            wanted = self._wanted[str(key)]
            silent = wanted.phase is Phase.PINGED
            effects += self._silent(wanted, now) if silent else self._try(wanted, now)
        return effects

    def wakeup(self) -> float | None:
        """The earliest deadline."""
        return self._deadlines.earliest()

    # --- the steps they share ---------------------------------------------------------------

    def _known_as(self, node: NodeId) -> list[_Wanted]:
        return [wanted for wanted in self._wanted.values() if wanted.node == node]

    def _is_unknown(self, node: NodeId) -> bool:
        is_met = node == self._me or node in self._neighbours
        return not is_met and not self._known_as(node)

    def _objection(self, wanted: _Wanted, pong: Pong, event: DatagramReceived) -> tuple[str, str]:
        """Why a pong does not tell us whom to dial, and how bad that is."""
        contact, place = pong.superpeer, wanted.place
        if contact is None:
            why = pong.refusal or "it has no super-peer itself"
            return f"{place} answers, but {why}", "warning"
        if self._pins.get(place, contact.node) != contact.node:
            reset = f"if that is right, run: superpeer pins reset {place}"
            return f"{place} answers with another key than the one pinned for it; {reset}", "error"
        if contact.node != pong.node and not may_tell(contact.address, event.address):
            return f"{place} names a super-peer at an address that we cannot use", "warning"
        return "", ""

    def _may_dial_hearsay(self, address: Address, now: float) -> bool:
        """Whether an address that others named may be dialled now; that it is, is noted."""
        if self._dialled_lately(address, now) or not self._hearsay_credit.take(now):
            return False
        self._hearsay.pop(address, None)
        self._hearsay[address] = now
        while self._hearsay and not self._dialled_lately(next(iter(self._hearsay)), now):
            del self._hearsay[next(iter(self._hearsay))]
        return True

    def _dialled_lately(self, address: Address, now: float) -> bool:
        return now < self._hearsay.get(address, float("-inf")) + self._config.redial_max_s

    def _try(self, wanted: _Wanted, now: float) -> list[Effect]:
        """Ping a place whose key was not told, dial the others; not while there is no room."""
        if not self._has_room(wanted.node, wanted.is_seed):
            return self._rest(wanted, now, "")
        if wanted.seed.node is not None:
            return self._dial(wanted, now)
        wanted.phase = Phase.PINGED
        self._deadlines.set(wanted.place, now + self._config.ping_s)
        return [self._meeting.ask(wanted.place, wanted.seed.address)]

    def _silent(self, wanted: _Wanted, now: float) -> list[Effect]:
        """No pong came: a pinned place can be dialled without one."""
        self._meeting.forget(wanted.place)
        wanted.node = self._pins.get(wanted.place)
        if wanted.node is not None:
            wanted.address = wanted.seed.address
            return self._dial(wanted, now)
        hint = f"{wanted.place}/KEY needs none"
        return self._rest(wanted, now, f"{wanted.place} does not answer pings over UDP; {hint}")

    def _dial(self, wanted: _Wanted, now: float) -> list[Effect]:
        """Dial, or go on at once with a link that is there."""
        if wanted.node is None or wanted.node == self._me:
            return self._rest(wanted, now, f"{wanted.place} is this node itself")
        if wanted.node in self._neighbours:
            return self.settle(wanted.node, now)
        if wanted.node in self._links:
            return self._ask(wanted, now)
        if wanted.is_hearsay and not self._may_dial_hearsay(wanted.address, now):
            return self._rest(wanted, now, "")
        wanted.phase = Phase.DIALLED
        self._deadlines.cancel(wanted.place)  # `LinkUp` or `LinkDown` will answer
        return [Dial(wanted.node, wanted.address, Door.CONTROL)]

    def _ask(self, wanted: _Wanted, now: float) -> list[Effect]:
        """Ask over the link; one that says nothing is asked again after the longest pause."""
        if wanted.node is None or not self._has_room(wanted.node, wanted.is_seed):
            return self._rest(wanted, now, "")
        wanted.phase = Phase.ASKED
        self._deadlines.set(wanted.place, now + self._config.redial_max_s)
        return [Send(wanted.node, self._greeting(wanted.node))]

    def _rest(
        self, wanted: _Wanted, now: float, complaint: str, level: str = "warning"
    ) -> list[Effect]:
        """Try again after a pause that doubles, with jitter; each complaint is told once."""
        doubled_s = self._config.redial_s * 2 ** min(wanted.tries, 32)
        pause_s = min(doubled_s, self._config.redial_max_s) * self._rng.uniform(0.5, 1.0)
        if wanted.is_hearsay:
            pause_s = self._config.redial_max_s * self._rng.uniform(1.0, 1.5)
        wanted.phase = Phase.RESTING
        wanted.tries += 1
        if wanted.tries_max is not None and wanted.tries >= wanted.tries_max:
            del self._wanted[wanted.place]
            self._deadlines.cancel(wanted.place)
            return []
        self._deadlines.set(wanted.place, now + pause_s)
        if complaint in ("", wanted.complaint):
            return []
        wanted.complaint = complaint
        fields: dict[str, object] = {"place": wanted.place, "reason": complaint}
        return [Notify("join_failed", fields, level)]
