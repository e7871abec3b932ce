"""Can others dial it? Who is asked, who answers, what liars and strangers get."""

from random import Random

from msgspec.structs import replace

from common.addresses import Address
from common.config import SwarmConfig, VitalsConfig
from common.core import Dial, Effect, LinkDown, LinkUp, Received, Send
from common.dialbudget import DialBudget
from common.doors import Door
from common.messages.fields import Contact
from common.messages.hierarchy import Errand, ErrandDone, Examine, Examined, Trial
from common.messages.hierarchy import Vitals as Told
from leaf.ranks.vitals import Errands
from leaf.signals import Joined
from superpeer.vitals.books import Book
from superpeer.vitals.dialbacks import Dialbacks
from superpeer.vitals.examiner import Examiner
from tests.hierarchy_world import QUICK, Network, config


def pair(leaves: int = 2, **vitals: float) -> Network:
    """Two neighbours, and leaves of the first."""
    settings = config(40)
    settings = replace(settings, vitals=replace(QUICK, test_s=0.0, **vitals))
    network = Network(settings)
    network.superpeer("first")
    network.superpeer("other", "first")
    for number in range(leaves):
        network.leaf(f"leaf{number}", "first")
    return network


def test_a_neighbour_dials_and_the_parent_too() -> None:
    """Both doors were seen, and the leaf is told."""
    network = pair()
    network.run(20.0)
    assert network.status("leaf0").reachable is True
    told = network.conversation(Examine, Examined, Told)
    assert "first -> other: Examine" in told
    assert "other -> first: Examined" in told
    assert "first -> leaf0: Vitals" in told
    checks = {c.name: c for c in network.explain("first", "leaf0").verdicts[0].checks}
    assert len(checks["reachable"].measured_by) == 2


def test_links_that_were_made_to_look_are_hung_up() -> None:
    """Nobody keeps them but what a leaf dialled to its heir, and the host cache is not filled with
    leaves."""
    network = pair()
    network.superpeer("third", "first")
    network.run(60.0)
    leaf = network.host("leaf0").identity.node
    linked = [name for name in ("other", "third") if leaf in network.core(name)._links]
    assert len(linked) <= 1  # its heir, whom it dialled itself
    for name in ("other", "third"):
        cache = network.core(name)._overlay.cache
        assert not cache.has_worked(Contact(leaf, network.host("leaf0").control))


def test_an_heir_cannot_tell_and_another_is_asked() -> None:
    """The only neighbour is linked with the leaf already: a leaf of ours dials instead."""
    network = pair()
    network.run(20.0)
    assert network.status("leaf0").heir is not None
    assert network.status("leaf0").reachable is True
    assert "first -> leaf1: Errand" in network.conversation(Errand)


def test_behind_a_wall_it_is_not_reachable() -> None:
    """What others say does not help it: its parent could not dial it."""
    network = pair(1)
    network.run(1.0)
    network.leaf("leaf9", "first")
    network.wall("leaf9")
    network.run(40.0)
    assert network.status("leaf9").reachable is False
    verdict = network.explain("first", "leaf9").verdicts[0]
    assert "others can dial it" in verdict.would_change


def test_a_lying_neighbour_makes_nobody_reachable() -> None:
    """It says yes to all that it is asked; the parent dials the bulk door itself."""
    network = pair(1)
    network.run(1.0)
    network.leaf("leaf9", "first")
    network.wall("leaf9")
    core = network.core("first")
    other = network.host("other").identity.node
    leaf = network.host("leaf9").identity.node
    for _ in range(20):
        network.run(2.0)
        for guid, asked in list(core._hierarchy.dialbacks._asked.items()):
            if asked.by == other and asked.leaf == leaf:
                core._hierarchy.on_examined(other, Examined(guid, other, True), core._now)
    assert network.status("leaf9").reachable is not True
    assert not network.explain("first", "leaf9").verdicts[0].fit


def test_where_there_is_no_neighbour_other_leaves_look() -> None:
    """Errands: they dial, and tell their parent."""
    network = Network(config(40))
    network.superpeer("first")
    for number in range(3):
        network.leaf(f"leaf{number}", "first")
    network.run(20.0)
    assert network.status("leaf0").reachable is True
    assert "Errand" in " ".join(network.conversation(Errand, ErrandDone))


def test_nobody_can_aim_our_dials_at_a_victim() -> None:
    """A neighbour that names the same address over and over: one dial an hour (THREATS T3)."""
    network = pair(0)
    network.run(2.0)
    core = network.core("other")
    asker = network.host("first").identity.node
    victim = Address.of("10.99.0.1", 1214)
    dials = []
    for number in range(200):
        contact = Contact(number.to_bytes(32, "big"), victim)
        effects = core._hierarchy.on_examine(asker, Examine(bytes(16), contact), 100.0 + number)
        dials += [each for each in effects if type(each).__name__ == "Dial"]
    assert len(dials) == 1


def test_an_errand_of_a_stranger_is_not_run() -> None:
    """Only the parent sends a leaf."""
    network = pair(2)
    network.run(5.0)
    node = network.host("leaf0").node
    assert node is not None
    leaf = node._roles["leaf"]
    stranger = network.host("leaf1").identity.node
    errands, trials = leaf._ranks.errands, leaf._ranks.trials  # type: ignore[attr-defined]
    contact = Contact(bytes(32), Address.of("10.9.9.9", 1214))
    for seconds in (0, 5):
        event = Received(stranger, Errand(bytes(16), contact, seconds))
        assert errands.handle(event, 10.0) == []
        assert trials.handle(event, 10.0) == []


def test_test_data_is_for_tests_that_the_parent_announced() -> None:
    """A stranger who asks for bytes gets none."""
    network = pair(1)
    network.run(5.0)
    node = network.host("leaf0").node
    assert node is not None
    trials = node._roles["leaf"]._ranks.trials  # type: ignore[attr-defined]
    assert trials.handle(Received(bytes(32), Trial(10**6, bytes(16))), 10.0) == []


def test_where_the_only_neighbour_is_its_heir_a_leaf_of_ours_looks() -> None:
    """The leaf holds a link to its heir, which so cannot dial it."""
    network = pair(2)
    for number in range(2):
        leaf, other = network.host(f"leaf{number}").identity.node, network.core("other")
        network.run(1.0)
        assert leaf in other._links
    network.run(40.0)
    assert [network.status(f"leaf{number}").reachable for number in range(2)] == [True, True]
    assert network.conversation(Errand)


# --- bulk links that are there already ----------------------------------------------------------

LEAF, OTHER, ANOTHERS = b"l" * 32, b"o" * 32, b"a" * 32
AT, GUID = Address.of("20.1.0.1", 1214), b"g" * 16


class Looking:
    """A super-peer with one leaf, at whose bulk door it looks itself, and a neighbour."""

    def __init__(self) -> None:
        self.book = Book()
        examiner = Examiner(
            b"m" * 32,
            links={each: LinkUp(each, Door.CONTROL, AT, AT, True, 1215) for each in (LEAF, OTHER)},
            leaves={LEAF: Contact(LEAF, AT)},
            askable=list,
            book=lambda _leaf: self.book,
            changed=lambda _leaf, _now: None,
        )
        budget = DialBudget(per_s=2, burst=8, target_s=60, again_s=1)
        self.core = Dialbacks(examiner, VitalsConfig(), Random(1), budget=budget)
        self.core.arrived(LEAF, 0.0)

    def up(self, now: float, *, inbound: bool) -> None:
        """A bulk link between it and a leaf of our own node; nothing is hung up."""
        up = LinkUp(LEAF, Door.BULK, AT.at(1215), AT, inbound)
        assert not self.core.linked(up, now)

    def look(self) -> tuple[list[Effect], float]:
        """The next look at it, and when that was."""
        now = self.core.wakeup() or 0.0
        return self.core.due(now), now

    @property
    def reached(self) -> bool | None:
        """What is known of its bulk door."""
        return None if self.book.bulk_reached is None else self.book.bulk_reached.reached


def test_a_bulk_link_that_our_node_dialled_tells_that_its_door_is_open() -> None:
    """Nothing is dialled, and nothing of the end of that link counts."""
    looking = Looking()
    looking.up(0.5, inbound=False)
    effects, now = looking.look()
    assert effects == []
    assert looking.reached is True
    assert looking.core.lost(LEAF, Door.BULK, now + 3.0) == []
    assert looking.reached is True


def test_a_bulk_link_that_the_leaf_dialled_tells_nothing_of_its_door() -> None:
    """Neither while it is there nor by its end, whether it came before our dial or crossed it."""
    looking = Looking()
    looking.up(0.5, inbound=True)
    effects, now = looking.look()
    assert effects == []
    looking.core.lost(LEAF, Door.BULK, now + 3.0)
    assert looking.reached is None
    effects, now = looking.look()
    assert effects == [Dial(LEAF, AT.at(1215), Door.BULK)]
    looking.up(now + 0.1, inbound=True)
    looking.core.lost(LEAF, Door.BULK, now + 3.0)
    assert looking.reached is None


def test_a_link_that_crosses_a_dial_back_tells_nothing_of_the_control_door() -> None:
    """Whether we dialled for a neighbour or, as a leaf, for our parent; its end says nothing."""
    core, errands = Looking().core, Errands(b"m" * 32, VitalsConfig(), SwarmConfig())
    contact, crosses = Contact(ANOTHERS, AT), LinkUp(ANOTHERS, Door.CONTROL, AT, AT, True)
    assert core.on_examine(OTHER, Examine(GUID, contact), 0.1) == [Dial(ANOTHERS, AT, Door.CONTROL)]
    assert core.linked(crosses, 0.2) is None
    assert core.due(0.2) == [Send(OTHER, Examined(GUID, b"m" * 32, None))]
    assert core.lost(ANOTHERS, Door.CONTROL, 1.0) == []
    errands.handle(Joined(OTHER, AT, 0, 100), 0.0)
    errands.handle(Received(OTHER, Errand(GUID, contact)), 0.1)
    assert errands.handle(crosses, 0.2) == [Send(OTHER, ErrandDone(GUID, None))]
    assert errands.handle(LinkDown(ANOTHERS, Door.CONTROL, "lost"), 1.0) == []


def test_a_thousand_leaves_wait_for_their_look_without_asking_all_the_time() -> None:
    """As many are looked at as the pace allows, and each of the others asks for it now and then."""
    leaves = [number.to_bytes(32, "big") for number in range(1_000)]
    books = {leaf: Book() for leaf in leaves}
    examiner = Examiner(
        b"m" * 32,
        links={leaf: LinkUp(leaf, Door.CONTROL, AT, AT, True, 0) for leaf in leaves},
        leaves={leaf: Contact(leaf, AT) for leaf in leaves},
        askable=list,
        book=books.__getitem__,
        changed=lambda _leaf, _now: None,
    )
    budget = DialBudget(per_s=2, burst=8, target_s=60, again_s=1)
    core = Dialbacks(examiner, VitalsConfig(), Random(1), budget=budget)
    for leaf in leaves:
        core.arrived(leaf, 0.0)
    now, wakes, sent = 0.0, 0, 0
    while now < 300.0:
        now, wakes = core.wakeup() or 0.0, wakes + 1
        sent += len(core.due(now))
    assert 0.8 * 2 * 300 < sent < 8 + 2 * 300 + 8
    assert wakes < 10 * 300
