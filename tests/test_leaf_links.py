"""What a leaf wants of its control links, and that it says so when it wants one no longer."""

from collections.abc import Callable
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from common.core import Demoted, Dial, Effect, LetGo, LinkDown, LinkUp, Promoted, Received
from common.core import Woke as Due
from common.doors import Door
from common.ids import Identity
from common.messages.cluster import Busy, Heir, ReHome, Welcome
from common.messages.fields import Contact
from common.messages.relay import Relayed
from leaf.links.relayed import RelayedPeers
from leaf.signals import Acknowledged, Joined, RelayWanted
from tests.test_leaf_parent import KEYS, Seeking, at, seed

ME = Seeking().core._me
SUPERPEERS = range(1, 5)
WHO = st.sampled_from(SUPERPEERS)


def contact(number: int) -> Contact:
    """A super-peer, as others name it; 0 is our own node."""
    return Contact(KEYS[number], at(number)) if number else Contact(ME, at(9))


def down(number: int) -> LinkDown:
    """Its link is gone."""
    return LinkDown(KEYS[number], Door.CONTROL, "lost")


def parents() -> dict[str, Callable[[Seeking, int, int], list[Effect]]]:
    """What may happen to a leaf that has or seeks a parent; two numbers say who is meant."""
    return {
        "up": lambda leaf, one, _: leaf.link_up(one),
        "down": lambda leaf, one, _: leaf.feed(down(one)),
        "welcome": lambda leaf, one, two: leaf.hears(one, Welcome(two % 2, 5.0, 100)),
        "busy": lambda leaf, one, two: leaf.hears(one, Busy(5.0, (contact(two),))),
        "heir": lambda leaf, one, two: leaf.hears(one, Heir(contact(two) if two < 4 else None)),
        "home": lambda leaf, one, two: leaf.hears(one, ReHome(contact(two % 4))),
        "found": lambda leaf, one, _: leaf.feed(Acknowledged(one)),
        "promoted": lambda leaf, _, two: leaf.feed(Promoted(ME) if two % 2 else Demoted()),
        "wait": lambda leaf, one, _: leaf.wait(float(one)),
    }


STEPS = st.tuples(st.sampled_from(list(parents())), WHO, WHO)
BEGINS = st.sampled_from(["seeking", "joined", "with an heir", "moving"])


def begun(how: str) -> Seeking:
    """A leaf that has come so far."""
    leaf = Seeking(*(seed(number, strict=True) for number in SUPERPEERS))
    if how != "seeking":
        leaf.join(1)
    if how == "with an heir":
        leaf.hears(1, Heir(contact(2)))
    if how == "moving":
        leaf.hears(1, ReHome(contact(3)))
    return leaf


@given(BEGINS, st.lists(STEPS, max_size=30))
@settings(deadline=None, max_examples=300)
def test_a_leaf_lets_go_of_whom_it_wants_no_longer(
    begin: str, steps: list[tuple[str, int, int]]
) -> None:
    """Whatever happens, in whatever order: whom it dials, has joined or is about to leave it wants,
    and of whom it wants no longer it says so in the same turn, so that no link waits for a sweep to
    be ended."""
    leaf = begun(begin)
    everybody = [KEYS[number] for number in SUPERPEERS] + [ME]
    for what, one, two in steps:
        before = [peer for peer in everybody if leaf.core.needs(peer) and peer in leaf.core._links]
        effects = parents()[what](leaf, one, two)
        dialled = [each.peer for each in effects if isinstance(each, Dial)]
        let_go = [each.peer for each in effects if isinstance(each, LetGo)]
        assert what == "wait" or all(map(leaf.core.needs, dialled))
        assert leaf.core.contact is None or leaf.core.needs(leaf.core.contact.node)
        assert leaf.core.leaving is None or leaf.core.needs(leaf.core.leaving.node)
        linked = [peer for peer in before if peer in leaf.core._links]
        assert not [peer for peer in linked if not leaf.core.needs(peer) and peer not in let_go]


@given(st.lists(st.tuples(st.sampled_from(["wanted", "up", "down", "said", "wait"]), WHO, WHO)))
@settings(deadline=None)
def test_relays_are_let_go_when_nobody_is_behind_them(steps: list[tuple[str, int, int]]) -> None:
    """The same for the super-peers that pass on what we say to others."""
    leaf, now = RelayedPeers(), 0.0
    leaf.handle(Joined(KEYS[4], at(4), 0, 100), now)
    peers = [Identity(Random(number).randbytes(32)).node for number in range(100, 105)]
    for what, one, two in steps:
        relay, peer = contact(one), peers[two]
        events = {
            "wanted": RelayWanted(peer, relay),
            "up": LinkUp(relay.node, Door.CONTROL, relay.address, at(9), inbound=False),
            "down": down(one),
            "said": Received(relay.node, Relayed(peer, "" if one % 2 else "it is gone")),
            "wait": Due(),
        }
        needed = [KEYS[number] for number in SUPERPEERS if leaf.needs(KEYS[number])]
        now += 5.0 * (what == "wait")
        effects = leaf.handle(events[what], now)
        let_go = [each.peer for each in effects if isinstance(each, LetGo)]
        linked = [peer for peer in needed if peer in leaf._links]
        assert not [peer for peer in linked if not leaf.needs(peer) and peer not in let_go]
