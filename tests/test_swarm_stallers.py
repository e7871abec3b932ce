"""Leaves that promise and never bring: what they are asked for comes from others, and soon."""

from collections.abc import Collection
from random import Random

from common.addresses import Address
from common.config import SwarmConfig
from common.content.merkle import piece_count
from common.ids import NodeId
from common.messages.fields import Contact
from leaf.links.caps import Cap, Gate
from leaf.links.links import BulkLinks
from leaf.swarm.layer import ASKED_MAX, LayerFetch
from leaf.swarm.pieces import Pieces, State
from leaf.swarm.requests import ENDGAME_SHARE, OWERS_MAX, TAIL_S, Requests
from leaf.swarm.source import Phase, Source
from leaf.swarm.sources import Sources

SIZE = 2 * 16384  # what one source is asked for at first
REQUEST_S = 20.0
PATIENCE_S = REQUEST_S * ENDGAME_SHARE
PLACE = Address(b"\x0a\x00\x00\x01", 1214)


def peer(number: int) -> NodeId:
    return bytes((number,)) * 32


def ready(number: int) -> Source:
    """A linked source that has all and has unchoked us."""
    source = Source(peer(number), PLACE, phase=Phase.LINKED, choking=False)
    source.shown = True
    return source


def test_hashes_are_asked_of_more_and_more_while_nobody_answers() -> None:
    """One, then two, four and eight; never more, and nobody twice."""
    layer = LayerFetch(bytes(32), SIZE, b"", PATIENCE_S)
    asked = []
    for tenths in range(200):
        now = tenths / 10
        asked += [now for number in range(1, 30) if layer.ask(peer(number), now) is not None]
    assert [asked.count(when) for when in dict.fromkeys(asked)] == [1, 1, 2, 4]
    assert list(dict.fromkeys(asked)) == [0.0, PATIENCE_S, 2 * PATIENCE_S, 3 * PATIENCE_S]
    assert len(asked) == ASKED_MAX


def test_a_range_that_is_given_back_is_asked_for_at_once() -> None:
    """Whoever rejects or goes does not make others wait."""
    layer = LayerFetch(bytes(32), SIZE, b"", PATIENCE_S)
    assert layer.ask(peer(1), 0.0) is not None
    assert layer.ask(peer(2), 0.1) is None
    layer.give_back(peer(1))
    assert layer.ask(peer(2), 0.1) is not None


def test_the_same_is_asked_of_one_more_each_time_it_is_waited_for() -> None:
    """At the end of a download each piece is owed by ever more leaves, up to a few."""
    pieces = Pieces(bytes(piece_count(SIZE)))
    requests = Requests(bytes(32), SIZE, pieces, REQUEST_S, Random(1), Gate(Cap()))
    requests.bytes_max = 10 * SIZE
    sources = [ready(number) for number in range(1, 9)]
    requests.fill(sources[0], sources[:1], 0.0, 0.0)
    assert requests.endgame
    owers = []
    for period in range(8):
        for source in sources[1:]:
            requests.fill(source, sources, 0.0, period * PATIENCE_S)
        owers.append(len(requests.pieces.owners(0)))
    assert owers == [1, 2, 3, 4, 4, 4, 4, 4]
    assert max(owers) == OWERS_MAX
    assert requests.pieces.state(0) is State.ASKED


def test_what_a_slow_giver_owes_at_the_end_is_asked_of_one_idle_leaf() -> None:
    """Soon and once, and only where it will take long: it may have all that the others lack."""
    for per_s, owers in ((20_000, 2), (1_000_000, 1)):
        pieces = Pieces(bytes(piece_count(SIZE)))
        requests = Requests(bytes(32), SIZE, pieces, REQUEST_S, Random(1), Gate(Cap()))
        requests.bytes_max = 10 * SIZE
        giver, *idle = sources = [ready(number) for number in range(1, 5)]
        requests.fill(giver, sources[:1], 0.0, 0.0)
        assert requests.endgame
        assert giver.rate is not None
        giver.rate.add(int(per_s * TAIL_S), TAIL_S)
        asked = [len(requests.fill(each, sources, 0.0, TAIL_S - 0.01)) for each in idle]
        assert asked == [0, 0, 0]
        for each in idle:
            requests.fill(each, sources, 0.0, TAIL_S)
        assert [len(pieces.owners(piece)) for piece in range(2)] == [owers] * 2


def may_end(gave: Collection[NodeId], *ready_ones: Source) -> list[bool]:
    """Of each whether it may be asked at the end."""
    sources = Sources(bytes(32), SIZE, BulkLinks(SwarmConfig()), SwarmConfig(), Random(1))
    sources.add([Contact(each.peer, each.address) for each in ready_ones])
    for each in ready_ones:
        sources._sources[each.peer] = each
    return [sources.may_end(each, gave) for each in ready_ones]


def test_the_end_is_for_those_who_gave() -> None:
    """A leaf that never sent anything is idle by nature: it is not asked for what others owe."""
    assert may_end([peer(1)], ready(1), ready(2)) == [True, False]


def test_where_nobody_gave_anybody_may() -> None:
    """So may all where those who gave choke us or let us wait."""
    choking, snubbed = ready(1), ready(2)
    choking.choking, snubbed.snubs = True, 1
    assert may_end([], ready(1), ready(2)) == [True, True]
    assert may_end([peer(1), peer(2)], choking, snubbed, ready(3)) == [True, True, True]
