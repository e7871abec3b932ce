"""Where in a digest a query looks: it may cost a message, never a result."""

from hypothesis import given
from hypothesis import strategies as st

from common.catalogue import Entry
from common.digest import CountedPlaces, may_have
from common.limits import DIGEST_BITS_MAX
from common.messages.overlay import QueryBody
from common.terms import Terms, matches, parse
from superpeer.guide import places
from superpeer.index import Index

NAMES = ["The Two Towers.ogg", "京都タワー 第1話.mkv", "???", "---.bin", "สวัสดี ชาวโลก.txt"]
PARTS = [
    *("two", "tow*", '"two towers"', "the", "-ring", '-"towers two"', "京都", "京", "ワー"),
    *('"京都タワー"', "1", "話", "???", '"---"', "bin", "สวัส", "ส", "โลก", "te*"),
]


@given(st.sampled_from(NAMES), st.lists(st.sampled_from(PARTS), min_size=1, max_size=3))
def test_no_digest_rules_out_what_matches(name: str, asked: list[str]) -> None:
    """Whatever is asked for: words, beginnings, phrases, pieces of titles, exclusions."""
    digest, entry = CountedPlaces(), Entry(bytes(32), 1, name, "Films/2003")
    Index(1, digest).add(bytes(32), 0, entry)
    terms = parse(["films", *asked])
    if matches(terms, entry):
        assert may_have(digest.places, DIGEST_BITS_MAX, places(QueryBody(1, terms=terms)))


def test_a_beginning_alone_rules_nobody_out_and_a_phrase_is_its_words() -> None:
    """No place is that of a beginning or of what is excluded."""
    assert places(QueryBody(1, terms=parse(["lin*"]))) == ()
    words = places(QueryBody(1, terms=Terms(("two", "towers"))))
    asked = ['"two towers" tow* -ring -"two rings"']
    assert places(QueryBody(1, terms=parse(asked))) == words
