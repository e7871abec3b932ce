"""The line: the ablest leaves of the network, the same everywhere, and nobody who is gone."""

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.addresses import Address
from common.config import LineConfig
from common.core import LinkUp, Send
from common.doors import Door
from common.ids import Identity, NodeId
from common.limits import LINE_AGE_MAX, LINE_MAX
from common.messages import cluster, overlay
from common.messages.fields import Contact
from superpeer.succession.line import (
    EARLY_SHARE,
    HEARD_MAX,
    PER_GROUP_MAX,
    Line,
    Measured,
    merit_of,
)

CONFIG = LineConfig()
KEYS = [Identity(bytes([number]) * 32).node for number in range(1, 101)]
ME = KEYS[0]
JOIN = cluster.Join(1, 0, 0, promotes=True)


def at(number: int) -> Address:
    """Where the node of this number is: on the internet, each in a network of its own."""
    return Address.of(f"20.{number}.0.1", 1214)


class SuperPeer:
    """A `Line` with the time; its neighbours are 1 and 2, leaves come as the test says."""

    def __init__(self) -> None:
        self.now = 100.0
        self.leaves: dict[NodeId, None] = {}
        self.seen: dict[NodeId, tuple[bool | None, float | None]] = {}
        self.links: dict[NodeId, LinkUp] = {}
        self.neighbours = dict.fromkeys(KEYS[1:3])
        self.measured: dict[NodeId, Measured] = {}
        for number in (1, 2):
            self._link(number)
        self.core = Line(
            ME,
            config=CONFIG,
            rng=Random(1),
            leaves=self.leaves,
            links=self.links,
            neighbours=self.neighbours,
            measured=lambda leaf, _now: self.measured.get(leaf, Measured()),
        )

    def _link(self, number: int, address: Address | None = None) -> None:
        where = address or at(number)
        self.links[KEYS[number]] = LinkUp(KEYS[number], Door.CONTROL, where, at(0), True)

    def joins(self, number: int, join: cluster.Join = JOIN, address: Address | None = None) -> None:
        """A leaf comes."""
        self._link(number, address)
        self.leaves[KEYS[number]] = None
        self.core.on_join(KEYS[number], join, self.now)

    def leaves_us(self, number: int) -> None:
        """A leaf goes."""
        del self.leaves[KEYS[number]], self.links[KEYS[number]]
        self.core.changed(self.now)

    def hears(self, teller: int, *ables: overlay.Able) -> None:
        """A neighbour tells of these."""
        self.core.on_ablest(KEYS[teller], overlay.Ablest(ables), self.now)

    def wait(self, seconds: float) -> list[Send]:
        """What the time causes."""
        end, sent = self.now + seconds, list[Send]()
        while (due := self.core.wakeup()) is not None and due <= end:
            self.now = max(due, self.now)
            sent += [each for each in self.core.due(self.now) if isinstance(each, Send)]
        self.now = end
        return sent

    @property
    def members(self) -> list[int]:
        """Who stands in line, the first one first."""
        return [KEYS.index(each.node) for each in self.core.members]


def able(number: int, merit: int = 5, age_s: int = 0) -> overlay.Able:
    """What somebody says of this leaf."""
    return overlay.Able(Contact(KEYS[number], at(number)), merit, age_s)


def test_who_is_here_longest_stands_first_and_everybody_is_told() -> None:
    """Leaves that would not be promoted are told too, and stand nowhere."""
    node = SuperPeer()
    node.joins(10)
    node.joins(12, cluster.Join(1, 0, 0))
    node.wait(600.0)
    node.joins(11)
    sent = node.wait(CONFIG.tell_s)
    assert node.members == [10, 11]
    told = [each.peer for each in sent if isinstance(each.message, cluster.Line)]
    assert sorted(told) == sorted([KEYS[10], KEYS[11], KEYS[12]])
    ablest = [each for each in sent if isinstance(each.message, overlay.Ablest)]
    assert {each.peer for each in ablest} == {KEYS[1], KEYS[2]}


def test_nothing_is_told_while_nothing_changes_but_that_it_stays() -> None:
    """Leaves hear it once; neighbours three times in the time for which they believe it."""
    node = SuperPeer()
    node.joins(10)
    node.wait(1000.0)
    sent = node.wait(LINE_AGE_MAX)
    assert not [each for each in sent if isinstance(each.message, cluster.Line)]
    assert 2 <= sum(each.peer == KEYS[1] for each in sent) <= 4


def test_who_joins_is_told_at_once() -> None:
    """A parent that dies a second later has told it whom to follow."""
    node = SuperPeer()
    node.joins(10)
    node.wait(10.0)
    node._link(11)
    node.leaves[KEYS[11]] = None
    (told,) = node.core.on_join(KEYS[11], JOIN, node.now)
    assert isinstance(told, Send)
    assert told.message == cluster.Line((Contact(KEYS[10], at(10)),))


def test_the_leaves_of_others_are_believed_as_long_as_somebody_says_so() -> None:
    """A word that goes round ages; what a stranger says is not heard."""
    node = SuperPeer()
    node.hears(1, able(20, merit=9), able(21, merit=7, age_s=LINE_AGE_MAX - 5))
    node.core.on_ablest(KEYS[50], overlay.Ablest((able(22),)), node.now)
    node.wait(CONFIG.tell_s)
    assert node.members == [20, 21]
    node.core.changed(node.now)
    node.wait(6.0)
    node.core.changed(node.now)
    node.wait(CONFIG.tell_s)
    assert node.members == [20]
    for _ in range(12):  # it hears only its own echo
        ages = [
            member.age_s
            for each in node.wait(10.0)
            if isinstance(each.message, overlay.Ablest)
            for member in each.message.members
        ]
        node.hears(2, *(able(20, 9, age) for age in ages[-1:]))
        node.core.changed(node.now)
    assert node.members == []


@pytest.mark.parametrize("seed", range(3))
def test_the_line_is_the_same_at_the_end_of_a_long_overlay(seed: int) -> None:
    """A leaf at one end of ten links stands in line at the other one, and stays there."""
    rng, hops = Random(seed), 10
    chain = [SuperPeer() for _ in range(hops + 1)]
    for node in chain:  # it hears 1 and tells 2
        node.core._rng = Random(rng.random())
    chain[0].joins(10)
    here: list[bool] = []
    for second in range(400):
        for node, following in pairwise(chain):
            for each in node.wait(1.0):
                if isinstance(each.message, overlay.Ablest) and each.peer == KEYS[2]:
                    following.hears(1, *each.message.members)
        chain[-1].wait(1.0)
        here += [chain[-1].members == [10]] if second >= 60 else []
    assert all(here)


def test_what_is_fresh_of_many_is_not_told_one_by_one() -> None:
    """A full line of leaves far away, each said anew at a time of its own: neighbours hear it no
    more often than a few times in the time in which they would anyway."""
    node, seconds = SuperPeer(), 400
    sent: list[Send] = []
    for second in range(seconds):
        for number in range(LINE_MAX):
            if second % 20 == number:
                node.hears(1, able(20 + number, age_s=30))
        sent += node.wait(1.0)
    told = [each for each in sent if isinstance(each.message, overlay.Ablest)]
    early = EARLY_SHARE * CONFIG.refresh_s
    assert sum(each.peer == KEYS[2] for each in told) <= seconds / early + LINE_MAX


def test_nobody_tells_us_of_our_own() -> None:
    """Neither of us, nor of our leaves, nor of itself; a super-peer stands in no line."""
    node = SuperPeer()
    node.joins(10)
    node.joins(1)  # a neighbour that hangs on us too
    node.hears(1, able(0, merit=200), able(1, merit=200), able(10, merit=200))
    node.wait(CONFIG.tell_s)
    assert node.members == [10]
    node.leaves_us(10)
    node.wait(CONFIG.tell_s)
    assert node.members == []


def test_one_neighbourhood_has_few_places() -> None:
    """One power cut, or one owner of many keys, does not take the whole line (THREATS T5)."""
    node = SuperPeer()
    for number in range(10, 20):
        node.joins(number, address=Address.of(f"30.1.0.{number}", 1214))
    node.joins(20)
    node.wait(CONFIG.tell_s)
    assert len(node.members) == PER_GROUP_MAX + 1
    assert 20 in node.members


@given(st.lists(st.tuples(st.integers(10, 99), st.integers(0, 255), st.integers(0, 60))))
def test_a_line_is_the_ablest_of_all_and_bounded(words: list[tuple[int, int, int]]) -> None:
    """Whatever is said, in whatever order: no more than may be remembered, nobody twice, the
    ablest first."""
    node = SuperPeer()
    for number, merit, age_s in words:
        node.hears(1, able(number, merit, age_s))
    assert len(node.core._heard) <= HEARD_MAX
    node.wait(CONFIG.tell_s)
    assert len(node.members) <= LINE_MAX
    assert len(set(node.members)) == len(node.members)
    merits = [node.core._heard[KEYS[number]].merit for number in node.members]
    assert merits == sorted(merits, reverse=True)


@given(st.floats(0, 1e9), st.floats(0, 1e12), st.floats(1, 1e3))
def test_merit_grows_with_what_was_measured(uptime_s: float, rate: float, times: float) -> None:
    """And nothing that nobody measured adds to it."""
    assert merit_of(uptime_s * times, rate) >= merit_of(uptime_s, rate)
    assert merit_of(uptime_s, rate * times) >= merit_of(uptime_s, rate)
    assert merit_of(uptime_s, None) == merit_of(uptime_s, 0.0)


def test_a_leaf_that_moves_here_keeps_the_merit_that_it_came_with() -> None:
    """All other lines name it; it stands before one that was here as long."""
    node = SuperPeer()
    node.joins(10)
    node.hears(1, able(11, merit=9))
    node.joins(11)
    node.wait(600.0)
    assert node.members == [11, 10]


def test_who_cannot_be_dialled_stands_in_no_line_and_the_fast_stand_before() -> None:
    """What others measured of them decides."""
    node = SuperPeer()
    for number in (10, 11, 12):
        node.joins(number)
    node.measured[KEYS[10]] = Measured(None, reachable=False)
    node.measured[KEYS[12]] = Measured(1e7, reachable=True)
    node.wait(60.0)
    assert node.members == [12, 11]
