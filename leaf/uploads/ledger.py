"""Who gives: what each leaf has given us and has had of us, over all runs.

Given are bytes that were proven and came from it, had are bytes that its host acknowledged: nothing
that anybody claims counts (THREATS T11). From both follows the weight of a leaf where several want
our uplink at once. It grows with the part of what it had that it gave back, and a sixteenth is
enough: in a swarm a slow uplink gives each of fifty leaves little, and is no free rider for that.
Who is new has full weight until it has had a little, or it could never begin to give. A leaf that
gives nothing has what the others leave, and a ninth of a giver's share where they leave nothing.
"""

from collections.abc import Callable
from itertools import islice
from typing import ClassVar, Final

from common.config import SwarmConfig
from common.core import Effect, Event, Sent, Stopped, Woke
from common.deadlines import Deadlines
from common.ids import NodeId
from common.storage import GivingRecord, RememberGiving, Restored
from leaf.signals import Given

LEAVES_MAX: Final = 10_000  # remembered, 100 B each
OLDEST: Final = 100  # among those that moved longest ago who gave least is forgotten
WEIGHT_MAX: Final = 9.0  # of one that gives; 1 of one that does not (THREATS T11: at least 4)
GIVEN_SHARE: Final = 1 / 16  # of what a leaf had; who gives so much back has all the weight
NEW_BYTES: Final = 64 * 1024  # had before anything is expected: something to give to others
_SAVE: Final = "save"


class Ledger:
    """The accounts of other leaves."""

    __slots__ = ("_accounts", "_changed", "_deadlines", "_is_stopping", "_save_s")

    def __init__(self, config: SwarmConfig) -> None:
        self._accounts: dict[NodeId, GivingRecord] = {}  # the one that moved last at the end
        self._changed: dict[NodeId, None] = {}  # since they were remembered
        self._save_s = config.ledger_s
        self._deadlines = Deadlines()
        self._is_stopping = False

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take in one event."""
        return self._HANDLERS[type(event)](self, event, now)

    def wakeup(self) -> float | None:
        """When what changed is remembered."""
        return self._deadlines.earliest()

    def __len__(self) -> int:
        return len(self._accounts)

    def account(self, peer: NodeId) -> GivingRecord:
        """What this leaf gave and had; nothing of one that is not known."""
        return self._accounts.get(peer) or GivingRecord(peer)

    def weight(self, peer: NodeId) -> float:
        """How much of our uplink it has beside others: 1 to `WEIGHT_MAX`."""
        account = self._accounts.get(peer)
        if account is None or account.had <= NEW_BYTES:
            return WEIGHT_MAX
        share = account.given / (account.had * GIVEN_SHARE)
        return 1.0 + (WEIGHT_MAX - 1.0) * min(share, 1.0)

    def merit(self, peer: NodeId) -> float:
        """Its right to one of few slots: as its weight, but who is new has none yet. Keys cost
        nothing, and one that never takes a byte would be new for ever."""
        account = self._accounts.get(peer)
        return self.weight(peer) if account is not None and account.given else 1.0

    def _restored(self, event: Restored, _now: float) -> list[Effect]:
        self._accounts = {record.node: record for record in event.giving}
        return []

    def _given(self, event: Given, now: float) -> list[Effect]:
        account = self.account(event.peer)
        return self._enter(GivingRecord(event.peer, account.given + event.length, account.had), now)

    def _sent(self, event: Sent, now: float) -> list[Effect]:
        account = self.account(event.peer)
        return self._enter(GivingRecord(event.peer, account.given, account.had + event.length), now)

    def _enter(self, account: GivingRecord, now: float) -> list[Effect]:
        self._accounts.pop(account.node, None)
        self._accounts[account.node] = account
        if len(self._accounts) > LEAVES_MAX:
            oldest = islice(self._accounts.values(), OLDEST)
            gone = min(oldest, key=lambda each: each.given).node
            del self._accounts[gone]
            self._changed.pop(gone, None)
        self._changed[account.node] = None
        if self._is_stopping:
            return self._save()
        if self._deadlines.get(_SAVE) is None:
            self._deadlines.set(_SAVE, now + self._save_s)
        return []

    def _woke(self, _event: Woke, now: float) -> list[Effect]:
        return self._save() if list(self._deadlines.pop_due(now)) else []

    def _stopped(self, _event: Stopped, _now: float) -> list[Effect]:
        self._deadlines.cancel(_SAVE)
        self._is_stopping = True
        return self._save()

    def _save(self) -> list[Effect]:
        changed, self._changed = self._changed, {}
        records = tuple(self._accounts[peer] for peer in changed)
        return [RememberGiving(records)] if records else []

    _HANDLERS: ClassVar[dict[type[Event], Callable[..., list[Effect]]]] = {
        Restored: _restored,
        Given: _given,
        Sent: _sent,
        Woke: _woke,
        Stopped: _stopped,
    }
