"""The words that begin so, as a scan over all of them would find them."""

from hypothesis import given
from hypothesis import strategies as st

from superpeer.index.prefixes import LIST_WORDS_MAX, Prefixes

words_of_few_letters = st.text("abc", min_size=1, max_size=6)


@given(st.lists(st.tuples(words_of_few_letters, st.booleans()), max_size=400), words_of_few_letters)
def test_it_finds_what_a_scan_finds(steps: list[tuple[str, bool]], prefix: str) -> None:
    """Whatever came and went before."""
    prefixes, there = Prefixes(), dict.fromkeys("a" + str(n) for n in range(LIST_WORDS_MAX))
    for word in there:
        prefixes.add(word)
    for word, comes in steps:
        if comes and word not in there:
            prefixes.add(word)
            there[word] = None
        elif not comes and word in there:
            prefixes.discard(word)
            del there[word]
    expected = sorted(word for word in there if word.startswith(prefix))
    assert sorted(prefixes.find(prefix, 10_000)) == expected


def test_it_tells_no_more_than_asked_for() -> None:
    """Of many words that begin alike, some."""
    prefixes = Prefixes()
    for number in range(5_000):
        prefixes.add(f"word{number}")
    assert len(prefixes.find("wo", 100)) == 100
    assert len(prefixes.find("word1", 10_000)) == 1_111


def test_what_has_burst_can_be_emptied() -> None:
    """Nothing is left of words that went."""
    prefixes = Prefixes()
    words = ["x" * length for length in range(1, 65)] + [f"x{number}" for number in range(500)]
    for word in words:
        prefixes.add(word)
    for word in words:
        prefixes.discard(word)
    assert prefixes.find("x", 10) == []
    prefixes.add("x")
    assert prefixes.find("x", 10) == ["x"]
