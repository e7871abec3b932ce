"""What leaves gave and had: only what was proven and acknowledged, over all runs."""

from hypothesis import given
from hypothesis import strategies as st

from common.config import SwarmConfig
from common.core import Sent, Stopped, Woke
from common.storage import GivingRecord, RememberGiving, Restored
from leaf.signals import Given
from leaf.uploads import ledger as module
from leaf.uploads.ledger import GIVEN_SHARE, NEW_BYTES, WEIGHT_MAX, Ledger

A, B, C = (bytes([number]) * 32 for number in range(3))


def test_weight_follows_what_is_given_back() -> None:
    """New: all of it. Then 1 for nothing, and all of it for a sixteenth of what it had."""
    ledger = Ledger(SwarmConfig())
    assert ledger.weight(A) == WEIGHT_MAX
    ledger.handle(Sent(A, NEW_BYTES), 0.0)
    assert ledger.weight(A) == WEIGHT_MAX
    ledger.handle(Sent(A, 3 * NEW_BYTES), 0.0)
    assert ledger.weight(A) == 1.0
    ledger.handle(Given(A, int(2 * NEW_BYTES * GIVEN_SHARE)), 0.0)
    assert 1.0 < ledger.weight(A) < WEIGHT_MAX
    ledger.handle(Given(A, 4 * NEW_BYTES), 0.0)
    assert ledger.weight(A) == WEIGHT_MAX


@given(st.lists(st.tuples(st.sampled_from((A, B, C)), st.booleans(), st.integers(1, 10**6))))
def test_accounts_are_the_sums_over_transfers_and_runs(
    transfers: list[tuple[bytes, bool, int]],
) -> None:
    """In two runs as in one."""
    ledger = Ledger(SwarmConfig())
    expected: dict[bytes, list[int]] = {}
    for number, (peer, gives, length) in enumerate(transfers):
        ledger.handle(Given(peer, length) if gives else Sent(peer, length), float(number))
        expected.setdefault(peer, [0, 0])[0 if gives else 1] += length
        if number == len(transfers) // 2:
            saved = ledger.handle(Stopped(1.0), float(number))
            (remembered,) = saved
            assert isinstance(remembered, RememberGiving)
            ledger = Ledger(SwarmConfig())
            ledger.handle(Restored(giving=remembered.records), 0.0)
    for peer, (gave, had) in expected.items():
        assert ledger.account(peer) == GivingRecord(peer, gave, had)


def test_what_changed_is_remembered_now_and_then() -> None:
    """Once a while, all in one, and nothing where nothing changed."""
    ledger = Ledger(SwarmConfig())
    ledger.handle(Given(A, 5), 10.0)
    ledger.handle(Sent(B, 7), 20.0)
    due = ledger.wakeup()
    assert due == 10.0 + SwarmConfig().ledger_s
    assert ledger.handle(Woke(), due) == [
        RememberGiving((GivingRecord(A, 5, 0), GivingRecord(B, 0, 7)))
    ]
    assert ledger.wakeup() is None
    assert ledger.handle(Stopped(1.0), due) == []


def test_accounts_are_bounded(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """Who moved longest ago is forgotten."""
    monkeypatch.setattr(module, "LEAVES_MAX", 2)
    ledger = Ledger(SwarmConfig())
    for peer in (A, B, A, C):
        ledger.handle(Given(peer, 1), 0.0)
    assert len(ledger) == 2
    assert ledger.account(B) == GivingRecord(B)
    assert ledger.account(A).given == 2


def test_keys_that_gave_nothing_have_no_right_to_a_slot() -> None:
    """Who is new has all the weight, and no merit: or one that never takes a byte had both."""
    ledger = Ledger(SwarmConfig())
    assert (ledger.weight(A), ledger.merit(A)) == (WEIGHT_MAX, 1.0)
    ledger.handle(Sent(A, NEW_BYTES), 0.0)
    ledger.handle(Given(B, 5), 0.0)
    assert (ledger.merit(A), ledger.merit(B)) == (1.0, WEIGHT_MAX)
