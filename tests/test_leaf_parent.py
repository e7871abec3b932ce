"""Finding a parent, joining it, losing it."""

from random import Random

import pytest

from common.addresses import Address
from common.config import ParentConfig
from common.core import (
    Answer,
    Asked,
    Bound,
    DatagramReceived,
    Dial,
    Effect,
    Event,
    LetGo,
    LinkDown,
    LinkUp,
    Notify,
    Received,
    Send,
    SendDatagram,
    Stopped,
    Woke,
)
from common.doors import Door
from common.errors import UserError
from common.ids import Identity
from common.meeting import Meeting, Seed
from common.messages.cluster import Busy, Join, Leave, Welcome
from common.messages.fields import Contact, Message
from common.messages.link import Bye, Ping, Pong
from common.network import Network
from common.storage import RememberPin, RememberSuperPeer, Restored
from leaf.library.publish import Publisher
from leaf.methods import Nothing, PinReset
from leaf.parent.candidates import ALTERNATIVES_MAX, FAILURES_MAX
from leaf.parent.parent import Parent
from leaf.parent.rounds import Rounds
from leaf.parent.wayin import WayIn
from leaf.signals import Alone, Joined, Orphaned

ME = Identity(bytes(32))
NETWORK = Network("test")
CONFIG = ParentConfig()
KEYS = [Identity(bytes([number]) * 32).node for number in range(1, 6)]


def at(number: int) -> Address:
    """Where the super-peer of this number is."""
    return Address.of(f"10.0.0.{number}", 1214)


def seed(number: int, *, strict: bool = False) -> Seed:
    """What a person typed for it."""
    return Seed(f"sp{number}:1214", at(number), KEYS[number] if strict else None)


class Seeking:
    """A `Parent` with the time and what it has ordered since last asked."""

    def __init__(self, *seeds: Seed, restored: Restored | None = None) -> None:
        self.now = 100.0
        publisher = Publisher(ME, NETWORK.name, CONFIG, epoch=1)
        meeting = Meeting(NETWORK, Random(1))
        rounds = Rounds(
            ME.node,
            meeting=meeting,
            config=CONFIG,
            seeds=seeds,
            steps=(),
            rng=Random(1),
            promotes=False,
        )
        self.core = Parent(me=ME.node, config=CONFIG, rounds=rounds, published=publisher, epoch=1)
        self.pings: dict[Address, Ping] = {}
        self.first = self.feed(restored or Restored())

    def feed(self, event: Event) -> list[Effect]:
        """What an event causes."""
        effects = self.core.handle(event, self.now)
        for effect in effects:
            if isinstance(effect, SendDatagram) and isinstance(effect.message, Ping):
                self.pings[effect.address] = effect.message
        return effects

    def wait(self, seconds: float) -> list[Effect]:
        """What the time causes."""
        end, effects = self.now + seconds, []
        while (due := self.core.wakeup()) is not None and due <= end:
            self.now = max(due, self.now)
            effects += self.feed(Woke())
        self.now = end
        return effects

    def pong(self, number: int, parent: Contact | None = None, **changes: object) -> list[Effect]:
        """The answer of super-peer `number` to the last ping to it."""
        pong = Pong(
            nonce=self.pings[at(number)].nonce,
            network=NETWORK.name,
            node=KEYS[number],
            superpeer=parent or Contact(KEYS[number], at(number)),
            leaves=0,
            leaves_max=1,
            uptime_s=1,
            observed=at(9),
        )
        for name, value in changes.items():
            pong = Pong(**{**{f: getattr(pong, f) for f in pong.__struct_fields__}, name: value})
        return self.feed(DatagramReceived(at(number), pong))

    def link_up(self, number: int) -> list[Effect]:
        """The link to it is there."""
        return self.feed(LinkUp(KEYS[number], Door.CONTROL, at(number), at(9), inbound=False))

    def hears(self, number: int, message: Message) -> list[Effect]:
        """It says this."""
        return self.feed(Received(KEYS[number], message))

    def ended(self, effects: list[Effect]) -> list[bytes]:
        """Whom these let go that nothing of this machine wants."""
        let_go = [each.peer for each in effects if isinstance(each, LetGo)]
        return [peer for peer in let_go if not self.core.needs(peer)]

    def join(self, number: int) -> list[Effect]:
        """From its link to its welcome."""
        self.link_up(number)
        return self.hears(number, Welcome(0, 5.0, 100))


def dialled(effects: list[Effect]) -> list[bytes]:
    """Whom we dial."""
    return [effect.peer for effect in effects if isinstance(effect, Dial)]


def test_joins_and_remembers() -> None:
    """Ping, pong, dial, join, welcome; then the key is pinned and the super-peer remembered."""
    seeking = Seeking(seed(1))
    assert isinstance(seeking.first[0], SendDatagram)
    assert seeking.pong(1) == [Dial(KEYS[1], at(1), Door.CONTROL)]
    assert seeking.link_up(1) == [Send(KEYS[1], Join(1, 1 << 11, 0, joins=1))]
    effects = seeking.hears(1, Welcome(7, 5.0, 100))
    assert RememberPin("sp1:1214", KEYS[1]) in effects
    assert RememberSuperPeer(KEYS[1], at(1)) in effects
    assert Joined(KEYS[1], at(1), 7, 100) in effects
    assert seeking.core.reason == ""
    assert seeking.core.contact == Contact(KEYS[1], at(1))


def test_the_first_in_order_is_preferred() -> None:
    """A later one that answered waits while the first may still answer; then it is taken."""
    seeking = Seeking(seed(1), seed(2))
    assert seeking.pong(2) == []
    assert dialled(seeking.pong(1)) == [KEYS[1]]
    late = Seeking(seed(1), seed(2))
    assert late.pong(2) == []
    assert dialled(late.wait(CONFIG.ping_s)) == [KEYS[2]]


def test_a_strict_seed_needs_no_ping() -> None:
    """HOST:PORT/KEY is dialled at once, and nothing is pinned for it."""
    seeking = Seeking(seed(1, strict=True))
    assert seeking.first == [Dial(KEYS[1], at(1), Door.CONTROL)]
    assert not [each for each in seeking.join(1) if isinstance(each, RememberPin)]


def test_nobody_answers() -> None:
    """The reason names who was silent, is told once, and rounds are repeated with longer pauses."""
    seeking = Seeking(seed(1), seed(2))
    effects = seeking.wait(CONFIG.ping_s)
    (told,) = [each for each in effects if isinstance(each, Notify)]
    assert seeking.core.reason == "no answer from sp1:1214; no answer from sp2:1214"
    assert told.fields["reason"] == seeking.core.reason
    later = seeking.wait(600.0)
    pings = [each for each in later if isinstance(each, SendDatagram)]
    assert 20 < len(pings) < 60
    assert not [each for each in later if isinstance(each, Notify)]


def test_another_key_than_the_pinned_one_is_never_linked() -> None:
    """A changed key is an error with the command that mends it; the next seed is tried."""
    pinned = Restored(pins=(("sp1:1214", KEYS[3]),))
    seeking = Seeking(seed(1), seed(2), restored=pinned)
    assert dialled(seeking.pong(1)) == []
    assert dialled(seeking.pong(2)) == [KEYS[2]]
    alone = Seeking(seed(1), restored=pinned)
    told, reason = alone.pong(1)
    assert isinstance(told, Notify)
    assert reason == Alone(alone.core.reason, may_begin=False)
    assert told.level == "error"
    assert "`leaf pins reset sp1:1214`" in alone.core.reason
    assert alone.core.refused
    assert alone.feed(Asked(1, "leaf.pins_reset", PinReset("sp1"))) == [
        RememberPin("sp1:1214", None),
        Answer(1, Nothing()),
    ]
    alone.wait(0.0)
    assert dialled(alone.pong(1)) == [KEYS[1]]


def test_pins_of_nobody_are_not_reset() -> None:
    """What is not pinned, or no place, is said so."""
    seeking = Seeking(seed(1))
    for place in ("sp1:1214", "", "[::"):
        with pytest.raises(UserError):
            seeking.feed(Asked(1, "leaf.pins_reset", PinReset(place)))


def test_a_leaf_names_its_parent() -> None:
    """A pong from a leaf leads to its parent, within the scope in which it may speak."""
    seeking = Seeking(seed(1))
    assert dialled(seeking.pong(1, parent=Contact(KEYS[4], at(4)))) == [KEYS[4]]
    out_of_scope = Seeking(seed(1))
    loopback = Contact(KEYS[4], Address.of("127.0.0.1", 1214))
    assert dialled(out_of_scope.pong(1, parent=loopback)) == []
    assert "out of our reach" in out_of_scope.core.reason
    alone = Seeking(seed(1))
    alone.pong(1, superpeer=None)
    assert alone.core.reason == "sp1:1214 is a leaf without a parent"
    refused = Seeking(seed(1))
    refused.pong(1, refusal="this node belongs to another network")
    assert "another network" in refused.core.reason
    assert refused.core.refused


def test_a_refused_link_is_a_refusal_until_the_next_parent() -> None:
    """Who is there and says no is told apart from who is not there."""
    seeking = Seeking(seed(1, strict=True))
    seeking.feed(LinkDown(KEYS[1], Door.CONTROL, "refused: another network"))
    assert seeking.core.refused
    seeking.wait(60.0)
    seeking.feed(LinkDown(KEYS[1], Door.CONTROL, "no answer"))
    assert not seeking.core.refused


def test_busy_leads_to_its_alternatives() -> None:
    """A full super-peer's alternatives are tried next, those in scope; then it is asked again."""
    seeking = Seeking(seed(1, strict=True))
    seeking.link_up(1)
    others = (Contact(KEYS[3], Address.of("127.0.0.1", 1)), Contact(KEYS[2], at(2)))
    effects = seeking.hears(1, Busy(30.0, others))
    assert dialled(effects) == [KEYS[2]]
    assert LetGo(KEYS[1], Door.CONTROL, "it takes no more leaves") in effects
    seeking.feed(LinkDown(KEYS[1], Door.CONTROL, "hung up"))
    seeking.feed(LinkDown(KEYS[2], Door.CONTROL, "connection refused"))
    assert seeking.core.reason == (
        "sp1:1214: it takes no more leaves; 10.0.0.2:1214: connection refused"
    )
    assert not seeking.core.refused  # nobody was there to refuse
    assert dialled(seeking.wait(29.0)) == []
    assert dialled(seeking.wait(8.0)) == [KEYS[1]]


def test_made_up_super_peers_cost_a_few_dials() -> None:
    """Whoever names many that are not there does not keep a leaf from those it was given."""
    seeking = Seeking(seed(1, strict=True))
    seeking.link_up(1)
    made_up = tuple(Contact(bytes([n]) * 32, at(n)) for n in range(50, 66))
    asked = dialled(seeking.hears(1, Busy(1.0, made_up)))
    seeking.feed(LinkDown(KEYS[1], Door.CONTROL, "hung up"))
    for _ in range(FAILURES_MAX - 1):
        asked += dialled(seeking.feed(LinkDown(asked[-1], Door.CONTROL, "no answer")))
    assert asked == [each.node for each in made_up[:FAILURES_MAX]]
    assert dialled(seeking.feed(LinkDown(asked[-1], Door.CONTROL, "no answer"))) == []
    assert dialled(seeking.wait(3.0)) == [KEYS[1]]


def test_a_lost_parent_is_sought_through_the_seeds_again() -> None:
    """After a loss the first seed is pinged within the redial pause."""
    seeking = Seeking(seed(1), seed(2))
    seeking.pong(1)
    seeking.join(1)
    effects = seeking.feed(LinkDown(KEYS[1], Door.CONTROL, "silent for 2.5 s"))
    assert Orphaned() in effects
    assert seeking.core.reason == "lost sp1:1214: silent for 2.5 s"
    assert seeking.core.contact is None
    pinged = [each.address for each in seeking.wait(0.2) if isinstance(each, SendDatagram)]
    assert pinged == [at(1), at(2)]


def test_no_welcome_is_given_up() -> None:
    """Who does not answer a join loses the link, and the next candidate is asked. Its welcome may
    be on its way, and the link stay for something else: it is told that we are not its leaf."""
    seeking = Seeking(seed(1, strict=True), seed(2, strict=True))
    seeking.link_up(1)
    effects = seeking.wait(CONFIG.join_s)
    assert seeking.ended(effects) == [KEYS[1]]
    assert Send(KEYS[1], Leave(2)) in effects
    assert dialled(effects) == [KEYS[2]]
    seeking.link_up(2)
    assert seeking.core._joins == 3


def test_a_welcome_to_an_earlier_join_is_no_answer_to_this_one() -> None:
    """We have left there since, and what it held of us is gone: the next one says what it holds."""
    seeking = Seeking(seed(1, strict=True))
    seeking.link_up(1)
    assert Send(KEYS[1], Leave(2)) in seeking.wait(CONFIG.join_s)
    while seeking.core._joins < 3:  # it joins again, over the same link
        seeking.wait(0.1)
    assert seeking.hears(1, Welcome(7, 5.0, 100, joins=1)) == []
    effects = seeking.hears(1, Welcome(0, 5.0, 100, joins=3))
    assert Joined(KEYS[1], at(1), 0, 100) in effects


def test_a_link_that_is_there_is_used() -> None:
    """Without a dial."""
    seeking = Seeking(seed(1))
    seeking.link_up(1)
    assert seeking.pong(1) == [Send(KEYS[1], Join(1, 1 << 11, 0, joins=1))]
    assert seeking.ended(seeking.wait(CONFIG.join_s)) == [KEYS[1]]


def test_strangers_and_late_words_change_nothing() -> None:
    """A welcome from another node, a pong nobody asked for: ignored."""
    seeking = Seeking(seed(1))
    assert seeking.hears(2, Welcome(0, 5.0, 100)) == []
    stranger = Pong(bytes(16), "test", KEYS[2], Contact(KEYS[2], at(2)), 0, 1, 1, at(9))
    assert seeking.feed(DatagramReceived(at(2), stranger)) == []
    seeking.wait(CONFIG.ping_s)
    assert seeking.pong(1) == []


def test_without_seeds_the_known_ones_are_tried() -> None:
    """What worked before is asked when nothing is given; given seeds come instead of it. Who
    answers no ping is dialled all the same, in the end."""
    restored = Restored(known=((KEYS[2], at(2)),))
    seeking = Seeking(restored=restored)
    assert dialled(seeking.first) == []
    assert dialled(seeking.pong(2)) == [KEYS[2]]
    deaf = Seeking(restored=restored)
    assert dialled(deaf.wait(CONFIG.ping_s)) == [KEYS[2]]
    given = Seeking(seed(1), restored=restored)
    assert [each.address for each in given.first if isinstance(each, SendDatagram)] == [at(1)]
    nobody = Seeking()
    assert nobody.core.reason == "no super-peer is given or known"


def test_any_leaf_answers_pings() -> None:
    """With its parent once it has one, if the asker may use that address."""
    seeking = Seeking(seed(1))
    way_in = WayIn(ME.node, NETWORK, seeking.core, Random(1))
    way_in.handle(Bound(at(9), None), 100.0)
    ping = next(iter(seeking.pings.values()))
    (before,) = way_in.handle(DatagramReceived(at(7), ping), 105.0)
    seeking.pong(1)
    seeking.join(1)
    (after,) = way_in.handle(DatagramReceived(at(7), ping), 106.0)
    (outside,) = way_in.handle(DatagramReceived(Address.of("8.8.8.8", 1), ping), 106.0)
    pongs = [each.message for each in (before, after, outside)]  # type: ignore[attr-defined]
    contact = Contact(KEYS[1], at(1))
    assert [pong.superpeer for pong in pongs] == [None, contact, None]
    assert [pong.uptime_s for pong in pongs] == [5, 6, 6]


def test_stopping_says_goodbye() -> None:
    """The parent hears that we leave on purpose."""
    seeking = Seeking(seed(1))
    seeking.pong(1)
    seeking.join(1)
    assert seeking.feed(Stopped(5.0)) == [Send(KEYS[1], Bye("leaving"))]
    assert seeking.core.wakeup() is None


def test_full_super_peers_lead_to_others_up_to_a_limit() -> None:
    """Each names one more; so many are tried in one round, and who is full is no failure."""
    seeking = Seeking(seed(1, strict=True))
    others = [Identity(bytes([number]) * 32).node for number in range(50, 80)]
    seeking.link_up(1)
    asked, full = [], KEYS[1]
    for number, other in enumerate(others):
        busy = Busy(1.0, (Contact(other, at(50 + number)),))
        dials = dialled(seeking.feed(Received(full, busy)))
        seeking.feed(LinkDown(full, Door.CONTROL, "hung up"))
        if not dials:
            break
        (full,) = dials
        asked.append(full)
        seeking.feed(LinkUp(full, Door.CONTROL, at(50 + number), at(9), inbound=False))
    assert asked == others[:ALTERNATIVES_MAX]


def test_a_new_leaf_has_been_refused_by_nobody() -> None:
    """Nobody has answered yet."""
    assert not Seeking(seed(1)).core.refused
