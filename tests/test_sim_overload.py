"""Overload in the simulator: what many ask within credit is answered, whatever a cheat does."""

from common.core import Event, FrameReceived, LinkClosed, Woke
from common.messages.link import Echo
from deploy.sim.inbox import Inbox
from deploy.sim.overload import compared


def test_goodput_under_overload() -> None:
    """Ten times the askers and a cheat leave nine tenths of the peak, and honest leaves wait at
    most twice as long for the cheat's sake."""
    rows = compared(leaves=10, times=10, seconds=1.5, seed=1)
    peak = rows["few"]["answered_per_s"]
    assert rows["many and a cheat"]["answered_per_s"] >= 0.9 * peak
    assert rows["few and a cheat"]["answered_per_s"] >= 0.9 * peak
    for who in ("few", "many"):
        assert rows[f"{who} and a cheat"]["p99_s"] <= 2 * rows[who]["p99_s"]
    assert all(row["refused"] == 0 for row in rows.values())


def test_links_take_turns() -> None:
    """What came over one link keeps its order; no link waits for all that another sent."""
    inbox = Inbox()
    flood: list[Event] = [FrameReceived(1, Echo(number)) for number in range(3)]
    for event in (*flood, LinkClosed(1, "lost"), FrameReceived(2, Echo(9)), Woke()):
        inbox.append(event)
    order = []
    while inbox:
        order.append(inbox.pop())
    own = [event for event in order if getattr(event, "link", None) == 1]
    assert own == [*flood, LinkClosed(1, "lost")]
    assert order.index(FrameReceived(2, Echo(9))) == 1
    assert order.index(Woke()) == 2
    assert inbox.all() == []
