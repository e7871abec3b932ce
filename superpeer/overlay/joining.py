"""Whom we want as neighbours, and how far we are with each: meet, dial, ask, and try again.

A place without a key is asked for it by ping; the key that its link then proves is pinned to the
place as typed, and from then on another one is refused. The seeds we were told to join are tried
for ever with growing pauses; peers that others named only once, within the budget of
`common.dialbudget`, and a link that they came to nothing by is hung up. Who is a neighbour is
decided by both ends in `superpeer.overlay.overlay`; here stands only what we do to get there.
"""

import enum
from collections.abc import Callable, Container, Mapping
from random import Random
from typing import Final

from common.addresses import Address, may_tell
from common.config import OverlayConfig
from common.core import Dial, Effect, LetGo, LinkUp, Notify, Send
from common.deadlines import Deadlines
from common.dialbudget import DialBudget
from common.doors import Door
from common.hostcache import HostCache
from common.ids import NodeId, node_text
from common.meeting import Meeting, Seed
from common.messages.fields import Contact
from common.messages.link import Pong
from common.messages.overlay import Link
from common.storage import RememberPin

STRANGER_TRIES_MAX: Final = 1  # of a peer that others named; the host cache may name it again
NEIGHBOUR_TRIES_MAX: Final = 10  # ... once it was our neighbour: two or three minutes
STRANGERS_MAX: Final = 8  # such peers wanted at a time; wild guess
PARTED: Final = "no neighbours"  # why a link ends that came to nothing
NAMED_TRIED: Final = 4  # of those that somebody names instead of itself, one is tried; wild guess


class Phase(enum.Enum):
    """How far we are with a peer that we want as a neighbour."""

    RESTING = "resting"
    PINGED = "pinged"
    DIALLED = "dialled"
    ASKED = "asked"
    NEIGHBOUR = "neighbour"


class Why(enum.Enum):
    """How we came to want a peer."""

    SEED = "seed"  # we were told to join it
    DRAWN = "drawn"  # by lot, of all that we know
    NAMED = "named"  # by one that did not want us
    NEAR = "near"  # its round trip is short


class _Wanted:
    """A peer that we want as a neighbour; `node` is the key that its place showed last."""

    def __init__(self, seed: Seed, why: Why, tries_max: int | None, rtt_s: float = 0.0) -> None:
        self.why = why
        self.rtt_s = rtt_s  # as its pong took, if one came
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
    neighbour, `greeting` what it is asked with, its round trip being so long. What is learned of
    who can be reached goes into `cache`.
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
        greeting: Callable[[NodeId, float], Link],
        cache: HostCache,
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
        self._cache = cache
        self._wanted = {seed.place: _Wanted(seed, Why.SEED, None) for seed in seeds}
        self._pins: dict[str, NodeId] = {}
        self.budget = DialBudget(
            per_s=config.hearsay_dials_per_s,
            burst=config.hearsay_dials_burst,
            target_s=config.hearsay_s,
            again_s=config.redial_max_s,
        )
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

    def why(self, node: NodeId) -> Why | None:
        """How we came to want it, if we do."""
        return next((wanted.why for wanted in self._known_as(node)), None)

    @property
    def seeds_missing(self) -> int:
        """How many seeds are not our neighbours now."""
        seeds = [wanted for wanted in self._wanted.values() if wanted.is_seed]
        return sum(wanted.node not in self._neighbours for wanted in seeds)

    # --- what happened ----------------------------------------------------------------------

    def on_pong(self, place: str, pong: Pong, came_from: Address, now: float) -> list[Effect]:
        """A place answered: dial the super-peer that it names."""
        wanted = self._wanted.get(place)
        if wanted is None or wanted.phase is not Phase.PINGED:
            return []
        why, level = self._objection(wanted, pong, came_from)
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
        """Try one peer of the first that somebody named instead of itself."""
        unknown = [contact for contact in contacts if self._may_want(contact, now)]
        if not unknown:
            return []
        return self._want(self._rng.choice(unknown[:NAMED_TRIED]), now, Why.NAMED)

    def want(
        self, contact: Contact, now: float, why: Why = Why.DRAWN, rtt_s: float = 0.0
    ) -> list[Effect]:
        """Try this one, if there is no reason not to."""
        answered = why is Why.NEAR  # our ping, which came out of the same budget
        if not (answered and self._is_unknown(contact.node)) and not self._may_want(contact, now):
            return []
        return self._want(contact, now, why, rtt_s)

    def forget(self, peer: NodeId) -> None:
        """Do not try this one again, unless it is a seed."""
        for wanted in self._known_as(peer):
            if not wanted.is_seed:
                del self._wanted[wanted.place]
                self._deadlines.cancel(wanted.place)

    def want_place(self, seed: Seed, now: float) -> list[Effect]:
        """Try a place that a list or the LAN names; without a key it is pinged first."""
        if seed.node is not None:
            return self.want(Contact(seed.node, seed.address), now)
        strangers = sum(wanted.is_hearsay for wanted in self._wanted.values())
        if seed.place in self._wanted or strangers >= STRANGERS_MAX:
            return []
        self._wanted[seed.place] = _Wanted(seed, Why.NAMED, STRANGER_TRIES_MAX)
        return self._try(self._wanted[seed.place], now)

    @property
    def trying(self) -> int:
        """How many are being tried now."""
        resting = (Phase.RESTING, Phase.NEIGHBOUR)
        return sum(wanted.phase not in resting for wanted in self._wanted.values())

    def _may_want(self, contact: Contact, now: float) -> bool:
        proven = self._cache.has_worked(contact)
        return self._is_unknown(contact.node) and self.budget.allows(
            contact.address, now, proven=proven
        )

    def _want(self, contact: Contact, now: float, why: Why, rtt_s: float = 0.0) -> list[Effect]:
        if sum(wanted.is_hearsay for wanted in self._wanted.values()) >= STRANGERS_MAX:
            return []
        place = f"{contact.address}/{node_text(contact.node)}"
        seed = Seed(place, contact.address, contact.node)
        self._wanted[place] = _Wanted(seed, why, STRANGER_TRIES_MAX, rtt_s)
        return self._try(self._wanted[place], now)

    def due(self, now: float) -> list[Effect]:
        """Give up on pongs that did not come, and try again whose pause is over."""
        effects: list[Effect] = []
        for key in self._deadlines.pop_due(now):
            wanted = self._wanted[str(key)]
            if wanted.phase is Phase.PINGED:
                effects += self._silent(wanted, now)
            elif wanted.phase is Phase.ASKED and wanted.is_hearsay and wanted.node is not None:
                self._cache.failed(wanted.node)  # it takes links, and says nothing
                effects += self._rest(wanted, now, "")
            else:
                effects += self._try(wanted, now)
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

    def _objection(self, wanted: _Wanted, pong: Pong, came_from: Address) -> tuple[str, str]:
        """Why a pong does not tell us whom to dial, and how bad that is."""
        contact, place = pong.superpeer, wanted.place
        if contact is None:
            why = pong.refusal or "it has no super-peer itself"
            return f"{place} answers, but {why}", "warning"
        if self._pins.get(place, contact.node) != contact.node:
            reset = f"if that is right, run: superpeer pins reset {place}"
            return f"{place} answers with another key than the one pinned for it; {reset}", "error"
        if contact.node != pong.node and not may_tell(contact.address, came_from):
            return f"{place} names a super-peer at an address that we cannot use", "warning"
        return "", ""

    def _may_dial(self, wanted: _Wanted, now: float) -> bool:
        """Whether a peer that others named may be dialled now; that it is, is noted."""
        contact = Contact(wanted.node or b"", wanted.address)
        proven = self._cache.has_worked(contact)
        return self.budget.take(wanted.address, now, proven=proven)

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
        paced = wanted.is_hearsay and wanted.why is not Why.NEAR
        if paced and not self._may_dial(wanted, now):
            return self._rest(wanted, now, "")
        wanted.phase = Phase.DIALLED
        self._deadlines.cancel(wanted.place)  # `LinkUp` or `LinkDown` will answer
        return [Dial(wanted.node, wanted.address, Door.CONTROL)]

    def _ask(self, wanted: _Wanted, now: float) -> list[Effect]:
        """Ask over the link; a seed that says nothing is asked again after the longest pause."""
        if wanted.node is None or not self._has_room(wanted.node, wanted.is_seed):
            return self._rest(wanted, now, "")
        wanted.phase = Phase.ASKED
        within_s = self._config.answer_s if wanted.is_hearsay else self._config.redial_max_s
        self._deadlines.set(wanted.place, now + within_s)
        return [Send(wanted.node, self._greeting(wanted.node, wanted.rtt_s))]

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
            return [LetGo(wanted.node, Door.CONTROL, PARTED)] if wanted.node is not None else []
        self._deadlines.set(wanted.place, now + pause_s)
        if complaint in ("", wanted.complaint):
            return []
        wanted.complaint = complaint
        fields: dict[str, object] = {"place": wanted.place, "reason": complaint}
        return [Notify("join_failed", fields, level)]
