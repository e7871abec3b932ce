"""Who looks for a file is named to who looks after it; for a while, and no more than a list."""

from hypothesis import given
from hypothesis import strategies as st

from common.addresses import Address
from common.messages.fields import Contact
from superpeer.search import seekers as module
from superpeer.search.seekers import NAMED_MAX, SEEKERS_MAX, SOUGHT_S, Seekers

ROOT, OTHER = b"r" * 32, b"o" * 32


def leaf(number: int, port: int = 1215) -> Contact:
    """A leaf that can be fetched from."""
    return Contact(number.to_bytes(32, "big"), Address.of(f"10.0.0.{number + 1}", port))


def test_the_later_hears_of_the_earlier() -> None:
    """Of the same file, the latest first, and never of itself."""
    seekers = Seekers()
    assert seekers.meet(ROOT, leaf(1), 0.0) == ()
    assert seekers.meet(ROOT, leaf(2), 1.0) == (leaf(1),)
    assert seekers.meet(OTHER, leaf(3), 1.0) == ()
    assert seekers.meet(ROOT, leaf(1), 2.0) == (leaf(2),)
    assert seekers.meet(ROOT, leaf(4), 3.0) == (leaf(1), leaf(2))


def test_who_asks_no_more_is_forgotten() -> None:
    """After a while nobody is sent there."""
    seekers = Seekers()
    seekers.meet(ROOT, leaf(1), 0.0)
    assert seekers.meet(ROOT, leaf(2), SOUGHT_S + 0.1) == ()


def test_who_cannot_be_reached_is_named_to_nobody() -> None:
    """A leaf without a door fetches from those that it finds."""
    seekers = Seekers()
    assert seekers.meet(ROOT, leaf(1, port=0), 0.0) == ()
    assert seekers.meet(ROOT, leaf(2), 0.0) == ()


def test_files_are_bounded(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """The one asked for longest ago is forgotten."""
    monkeypatch.setattr(module, "FILES_MAX", 1)
    seekers = Seekers()
    seekers.meet(ROOT, leaf(1), 0.0)
    seekers.meet(OTHER, leaf(1), 0.0)
    assert seekers.meet(ROOT, leaf(2), 0.0) == ()


@given(st.lists(st.integers(0, 120), max_size=300))
def test_a_list_is_a_list(leaves: list[int]) -> None:
    """No more are named than an answer holds, none twice, and always those that asked last."""
    seekers = Seekers()
    lately: list[int] = []
    for number in leaves:
        named = seekers.meet(ROOT, leaf(number), 0.0)
        expected = [each for each in reversed(lately) if each != number][:NAMED_MAX]
        assert list(named) == [leaf(each) for each in expected]
        if number in lately:
            lately.remove(number)
        lately.append(number)
        del lately[:-SEEKERS_MAX]
