"""Named deadlines, against the plain list of them."""

from hypothesis import given
from hypothesis import strategies as st

from common.deadlines import Deadlines


def test_due_in_order_of_time_then_of_setting() -> None:
    """Equal times come out in the order in which they were set."""
    deadlines = Deadlines()
    for key, when in (("late", 3.0), ("first", 1.0), ("second", 1.0)):
        deadlines.set(key, when)
    assert deadlines.earliest() == 1.0
    assert deadlines.pop_due(2.0) == ["first", "second"]
    assert deadlines.pop_due(2.0) == []


def test_a_moved_deadline_is_due_once() -> None:
    """Setting a key again moves it."""
    deadlines = Deadlines()
    deadlines.set("ping", 1.0)
    deadlines.set("ping", 5.0)
    assert deadlines.pop_due(4.0) == []
    assert deadlines.pop_due(5.0) == ["ping"]


def test_a_cancelled_deadline_never_comes() -> None:
    """Cancelling forgets; cancelling what is not there does nothing."""
    deadlines = Deadlines()
    deadlines.set("ping", 1.0)
    deadlines.cancel("ping")
    deadlines.cancel("pong")
    assert deadlines.earliest() is None


def test_the_heap_stays_small() -> None:
    """Moving one deadline for ever does not fill memory."""
    deadlines = Deadlines()
    for moment in range(10_000):
        deadlines.set("ping", float(moment))
    assert len(deadlines._heap) < 200


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.floats(0, 9) | st.none())), st.floats(0, 9))
def test_as_a_plain_dict(steps: list[tuple[str, float | None]], now: float) -> None:
    """What is due is what a dict of times says."""
    deadlines, model = Deadlines(), dict[str, float]()
    for key, when in steps:
        if when is None:
            deadlines.cancel(key)
            model.pop(key, None)
        else:
            deadlines.set(key, when)
            model[key] = when
    assert deadlines.earliest() == min(model.values(), default=None)
    assert sorted(map(str, deadlines.pop_due(now))) == sorted(
        k for k, v in model.items() if v <= now
    )
