"""Whom a leaf asks to be its parent, in order, and what became of each.

One round goes through the super-peers that were named, then those we only heard of; who makes up
others costs it a few vain dials and nobody his turn. Those without a key are pinged all at once;
the first in order that is not known to be out of the question is the next to dial, and while its
pong may still come nobody behind it is. A key that was pinned for a place is never exchanged for
another. Nothing here sends or keeps time.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from common.addresses import Address, may_tell
from common.ids import NodeId, node_text
from common.meeting import Seed
from common.messages.fields import Contact
from common.messages.link import Pong

ALTERNATIVES_MAX: Final = 16  # of what full super-peers name, in one round; wild guess
FAILURES_MAX: Final = 3  # of those that nobody typed, in one round (THREATS T3: 3)
REASONS_SHOWN_MAX: Final = 3


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

    @property
    def name(self) -> str:
        """What to call it before people."""
        return self.place or str(self.address)


class Round:
    """One way through the candidates, from the first to the last."""

    __slots__ = ("_alternatives", "_candidates", "_failures", "_me")

    def __init__(self, seeds: Sequence[Seed], heard_of: Sequence[Contact], me: NodeId) -> None:
        self._me = me
        self._candidates = [_of_seed(seed) for seed in seeds]
        self._alternatives = 0
        self._failures = 0
        for contact in heard_of:
            self._add(len(self._candidates), contact)

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
    def refused(self) -> bool:
        """Whether somebody is there but will not have us, so that waiting may not help."""
        return any(each.refused for each in self._candidates)

    @property
    def reason(self) -> str:
        """Why nobody of this round became our parent; a wrong key comes first."""
        if not self._candidates:
            return "no super-peer is given or known"
        in_order = sorted(self._candidates, key=lambda each: not each.wrong_key)
        reasons = list(dict.fromkeys(each.reason for each in in_order if each.reason))
        return "; ".join(reasons[:REASONS_SHOWN_MAX])

    def next(self) -> Candidate | None:
        """Whom to dial now; None while the first in question has not answered, or at the end."""
        for each in self._candidates:
            if each.standing is not Standing.OUT:
                return each if each.standing is Standing.READY else None
        return None

    def answered(self, each: Candidate, pong: Pong, source: Address, pinned: NodeId | None) -> bool:
        """The pong to our ping of this candidate, from `source`; False where it comes too late."""
        if each not in self.pinged:
            return False
        contact = pong.superpeer
        if pong.refusal:
            self.rule_out(each, f"{each.name} refuses: {pong.refusal}", refused=True)
        elif pinned is not None and pong.node != pinned:
            each.wrong_key = True
            self.rule_out(each, wrong_key_reason(each.name, pinned), refused=True)
        elif contact is None:
            self.rule_out(each, f"{each.name} is a leaf without a parent")
        elif contact.node == pong.node:
            each.node, each.pin, each.standing = pong.node, pong.node, Standing.READY
        elif may_tell(contact.address, source):
            # no pin: the link will prove the parent's key, nobody proves that of the leaf
            each.address, each.node, each.standing = contact.address, contact.node, Standing.READY
        else:
            self.rule_out(each, f"{each.name} is a leaf whose parent is out of our reach")
        return True

    def silent(self) -> None:
        """No pong comes any more."""
        for each in self.pinged:
            self.rule_out(each, f"no answer from {each.name}")

    def rule_out(self, candidate: Candidate, reason: str, *, refused: bool = False) -> None:
        """This one is not going to be our parent in this round."""
        candidate.standing, candidate.reason = Standing.OUT, reason
        candidate.refused = refused

    def failed(self, candidate: Candidate, reason: str, *, refused: bool) -> None:
        """It could not be joined. After a few of those that nobody typed, the rest of them waits
        for another round: there may be any number, and each can take all the time of a dial."""
        self.rule_out(candidate, reason, refused=refused)
        self._failures += not candidate.place
        if self._failures >= FAILURES_MAX:
            for each in self._candidates:
                if not each.place and each.standing is Standing.READY:
                    self.rule_out(each, "")

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
        each = Candidate("", contact.address, contact.node, Standing.READY)
        self._candidates.insert(at, each)
        return True


def wrong_key_reason(name: str, pinned: NodeId) -> str:
    """Why we do not link with whoever answers there, and what to do about it."""
    return (
        f"{name} has another key than before (pinned {node_text(pinned)[:8]}...): "
        f"`leaf pins reset {name}` if that is right"
    )


def _of_seed(seed: Seed) -> Candidate:
    standing = Standing.PINGED if seed.node is None else Standing.READY
    return Candidate(seed.place, seed.address, seed.node, standing)
