"""Publishing: the parent holds what we offer, and only differences travel."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from common.addresses import Address
from common.config import ParentConfig
from common.content.catalogue import Entry
from common.core import Effect, Event, Notify, Received, Send, Woke
from common.ids import Identity
from common.messages.cluster import Publish, Published
from leaf.library.publish import UPLOADS_BURST, UPLOADS_PER_S, Publisher
from leaf.signals import Acknowledged, Joined, Offered, Orphaned
from superpeer.index.holding import Holding, PublishError

ME = Identity(bytes(32))
PARENT = Identity(b"p" * 32).node
WHERE = Address.of("10.0.0.1", 1214)


def entry(number: int, name: str = "") -> Entry:
    """One of many entries."""
    return Entry(number.to_bytes(32, "big"), number, name or f"file {number}.bin", "some folder")


class Pair:
    """A publisher and what a super-peer holds of it."""

    def __init__(self, entries_max: int = 1000, epoch: int = 1) -> None:
        self.now = 0.0
        self.publisher = Publisher(ME, "test", ParentConfig(), epoch)
        self.entries_max = entries_max
        self.holding = Holding("test", ME.node, entries_max)
        self.sent: list[Publish] = []
        self.signals: list[Effect] = []

    def feed(self, event: Event) -> None:
        """Give it an event, and the parent what it sends."""
        for effect in self.publisher.handle(event, self.now):
            if not isinstance(effect, Send):
                self.signals.append(effect)
                continue
            assert isinstance(effect.message, Publish)
            self.sent.append(effect.message)
            try:
                if self.holding.publish(effect.message) is not None:
                    self.answer(Published(self.holding.generation))
            except PublishError as error:
                self.answer(Published(0, str(error)))

    def answer(self, message: Published) -> None:
        """The parent's word."""
        self.feed(Received(PARENT, message))

    def wait(self, seconds: float = 1.0) -> None:
        """Let time pass."""
        end = self.now + seconds
        while (due := self.publisher.wakeup()) is not None and due <= end:
            self.now = max(due, self.now)
            self.feed(Woke())
        self.now = end

    def join(self) -> None:
        """The parent takes us in."""
        self.feed(Joined(PARENT, WHERE, self.holding.generation, self.entries_max))
        self.wait()

    def held(self) -> list[str]:
        """The names that the parent could tell others."""
        found = [self.holding._catalogue.get(slot) for slot in range(self.entries_max)]
        return sorted(each.name for each in found if each is not None)


def offer(*numbers: int, drops: tuple[int, ...] = (), revision: int = 0) -> Offered:
    """What the library says."""
    puts = tuple((f"k{number}", entry(number)) for number in numbers)
    return Offered(puts, tuple(f"k{number}" for number in drops), revision)


def names(*numbers: int) -> list[str]:
    """The names of these entries."""
    return sorted(entry(number).name for number in numbers)


def test_everything_then_only_what_changed() -> None:
    """A new parent gets all afresh; later changes travel alone."""
    pair = Pair()
    pair.feed(offer(1, 2, 3, revision=1))
    pair.join()
    assert pair.held() == names(1, 2, 3)
    assert [message.afresh for message in pair.sent] == [True]
    assert Acknowledged(1) in pair.signals
    pair.feed(offer(4, drops=(2,), revision=2))
    pair.wait()
    assert pair.held() == names(1, 3, 4)
    assert len(pair.sent[-1].puts) + len(pair.sent[-1].drops) <= 2
    assert not pair.sent[-1].afresh
    assert Acknowledged(2) in pair.signals


def test_nothing_travels_to_who_holds_it() -> None:
    """A parent that still holds our generation is sent nothing, and a lost one only the delta."""
    pair = Pair()
    pair.feed(offer(1, 2))
    pair.join()
    before = len(pair.sent)
    pair.feed(Orphaned())
    pair.join()
    assert len(pair.sent) == before
    pair.feed(Orphaned())
    pair.feed(offer(3, drops=(1,)))
    pair.wait()
    pair.join()
    assert not pair.sent[-1].afresh
    assert pair.held() == names(2, 3)


def test_a_generation_of_another_life_is_worth_nothing() -> None:
    """After a restart everything is sent afresh, under a higher generation."""
    old = Pair(epoch=1)
    old.feed(offer(1))
    old.join()
    new = Pair(epoch=2)
    new.holding = old.holding
    new.feed(offer(2))
    new.join()
    assert new.sent[0].afresh
    assert new.held() == names(2)
    assert new.publisher.generation > old.publisher.generation


def test_changes_gather_for_a_moment() -> None:
    """A hundred changes within the moment are one generation."""
    pair = Pair()
    pair.join()
    first = pair.publisher.generation
    for number in range(100):
        pair.feed(offer(number))
    pair.wait()
    assert pair.publisher.generation == first + 1
    assert pair.held() == names(*range(100))


def test_changes_under_way_wait_for_the_next_generation() -> None:
    """What changes while a generation is being sent does not spoil its signature."""
    pair = Pair(entries_max=20_000)
    pair.feed(offer(*range(5_000)))
    pair.feed(Joined(PARENT, WHERE, 0, 20_000))
    assert pair.sent[-1].signature is None  # not all of it is sent yet
    pair.feed(offer(7_000, drops=(1, 4_999)))
    pair.wait(5.0)
    assert pair.held() == names(0, *range(2, 4_999), 7_000)
    assert not [each for each in pair.signals if isinstance(each, Notify)]


def test_messages_are_small_and_paced() -> None:
    """No message is above its bytes, and no turn sends more than the window."""
    pair = Pair(entries_max=20_000)
    pair.feed(offer(*range(3_000)))
    pair.feed(Joined(PARENT, WHERE, 0, 20_000))
    config = ParentConfig()
    assert len(pair.sent) == config.publish_window
    pair.wait()
    assert len(pair.held()) == 3_000
    for message in pair.sent:
        size = sum(64 + len(put.entry.name) + len(put.entry.folder) for put in message.puts)
        assert size <= config.publish_bytes + 400


def test_above_the_limit_the_first_are_published() -> None:
    """The parent's limit holds; what is above waits for a place and is told once."""
    pair = Pair(entries_max=3)
    pair.feed(offer(1, 2, 3, 4, 5))
    pair.join()
    assert pair.held() == names(1, 2, 3)
    assert pair.publisher.left_out == 2
    pair.feed(offer(drops=(2,)))
    pair.wait()
    assert pair.held() == names(1, 3, 4)
    assert pair.publisher.left_out == 1


def test_a_refusal_is_told_and_everything_sent_again() -> None:
    """When the parent refuses, it gets all afresh after a while."""
    pair = Pair()
    pair.join()
    pair.holding = Holding("test", ME.node, 1000)  # it lost what it held
    pair.feed(offer(1))
    pair.wait(0.3)
    pair.holding.generation = 0
    pair.answer(Published(0, "no"))
    pair.wait(10.0)
    assert pair.held() == names(1)


def test_a_deaf_parent_gets_nothing_more() -> None:
    """Until it has acknowledged a generation no other is begun."""
    publisher = Publisher(ME, "test", ParentConfig(), 1)
    sent = publisher.handle(Joined(PARENT, WHERE, 0, 10), 0.0)
    assert len(sent) == 1
    publisher.handle(offer(1), 0.0)
    assert publisher.handle(Woke(), 10.0) == []
    stranger = Received(ME.node, Published(publisher.generation))
    assert publisher.handle(stranger, 10.0) == []


@given(st.lists(st.tuples(st.integers(0, 30), st.booleans(), st.integers(0, 4)), max_size=60))
def test_the_parent_always_ends_with_what_is_offered(steps: list[tuple[int, bool, int]]) -> None:
    """Any mix of offers, drops, losses and new parents converges to the same names."""
    pair, offered = Pair(), dict[int, None]()
    rng = Random(1)
    pair.join()
    for number, keep, what in steps:
        if what == 0:
            pair.feed(Orphaned())
            if rng.random() < 0.5:
                pair.holding = Holding("test", ME.node, pair.entries_max)
            pair.feed(Joined(PARENT, WHERE, pair.holding.generation, pair.entries_max))
        elif keep:
            offered[number] = None
            pair.feed(offer(number))
        else:
            offered.pop(number, None)
            pair.feed(offer(drops=(number,)))
        pair.wait(what * 0.1)
    pair.wait(10.0)
    assert pair.held() == names(*offered)
    assert pair.holding.generation == pair.publisher.generation


def test_a_lower_limit_takes_back_what_is_above_it() -> None:
    """A parent that takes less than before is told what it shall hold no more."""
    pair = Pair(entries_max=5)
    pair.feed(offer(1, 2, 3, 4, 5))
    pair.join()
    pair.feed(Joined(PARENT, WHERE, pair.holding.generation, 3))
    pair.wait()
    assert pair.held() == names(1, 2, 3)
    assert pair.publisher.left_out == 2


def test_a_folder_that_is_more_than_the_parent_takes_is_found_all_the_same() -> None:
    """Its manifest takes the place of the last file, whenever it comes and whatever the limit."""
    manifest = Offered((("m", entry(9, "music.folder")),))
    pair = Pair(entries_max=3)
    pair.feed(offer(1, 2, 3, 4, 5))
    pair.feed(manifest)
    pair.join()
    assert pair.held() == [*names(1, 2), "music.folder"]
    assert pair.publisher.left_out == 3
    pair.feed(Offered(drops=("m",)))
    pair.wait()
    assert pair.held() == names(1, 2, 4)
    pair.feed(manifest)
    pair.wait()
    pair.feed(Joined(PARENT, WHERE, pair.holding.generation, 2))
    pair.wait()
    assert pair.held() == [*names(1), "music.folder"]
    assert pair.publisher.left_out == 4


def test_manifests_do_not_push_each_other_out() -> None:
    """Where there are more folders than places, the first are published."""
    pair = Pair(entries_max=2)
    pair.feed(Offered(tuple((f"m{n}", entry(n, f"{n}.folder")) for n in range(1, 4))))
    pair.join()
    assert pair.held() == ["1.folder", "2.folder"]
    assert pair.publisher.left_out == 1


def test_parents_that_send_us_round_get_few_catalogues() -> None:
    """Two that always hold nothing and send us to one another: a bounded number a minute."""
    pair = Pair()
    pair.feed(offer(*range(20)))
    for _ in range(600):
        pair.holding = Holding("test", ME.node, pair.entries_max)
        pair.feed(Joined(PARENT, WHERE, 0, pair.entries_max))
        pair.wait(0.1)
    whole = sum(each.signature is not None for each in pair.sent)
    assert UPLOADS_BURST <= whole <= UPLOADS_BURST + 60 * UPLOADS_PER_S + 1
    pair.wait(1 / UPLOADS_PER_S)
    assert pair.held() == names(*range(20))  # the last one has it all the same
