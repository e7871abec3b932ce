"""Where in a digest a query looks: it may cost a message, never a result."""

from hypothesis import given
from hypothesis import strategies as st

from common.addresses import Address
from common.config import DigestConfig
from common.content.catalogue import Entry
from common.digest import CountedPlaces, may_have
from common.ids import Identity
from common.limits import DIGEST_BITS_MAX
from common.messages.overlay import Query, QueryBody
from common.terms import Terms, matches, parse
from superpeer.digests.digests import Digests
from superpeer.flood.credence import Credence
from superpeer.flood.guide import Guide, places
from superpeer.flood.query import Tree
from superpeer.index.index import Index
from superpeer.overlay.neighbour import Neighbour
from superpeer.overlay.reach import short_id, unpack

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


def test_a_neighbour_that_was_not_looked_at_is_not_covered() -> None:
    """A query comes with level 0, so nobody further is looked at in this ring; that it comes again
    by a shorter way, with level 2, makes up for that in the next ring and not in this report."""
    me, asker, other, third = b"m" * 32, b"a" * 32, b"o" * 32, b"t" * 32
    neighbours = {
        peer: Neighbour(Address.of("10.0.0.1", 1214), 0.0) for peer in (asker, other, third)
    }
    digests = Digests(Identity(bytes(32)), "test", DigestConfig(), CountedPlaces())
    guide = Guide(me, digests=digests, neighbours=neighbours, around=lambda: [short_id(third)])
    body = QueryBody(1, terms=Terms(("x",)))
    query = Query(bytes(16), bytes(16), 1, 1, b"", guided=True)
    tree = Tree(query, asker, Credence(body, lambda _hit: True), iter(()), neighbours, places(body))
    assert tree.grow(lambda _peer: True, lambda _peer: True) == []
    tree.met_again(other, Query(bytes(16), bytes(16), 3, 1, b"", guided=True))
    reach = guide.reach(tree)
    assert reach is not None
    assert list(unpack(reach.missed)) == [short_id(third)]
    tree.report(reach)
    tree.begin_ring(deeper=True)
    assert tree.level == 3
    assert tree.grow(lambda _peer: True, lambda _peer: True) == [third]
