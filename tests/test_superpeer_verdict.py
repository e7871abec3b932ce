"""The verdict: what floors no need lowers, what it says would change it, and that it ranks."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from common.config import PromotionConfig, VitalsConfig
from superpeer.vitals.books import Book
from superpeer.vitals.verdict import Inputs, Verdict, verdict

CONFIG, VITALS = PromotionConfig(), VitalsConfig()
FINE = Inputs(
    willing=True,
    bulk_door=True,
    reachable=True,
    up_rate=2e6,
    groups=3,
    groups_there=3,
    uptime_s=700.0,
)

inputs = st.builds(
    Inputs,
    willing=st.booleans(),
    bulk_door=st.booleans(),
    reachable=st.sampled_from([None, True, False]),
    up_rate=st.none() | st.floats(0, 1e12),
    groups=st.integers(0, 10),
    groups_there=st.integers(0, 10),
    uptime_s=st.floats(0, 1e9),
    session_s=st.none() | st.floats(0, 1e9),
    rtt_s=st.none() | st.floats(0, 100),
    held_back_s=st.just(0.0) | st.floats(0, 1e6),
    need=st.booleans(),
)


def of(given_inputs: Inputs) -> Verdict:
    """With the settings as they come."""
    return verdict(given_inputs, CONFIG, VITALS)


@given(inputs)
def test_who_cannot_be_reached_is_never_fit(found: Inputs) -> None:
    """Not in any need, however fast; nor without a bulk door, nor while it is held back."""
    for worse in (
        replace(found, reachable=False),
        replace(found, reachable=None),
        replace(found, bulk_door=False),
        replace(found, willing=False),
        replace(found, held_back_s=1.0),
    ):
        assert not of(worse).fit


@given(inputs)
def test_what_stands_against_it_is_said(found: Inputs) -> None:
    """Unfit and a list of changes are the same thing; each check that fails has one."""
    result = of(found)
    assert result.fit == (not result.would_change)
    assert all(change for change in result.would_change)


@given(inputs, st.sampled_from(["up_rate", "uptime_s"]), st.floats(1.0, 1e6))
def test_more_is_never_worse(found: Inputs, name: str, factor: float) -> None:
    """More rate or more uptime neither lowers the score nor makes unfit."""
    more = replace(found, **{name: (getattr(found, name) or 0.0) * factor})
    assert of(more).score >= of(found).score
    assert of(more).fit >= of(found).fit


@given(inputs)
def test_an_input_that_is_shown_counts(found: Inputs) -> None:
    """The score is the sum of the points that are shown."""
    result = of(found)
    assert abs(result.score - sum(check.points for check in result.checks)) < 1e-5


def test_floors() -> None:
    """Each alone makes unfit, and in need those are left aside that may be."""
    assert of(FINE).fit
    for worse in (
        replace(FINE, up_rate=9e5),
        replace(FINE, up_rate=None),
        replace(FINE, groups=2),
        replace(FINE, uptime_s=599.0),
    ):
        assert not of(worse).fit
        assert of(replace(worse, need=True)).fit
    assert of(replace(FINE, uptime_s=0.0, session_s=3600.0)).fit
    assert of(replace(FINE, groups=1, groups_there=1)).fit  # all that there are


@given(inputs)
def test_a_threshold_of_nothing_is_reached_by_all(found: Inputs) -> None:
    """Whoever sets one of the two to zero wants nobody turned down for it."""
    for config in (replace(CONFIG, age_min_s=0.0), replace(CONFIG, session_min_s=0.0)):
        checks = verdict(found, config, VITALS).checks
        assert [each.outcome for each in checks if each.name == "steadiness"] == ["passes"]


def test_liars_never_make_an_unreachable_leaf_reachable() -> None:
    """10,000 tries: others say what they like; we could not dial its bulk door ourselves."""
    rng, reached = Random(5), 0
    for _ in range(10_000):
        book = Book()
        book.arrive(0.0)
        for number in range(rng.randint(0, 8)):
            book.enter_dial(bytes([number]), rng.random() < 0.9, rng.random())
        if rng.random() < 0.9:
            book.enter_bulk(False, 1.0)
        reached += book.reachable(VITALS, 2.0) is True
    assert reached == 0


def test_three_in_ten_liars_do_not_make_a_leaf_unreachable_for_long() -> None:
    """It is the majority of the last few different ones; a later look corrects it."""
    rng, book = Random(7), Book()
    book.enter_bulk(True, 0.0)
    seen = []
    for number in range(1000):
        book.enter_dial(number.to_bytes(2, "big"), rng.random() >= 0.3, number / 1000)
        seen.append(book.reachable(VITALS, 1.0))
    assert seen.count(True) > 700


def test_what_is_old_counts_no_more() -> None:
    """After `kept_s` nothing is known any more."""
    book = Book()
    book.enter_bulk(True, 0.0)
    book.enter_dial(b"a", True, 0.0)
    assert book.reachable(VITALS, 1.0)
    assert book.reachable(VITALS, 2 * VITALS.kept_s + 1.0) is None
