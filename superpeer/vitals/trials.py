"""Transfer tests of leaves that would do as super-peers and of whose uplink nothing is known.

Witnesses are leaves of the neighbours, as many of each as it takes; which ones the name of the test
decides (`draw`), so neither the tester nor the neighbour chooses. Where there are fewer than three
super-peers our own leaves are witnesses too. All take at once. What they say comes back by their
parents and is entered together (`superpeer.vitals.estimates`). One test at a time, and rarely: each
costs its witnesses megabytes.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from hashlib import sha256
from random import Random
from typing import Final

from common.addresses import may_tell
from common.config import VitalsConfig
from common.core import Effect, Send
from common.deadlines import Deadlines
from common.hostcache import group_of
from common.ids import Guid, NodeId, new_guid
from common.limits import TEST_S_MAX, WITNESSES_MAX
from common.messages.fields import Contact
from common.messages.hierarchy import Errand, ErrandDone, Examine, Examined
from common.rates import Bucket
from superpeer.vitals.examiner import Examiner

SUPER_PEERS_ENOUGH: Final = 3  # so many bring the witnesses among them
FOR_OTHERS_PER_S: Final = 0.2  # tests of neighbours that our leaves are witnesses of
FOR_OTHERS_BURST: Final = 4
SLACK_S: Final = 15.0  # beyond the test itself, for dials and words; wild guess


class _Test:
    """One test of a leaf of ours."""

    __slots__ = ("asked", "groups", "leaf", "reports", "saturated")

    def __init__(self, leaf: NodeId) -> None:
        self.leaf = leaf
        self.asked: Counter[NodeId] = Counter()  # answers that each still owes
        self.reports: dict[NodeId, tuple[int, ...]] = {}  # by witness
        self.groups: dict[bytes, None] = {}
        self.saturated = False


class Trials:
    """The test under way, and witnesses that we sent for others. `known` is the share of leaves
    that were measured."""

    def __init__(
        self,
        examiner: Examiner,
        config: VitalsConfig,
        rng: Random,
        *,
        known: Callable[[], float] = lambda: 1.0,
    ) -> None:
        self._me, self._links, self._leaves = examiner.me, examiner.links, examiner.leaves
        self._askable, self._book = examiner.askable, examiner.book
        self._changed = examiner.changed
        self._config, self._rng, self._known = config, rng, known
        self._test: tuple[Guid, _Test] | None = None
        self._rests_until = 0.0
        self._tested: dict[NodeId, float] = {}  # our leaves, and when
        self._errands: dict[tuple[Guid, NodeId], NodeId] = {}  # our leaf -> the neighbour that asks
        self._pace: dict[NodeId, Bucket] = {}  # of neighbours
        self._deadlines = Deadlines()
        self.dropped: Counter[str] = Counter()

    # --- tests of ours ----------------------------------------------------------------------

    def may_begin(self, leaf: NodeId, now: float) -> bool:
        """Whether this leaf may be tested now."""
        config = self._config
        lately = now < self._tested.get(leaf, float("-inf")) + config.kept_s / 2
        return self.rested(now) and not lately

    def rested(self, now: float) -> bool:
        """Whether any may be."""
        return now >= self._rests_until and self._test is None and self._config.test_s > 0

    def begin(self, leaf: NodeId, now: float) -> list[Effect]:
        """Test a leaf of ours, or a neighbour, which tells its own leaf, if anybody can see it."""
        contact = self._leaves.get(leaf) or Contact(leaf, self._links[leaf].address)
        guid, test = new_guid(self._rng), _Test(leaf)
        seconds = max(1, min(round(self._config.test_s), TEST_S_MAX))
        witnesses = self._config.test_witnesses
        neighbours = [peer for peer in self._askable() if peer != leaf]
        self._rng.shuffle(neighbours)
        asks: list[Effect] = []
        if neighbours:
            each = min(-(-witnesses // len(neighbours)), WITNESSES_MAX)
            for peer in neighbours[:witnesses]:
                test.asked[peer] = each
                asks.append(Send(peer, Examine(guid, contact, seconds, each)))
        if len(neighbours) + 1 < SUPER_PEERS_ENOUGH:
            own = draw(guid, (one for one in self._leaves if one != leaf), witnesses)
            for one in own:
                test.asked[one] += 1
                asks.append(Send(one, Errand(guid, contact, seconds)))
        few = self._known() < self._config.known_share
        soon_s = min(self._config.test_soon_s, self._config.test_pause_s)
        self._rests_until = now + (soon_s if few else self._config.test_pause_s)
        if not asks:
            return []
        self._tested.pop(leaf, None)
        self._tested[leaf] = now
        while len(self._tested) > len(self._leaves) + 64:
            del self._tested[next(iter(self._tested))]
        self._test = guid, test
        self._deadlines.set("test", now + seconds + SLACK_S)
        is_ours = leaf in self._leaves
        told = Errand(guid, contact, seconds) if is_ours else Examine(guid, contact, seconds, 0)
        return [Send(leaf, told), *asks]

    def on_report(self, peer: NodeId, message: Examined | ErrandDone, now: float) -> list[Effect]:
        """A witness of a test of ours, or one that we sent for a neighbour, tells."""
        asker = self._errands.pop((message.guid, peer), None)
        if asker is not None and isinstance(message, ErrandDone):
            self._deadlines.cancel(("errand", message.guid, peer))
            said = Examined(message.guid, peer, message.reached, message.rates, message.saturated)
            return [Send(asker, said)]
        if self._test is None or self._test[0] != message.guid:
            return []
        test = self._test[1]
        if test.asked[peer] <= 0:
            return []
        test.asked[peer] -= 1
        witness = message.witness if isinstance(message, Examined) else peer
        is_new = witness not in test.reports and witness != test.leaf
        if is_new and any(message.rates):
            test.reports[witness] = message.rates
            test.groups[self._group(peer, witness)] = None
            test.saturated = test.saturated or message.saturated
        if not any(test.asked.values()):
            self._finish(now)
        return []

    def _group(self, peer: NodeId, witness: NodeId) -> bytes:
        """Of a witness of ours its own; of a neighbour's that of the neighbour and its key, as
        that of a neighbour that lies is made up anyway."""
        link = self._links.get(peer)
        if peer == witness or link is None:
            return witness if link is None else group_of(Contact(peer, link.address))
        return group_of(Contact(witness, link.address))

    def _finish(self, now: float) -> None:
        if self._test is None:
            return
        _, test = self._test
        self._test = None
        self._deadlines.cancel("test")
        if len(test.groups) < self._config.groups_min:  # witnesses were busy: again, before long
            self._tested[test.leaf] = now + self._config.test_pause_s - self._config.kept_s / 2
        if test.reports:
            self._book(test.leaf).enter_test(
                test.reports,
                self._config,
                groups=len(test.groups),
                is_lower_bound=test.saturated,
                now=now,
            )
            self._changed(test.leaf, now)

    # --- witnesses for others ---------------------------------------------------------------

    def on_examine(self, peer: NodeId, message: Examine, now: float) -> list[Effect]:
        """A neighbour wants leaves of ours as witnesses."""
        pace = self._pace.pop(peer, None) or Bucket(FOR_OTHERS_PER_S, FOR_OTHERS_BURST, now)
        self._pace[peer] = pace
        if len(self._pace) > 64:
            del self._pace[next(iter(self._pace))]
        contact = message.contact
        if not pace.take(now) or not may_tell(contact.address, self._links[peer].address):
            self.dropped["test_refused"] += 1
            return [Send(peer, Examined(message.guid, self._me, None))] * message.witnesses
        seconds = message.seconds
        if contact.node == self._me:  # we are tested ourselves: our own leaf gives
            ours = self._me in self._leaves and not message.witnesses
            return [Send(self._me, Errand(message.guid, contact, seconds))] if ours else []
        able = (one for one in self._leaves if one != contact.node)
        drawn = draw(message.guid, able, message.witnesses)
        effects: list[Effect] = []
        for one in drawn:
            self._errands[message.guid, one] = peer
            self._deadlines.set(("errand", message.guid, one), now + seconds + SLACK_S)
            effects.append(Send(one, Errand(message.guid, contact, seconds)))
        missing = message.witnesses - len(drawn)
        return [*effects, *[Send(peer, Examined(message.guid, self._me, None))] * missing]

    # --- time -------------------------------------------------------------------------------

    def due(self, now: float) -> list[Effect]:
        """Count what came, when no more is waited for."""
        for key in self._deadlines.pop_due(now):
            if key == "test":
                self._finish(now)
            elif isinstance(key, tuple):
                self._errands.pop((key[1], key[2]), None)
        return []

    def wakeup(self) -> float | None:
        """The earliest deadline."""
        return self._deadlines.earliest()


def draw(guid: Guid, leaves: Iterable[NodeId], count: int) -> list[NodeId]:
    """The witnesses among `leaves`: the name of the test decides, and whoever knows it can tell."""
    return sorted(leaves, key=lambda leaf: sha256(guid + leaf).digest())[:count]
