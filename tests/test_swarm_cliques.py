"""Leaves that a parent names to one another are no clique: the last links are for whom leaves name.

Two hundred of four super-peers that wanted one file at once had each linked with those beside it
alone, and its seed had to send four copies.
"""

from common.core import Dial, Effect
from common.doors import Door
from common.messages.fields import Contact
from common.messages.swarm import Bitfield, Have, NotInterested, Unchoke
from leaf.signals import Allotted, SourcesFound, SourcesUnwanted, SourcesWanted
from leaf.swarm.sources import PUSH_S, SOURCES_ENOUGH
from tests.test_swarm_fetch import CONFIG, MIB, PIECES, ROOT, Fetching, at, hung_up

LINKS = CONFIG.links_max
PEERS = [bytes([number]) * 32 for number in range(1, 2 * LINKS)]
NOTHING = bytes(PIECES // 8)
ALL_BUT_ONE = b"\xff" * (PIECES // 8 - 1) + b"\xfe"


def crowd(count: int, bits: bytes = NOTHING) -> Fetching:
    """A download with links to so many that the parent named; all have shown these pieces."""
    fetching = Fetching()
    fetching.feed(Allotted(LINKS, 64 * MIB))
    for peer in PEERS[:count]:
        fetching.find(peer)
        fetching.link(peer)
        fetching.hears(peer, Bitfield(ROOT, bits))
    return fetching


def named(fetching: Fetching, *peers: bytes) -> list[Effect]:
    """Other leaves name these."""
    contacts = tuple(Contact(peer, at(peer)) for peer in peers)
    return fetching.feed(SourcesFound(ROOT, contacts, is_hearsay=True))


def dialled(effects: list[Effect]) -> int:
    """How many are."""
    return sum(isinstance(each, Dial) and each.door is Door.BULK for each in effects)


def test_the_parent_fills_the_links_that_are_enough_and_leaves_the_rest() -> None:
    """Whoever is named by the parent beyond waits; whom leaves name are linked with."""
    fetching = Fetching()
    fetching.feed(Allotted(LINKS, 64 * MIB))
    assert dialled(fetching.find(*PEERS[:LINKS])) == SOURCES_ENOUGH
    assert dialled(named(fetching, *PEERS[LINKS:])) == LINKS - SOURCES_ENOUGH


def test_whom_leaves_name_do_not_keep_out_whom_the_parent_names() -> None:
    """Liars could name as many as there are links."""
    fetching = Fetching()
    fetching.feed(Allotted(LINKS, 64 * MIB))
    assert dialled(named(fetching, *PEERS[LINKS:])) == SOURCES_ENOUGH
    assert dialled(fetching.find(*PEERS[:LINKS])) == LINKS - SOURCES_ENOUGH


def test_few_links_are_all_for_whom_the_parent_names() -> None:
    """Where downloads share them, there is nothing to keep back."""
    fetching = Fetching()
    fetching.feed(Allotted(6, 64 * MIB))
    assert dialled(fetching.find(*PEERS)) == 6


def test_more_are_taken_from_leaves_while_a_piece_is_scarce() -> None:
    """With one of those linked at most; with two, thirty are enough."""
    fetching = crowd(SOURCES_ENOUGH, ALL_BUT_ONE)
    for peer in PEERS[:2]:
        assert fetching.core.room == LINKS - SOURCES_ENOUGH
        fetching.hears(peer, Have(ROOT, PIECES - 1))
    assert fetching.core.room == 0


def test_one_seed_is_one_copy_of_each_piece() -> None:
    """Thirty that have nothing and a seed: it may go, or be slow. Two are enough."""
    fetching = crowd(SOURCES_ENOUGH - 1)
    for peer in PEERS[-2:]:
        assert fetching.core.room
        named(fetching, peer)
        fetching.link(peer)
        fetching.hears(peer, Bitfield(ROOT, b""))
    assert fetching.core.room == 0


def test_who_came_just_now_has_a_while_to_get_something() -> None:
    """As long as there are links for whom leaves name; then it gives its own to one that waits."""
    fetching = crowd(SOURCES_ENOUGH)
    for peer in PEERS[: SOURCES_ENOUGH - 1]:
        fetching.hears(peer, Have(ROOT, 0))
    last = PEERS[SOURCES_ENOUGH - 1]
    assert fetching.find(PEERS[LINKS]) == []
    for peer in PEERS[:SOURCES_ENOUGH]:
        fetching.hears(peer, Unchoke(ROOT))
    assert not hung_up(fetching.wait(CONFIG.request_s - 1.0))
    assert fetching.find(PEERS[LINKS + 1]) == []
    fetching.wait(1.0)
    assert NotInterested(ROOT) in [
        getattr(each, "message", None)
        for each in fetching.find(PEERS[LINKS + 2])
        if getattr(each, "peer", b"") == last
    ]


def test_who_answers_late_has_no_link_beyond_those_of_its_kind() -> None:
    """Made-up ones could all answer after their dial took no link any more."""
    fetching = Fetching()
    fetching.feed(Allotted(LINKS, 64 * MIB))
    late = named(fetching, *PEERS[:SOURCES_ENOUGH])
    late += fetching.wait(PUSH_S)
    late += named(fetching, *PEERS[SOURCES_ENOUGH : 2 * SOURCES_ENOUGH])
    for each in late:
        if isinstance(each, Dial):
            fetching.link(each.peer)
    assert fetching.core.sources.linked_count == SOURCES_ENOUGH
    assert dialled(fetching.find(*PEERS[2 * SOURCES_ENOUGH :])) == LINKS - SOURCES_ENOUGH


def test_nobody_is_let_go_of_for_one_who_cannot_have_its_link() -> None:
    """Where the parent's thirty are taken and others are free, whom leaves named stay."""
    fetching = crowd(SOURCES_ENOUGH, ALL_BUT_ONE)
    of_leaves = PEERS[SOURCES_ENOUGH : SOURCES_ENOUGH + 5]
    named(fetching, *of_leaves)
    for peer in of_leaves:
        fetching.link(peer)
        fetching.hears(peer, Bitfield(ROOT, NOTHING))
    for peer in PEERS[:SOURCES_ENOUGH]:
        fetching.hears(peer, Unchoke(ROOT))
    fetching.wait(CONFIG.request_s - 1.0)
    said = fetching.find(*PEERS[-5:])
    assert not any(getattr(each, "peer", b"") in of_leaves for each in said)


def test_whom_the_parent_names_too_counts_as_its() -> None:
    """Or leaves could keep out whom they name first."""
    fetching = Fetching()
    fetching.feed(Allotted(LINKS, 64 * MIB))
    known = {each.peer for each in named(fetching, *PEERS[:60]) if isinstance(each, Dial)}
    others = [peer for peer in PEERS[:60] if peer not in known]
    assert dialled(fetching.find(*others)) == LINKS - SOURCES_ENOUGH


def test_those_that_have_nothing_are_not_enough() -> None:
    """The parent is asked on, whoever they say they are."""
    fetching = Fetching()
    fetching.feed(Allotted(LINKS, 64 * MIB))
    named(fetching, *PEERS[:SOURCES_ENOUGH])
    for peer in PEERS[:SOURCES_ENOUGH]:
        fetching.link(peer)
    wanted: list[Effect] = []
    for peer in PEERS[:SOURCES_ENOUGH]:
        wanted += fetching.hears(peer, Bitfield(ROOT, NOTHING))
    assert any(isinstance(each, SourcesWanted) for each in wanted)
    assert not any(isinstance(each, SourcesUnwanted) for each in wanted)
