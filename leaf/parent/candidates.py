"""Whom a leaf asks to be its parent, in order, and what became of each.

One round goes through the super-peers that were named, then those we only heard of; who makes up
others costs it a few vain dials and nobody his turn. Those without a key are pinged all at once;
the first in order that is not known to be out of the question is the next to dial, and while its
pong may still come nobody behind it is. A round by load pings all, and the next to dial is the
least loaded near one of those that answered. A key that was pinned for a place is never exchanged
for another. Nothing here sends or keeps time.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from common.addresses import Address, may_tell, split_host_port
from common.errors import Exit, UserError
from common.ids import NodeId, node_text
from common.ladder import PEER
from common.meeting import Seed
from common.messages.fields import Contact
from common.messages.link import Pong

ALTERNATIVES_MAX: Final = 16  # of what full super-peers name, in one round; wild guess
FAILURES_MAX: Final = 3  # of those that nobody typed, in one round (THREATS T3: 3)
REASONS_SHOWN_MAX: Final = 3
PINGED_MAX: Final = 32  # in one round by load; wild guess
NEAR_TIMES: Final = 2.0  # near is who answers within so many times the quickest answer ...
NEAR_S: Final = 0.02  # ... and this much; wild guesses
_LOAD_DIGITS: Final = 1  # loads that differ by less are alike, and the order given decides


class Standing(enum.Enum):
    """What is known of a candidate."""

    PINGED = "pinged"
    READY = "ready"  # we know its key and where it is
    OUT = "out"


@dataclass(slots=True, eq=False)
class Candidate:
    """One super-peer that might become our parent."""

    place: str  # HOST:PORT as typed; '' for one that nobody typed
    address: Address
    node: NodeId | None
    standing: Standing
    reason: str = ""
    pin: NodeId | None = None  # the key to remember for `place` once we have joined by it
    refused: bool = False  # it said no, or is not who it was
    wrong_key: bool = False
    source: str = ""  # the step of the ladder that named it
    pinged_at: float = 0.0
    rtt_s: float | None = None  # of its ping; None: it did not answer
    load: float | None = None  # leaves by capacity, as it says; of a leaf's parent nobody says
    is_full: bool = False  # it said so when it was asked

    @property
    def name(self) -> str:
        """What to call it before people."""
        return self.place or str(self.address)


class Round:
    """One way through the candidates, from the first to the last."""

    __slots__ = (
        *("_alternatives", "_by_load", "_candidates", "_failures", "_me", "_more_come"),
        "gathered",
    )

    def __init__(self, me: NodeId, *, by_load: bool = False, more_come: bool = False) -> None:
        """`more_come`: candidates come one by one, so that all that are here are not all."""
        self._me = me
        self._by_load = by_load
        self._more_come = more_come
        self._candidates: list[Candidate] = []
        self._alternatives = 0
        self._failures = 0
        self.gathered = False
        """Whether those that have answered by now are enough to choose from."""

    def give(self, seeds: Sequence[Seed], source: str = "") -> list[Candidate]:
        """Add what a person or a list named; those of them that are to be pinged."""
        return self._take([_of_seed(seed, source or seed.source) for seed in seeds])

    def hear_of(self, contacts: Sequence[Contact], source: str) -> list[Candidate]:
        """Add those that we know by ourselves; those of them that are to be pinged."""
        return self._take([_of_contact(each, source) for each in contacts])

    def _take(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        pinged: list[Candidate] = []
        for each in candidates:
            typed = bool(each.place) and not self._by_load
            if not typed and (each.node == self._me or self._is_known(each)):
                continue
            if self._by_load:
                if len(self._candidates) >= PINGED_MAX:
                    break
                each.standing = Standing.PINGED
            self._candidates.append(each)
            if each.standing is Standing.PINGED:
                pinged.append(each)
        return pinged

    def _is_known(self, new: Candidate) -> bool:
        """Whether it is here already; by load, each address of a node has its chance."""
        same = (new.address, new.node)
        return any(
            (each.address, each.node) == same if self._by_load else each.node == new.node
            for each in self._candidates
        )

    @property
    def pinged(self) -> list[Candidate]:
        """Those whose pong may still come."""
        return [each for each in self._candidates if each.standing is Standing.PINGED]

    @property
    def over(self) -> bool:
        """Whether nobody is left."""
        return all(each.standing is Standing.OUT for each in self._candidates)

    @property
    def wrong_key(self) -> Candidate | None:
        """The first whose key is not the pinned one."""
        return next((each for each in self._candidates if each.wrong_key), None)

    @property
    def is_full(self) -> bool:
        """Whether somebody would have us, but not now."""
        return any(each.is_full for each in self._candidates)

    @property
    def refused(self) -> bool:
        """Whether somebody is there but will not have us, so that waiting may not help."""
        return any(each.refused for each in self._candidates)

    @property
    def reason(self) -> str:
        """Why nobody of this round became our parent, a wrong key first; '' without candidates."""
        in_order = sorted(self._candidates, key=lambda each: not each.wrong_key)
        reasons = list(dict.fromkeys(each.reason for each in in_order if each.reason))
        return "; ".join(reasons[:REASONS_SHOWN_MAX])

    def next(self) -> Candidate | None:
        """Whom to dial now; None while the first in question has not answered, or at the end."""
        if self._by_load:
            return self._least_loaded()
        for each in self._candidates:
            if each.standing is not Standing.OUT:
                return each if each.standing is Standing.READY else None
        return None

    @property
    def _all_answered(self) -> bool:
        return not self._more_come and not self.pinged

    def _least_loaded(self) -> Candidate | None:
        ready = [each for each in self._candidates if each.standing is Standing.READY]
        if not ready or not (self.gathered or self._all_answered):
            return None
        times = [each.rtt_s for each in ready if each.rtt_s is not None]
        near_s = near_within_s(min(times, default=0.0))

        def rank(each: Candidate) -> tuple[bool, bool, float]:
            far_s = float("inf") if each.rtt_s is None else each.rtt_s
            load = 1.0 if each.load is None else round(each.load, _LOAD_DIGITS)
            is_full = each.load is not None and each.load >= 1
            return is_full, far_s > near_s, far_s if far_s > near_s else load

        return min(ready, key=rank)  # the first of equals

    def answered(
        self, each: Candidate, pong: Pong, source: Address, pinned: NodeId | None, rtt_s: float
    ) -> bool:
        """The pong to our ping of this candidate, from `source`; False where it comes too late."""
        if each not in self.pinged:
            return False
        contact = pong.superpeer
        each.rtt_s = rtt_s
        if pong.refusal:
            self.rule_out(each, f"{each.name} refuses: {pong.refusal}", refused=True)
        elif pinned is not None and pong.node != pinned:
            each.wrong_key = True
            self.rule_out(each, wrong_key_reason(each.name, pinned), refused=True)
        elif each.node is not None and pong.node != each.node:
            self.rule_out(each, f"{each.name} has another key than was said", refused=True)
        elif contact is None:
            self.rule_out(each, f"{each.name} is a leaf without a parent")
        elif contact.node == pong.node:
            each.pin = pong.node if each.node is None else None
            each.node, each.standing = pong.node, Standing.READY
            each.load = pong.leaves / max(pong.leaves_max, 1)
        elif may_tell(contact.address, source):
            # no pin: the link will prove the parent's key, nobody proves that of the leaf
            each.address, each.node, each.standing = contact.address, contact.node, Standing.READY
        else:
            self.rule_out(each, f"{each.name} is a leaf whose parent is out of our reach")
        return True

    def silent(self, each: Candidate) -> None:
        """No pong of this one comes any more."""
        self.rule_out(each, f"no answer from {each.name}")

    def rule_out(self, candidate: Candidate, reason: str, *, refused: bool = False) -> None:
        """This one is not going to be our parent in this round."""
        candidate.standing, candidate.reason = Standing.OUT, reason
        candidate.refused = refused

    def full(self, candidate: Candidate, reason: str) -> None:
        """It takes no more leaves now."""
        self.rule_out(candidate, reason)
        candidate.is_full = True
        self._drop_twins(candidate)

    def failed(self, candidate: Candidate, reason: str, *, refused: bool) -> None:
        """It could not be joined. After a few of those that nobody typed, the rest of them waits
        for another round: there may be any number, and each can take all the time of a dial. Who
        refuses us does so at once, and is there: on a LAN there may be several networks."""
        self.rule_out(candidate, reason, refused=refused)
        self._failures += not candidate.place and not refused
        if refused:
            self._drop_twins(candidate)
        if self._failures >= FAILURES_MAX:
            for each in self._candidates:
                if not each.place and each.standing is Standing.READY:
                    self.rule_out(each, "")

    def _drop_twins(self, candidate: Candidate) -> None:
        """It said no: at its other addresses it would say the same."""
        for each in self._candidates:
            if each.node == candidate.node and each.standing is not Standing.OUT:
                self.rule_out(each, "")

    def try_unheard(self, candidates: Sequence[Candidate]) -> None:
        """Add those that answered no ping, to be dialled all the same."""
        for each in candidates:
            each.standing = Standing.READY
            self._candidates.append(each)

    def add_alternatives(self, after: Candidate, contacts: Sequence[Contact]) -> None:
        """A full super-peer names others: they come next, as far as it may speak of them."""
        at = self._candidates.index(after) + 1
        for contact in contacts:
            if self._alternatives == ALTERNATIVES_MAX:
                return
            if may_tell(contact.address, after.address) and self._add(at, contact):
                self._alternatives += 1
                at += 1

    def _add(self, at: int, contact: Contact) -> bool:
        known = any(contact.node == each.node for each in self._candidates)
        if known or contact.node == self._me:
            return False
        self._candidates.insert(at, _of_contact(contact, PEER))
        return True


def near_within_s(quickest_s: float) -> float:
    """The longest round trip that is near, where the quickest answer took so long."""
    return NEAR_TIMES * quickest_s + NEAR_S


def place_of(text: str) -> str:
    """HOST:PORT in the one form that pins are kept by. Raises UserError."""
    try:
        host, port = split_host_port(text)
    except ValueError as error:
        raise UserError(Exit.USAGE, f"{error}.") from error
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def wrong_key_reason(name: str, pinned: NodeId) -> str:
    """Why we do not link with whoever answers there, and what to do about it."""
    return (
        f"{name} has another key than before (pinned {node_text(pinned)[:8]}...): "
        f"`leaf pins reset {name}` if that is right"
    )


def _of_seed(seed: Seed, source: str) -> Candidate:
    standing = Standing.PINGED if seed.node is None else Standing.READY
    return Candidate(seed.place, seed.address, seed.node, standing, source=source)


def _of_contact(contact: Contact, source: str) -> Candidate:
    return Candidate("", contact.address, contact.node, Standing.READY, source=source)
