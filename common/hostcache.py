"""The super-peers that we know of: bounded, from many places, and hard to crowd out.

`worked` are those that we reached ourselves, `heard` those that others named, or that came to us.
Both are bounded, in all and by group: the network of an address in public scope, the key elsewhere,
where addresses are free. What one group of tellers has in the cache is a small sample of all that
it ever named, drawn by a secret of ours: to name more, again, or cleverly chosen ones changes
nothing. Whoever has the most gives way first, and what worked gives way to a newcomer only if it
fails a test, or if its group is the more crowded one (THREATS T6, T7; addrman of Bitcoin, Heilman
et al. 2015; sampling as in Brahms, Bortnikov et al. 2009). The invariant: a node stands in one of
the two at most.

A failure counts only once something else has worked: a laptop without a network forgets nobody.
Nothing is sent from here, and what survives a restart is `common.shell.disk.store`.
"""

from collections import Counter
from collections.abc import Container, Iterable, Sequence
from hashlib import blake2b
from itertools import islice
from random import Random
from typing import Final

from common.addresses import Address, Scope, may_tell
from common.ids import NodeId
from common.limits import HOSTS_PER_LIST_MAX
from common.messages.fields import Contact
from common.rates import Bucket

WORKED_MAX: Final = 1000  # half of a network of super-peers comes and goes: measured, see T6
HEARD_MAX: Final = 400  # twice a list of KaZaA
GROUP_MAX: Final = 2  # of either kind; with 4 a few networks were half of it: see T6
TOLD_MAX: Final = 24  # that one group of tellers has in the cache at a time; wild guess
ANCHORS: Final = 2  # of the last run, tried first: THREATS T6
FAILURES_MAX: Final = 3  # dials of one that worked: THREATS T3
NEWS_PER_S: Final = 0.1  # of one group of tellers: THREATS T7
NEWS_BURST: Final = HOSTS_PER_LIST_MAX
TELLERS_MAX: Final = 256  # whose news are counted; wild guess

_GROUP_BYTES: Final = {4: 2, 16: 4}  # /16 and /32
_SECRET_BYTES: Final = 16


class _Host:
    """One super-peer; `teller` is the group of who named it, `rank` its place by our secret."""

    __slots__ = ("contact", "failures", "group", "rank", "teller")

    def __init__(self, contact: Contact, teller: bytes = b"", rank: bytes = b"") -> None:
        self.contact = contact
        self.group = group_of(contact)
        self.teller = teller
        self.rank = rank
        self.failures = 0


class HostCache:
    """Known super-peers by key, those seen last at the end."""

    __slots__ = (
        *("_anchors", "_contest", "_failing", "_heard", "_me", "_news", "_rng", "_secret"),
        "_worked",
    )

    def __init__(self, me: NodeId, rng: Random) -> None:
        self._me = me
        self._rng = rng
        self._secret = rng.randbytes(_SECRET_BYTES)
        self._worked: dict[NodeId, _Host] = {}
        self._heard: dict[NodeId, _Host] = {}
        self._anchors: list[NodeId] = []
        self._failing: dict[NodeId, None] = {}  # since anything worked
        self._contest: tuple[NodeId, Contact] | None = None  # who may have to give way to whom
        self._news: dict[bytes, Bucket] = {}  # by group of tellers, those heard last at the end

    def __len__(self) -> int:
        return len(self._worked) + len(self._heard)

    def restore(self, best_first: Sequence[tuple[NodeId, Address]]) -> None:
        """What worked in earlier runs; the first of them are our anchors."""
        for node, address in best_first:
            self._add_worked(Contact(node, address))
        self._contest = None  # the best have their places
        self._worked = dict(reversed(self._worked.items()))
        self._anchors = [node for node, _ in best_first if node in self._worked][:ANCHORS]

    def hear(self, contacts: Iterable[Contact], teller: Contact, now: float = 0.0) -> None:
        """`teller`, where we saw it, names these: of a longer list than there may be only so many
        are looked at; within its scope we believe it, as much as its credit goes."""
        told_by = group_of(teller)
        for contact in islice(contacts, HOSTS_PER_LIST_MAX):
            known = contact.node in self._worked or contact.node in self._heard
            if known or contact.node == self._me or not may_tell(contact.address, teller.address):
                continue
            if not self._credit(told_by, now).take(now):
                return
            self._add_heard(_Host(contact, told_by, self._rank(told_by + contact.node)))

    def worked(self, contact: Contact) -> None:
        """We reached it there."""
        self._heard.pop(contact.node, None)
        self._failing.pop(contact.node, None)
        if self._contest is not None and self._contest[0] == contact.node:
            self._contest = None  # it passed the test
        self._settle_failures()
        host = self._worked.pop(contact.node, None)
        if host is None or host.group != group_of(contact):
            self._add_worked(contact)
        else:
            host.contact, host.failures = contact, 0
            self._worked[contact.node] = host

    def failed(self, node: NodeId) -> None:
        """It could not be linked with; it comes last until something works."""
        if self._contest is not None and self._contest[0] == node:
            _, newcomer = self._contest
            self._contest = None
            self._worked.pop(node, None)
            self._add_worked(newcomer)
        elif node in self._worked or node in self._heard:
            self._failing[node] = None

    # --- questions --------------------------------------------------------------------------

    @property
    def doubtful(self) -> Contact | None:
        """One that has to give way to a newcomer unless it still works: somebody should try it."""
        return self._worked[self._contest[0]].contact if self._contest is not None else None

    def has_worked(self, contact: Contact) -> bool:
        """Whether we reached this very node at this very address."""
        host = self._worked.get(contact.node)
        return host is not None and host.contact.address == contact.address

    def untried(self, without: Container[NodeId] = ()) -> Contact | None:
        """One that was named to us and never tried: of a random group, one at random."""
        groups: dict[bytes, list[Contact]] = {}
        for node, host in self._heard.items():
            if node not in self._failing and node not in without:
                groups.setdefault(host.group, []).append(host.contact)
        return self._rng.choice(self._rng.choice(list(groups.values()))) if groups else None

    def pick(
        self, count: int, without: Container[NodeId] = (), beside: Iterable[Contact] = ()
    ) -> list[Contact]:
        """Whom to try, in order: our anchors, then as many groups as there are, in random order;
        the groups of those `beside` come later. The lot falls on groups and not on hosts, or who
        has more hosts in a group would be drawn earlier."""
        known = [*self._worked.values(), *self._heard.values()]
        groups = list(dict.fromkeys(host.group for host in known))
        places = {group: place for place, group in enumerate(self._rng.sample(groups, len(groups)))}
        ranks = Counter(group_of(contact) for contact in beside)
        ranked: list[tuple[bool, int, int, _Host]] = []
        for host in self._rng.sample(known, len(known)):
            node = host.contact.node
            fails = host.failures > 0 or node in self._failing
            if node in self._anchors and node in self._worked:
                ranked.append((fails, -1, self._anchors.index(node), host))
            else:
                ranked.append((fails, ranks[host.group], places[host.group], host))
                ranks[host.group] += 1
        ranked.sort(key=lambda one: one[:3])
        contacts = [host.contact for *_, host in ranked]
        return [each for each in contacts if each.node not in without][:count]

    # --- the two kinds ----------------------------------------------------------------------

    def _add_worked(self, contact: Contact) -> None:
        """Take it in, or let it wait until who would give way is tested; who stands in a crowd
        gives way at once to who does not."""
        host = _Host(contact)
        rivals = [each for each in self._worked.values() if each.group == host.group]
        crowd = len(rivals)
        if crowd < GROUP_MAX:
            rivals = list(self._worked.values()) if len(self._worked) >= WORKED_MAX else []
        if not rivals:
            self._worked[contact.node] = host
            return
        weakest, size = _most_crowded(rivals)
        if size > crowd + 1:
            self._forget(weakest)
            self._worked[contact.node] = host
        elif self._contest is None:
            self._contest = (weakest.contact.node, contact)

    def _add_heard(self, host: _Host) -> None:
        """Take it in; who has named the most gives way, of equals the newest, and of what it named
        whatever comes last in an order that only we know."""
        if sum(each.group == host.group for each in self._heard.values()) >= GROUP_MAX:
            return
        self._heard[host.contact.node] = host
        told = [each for each in self._heard.values() if each.teller == host.teller]
        if len(told) > TOLD_MAX:
            self._forget(max(told, key=_by_rank))
        elif len(self._heard) > HEARD_MAX:
            by_teller = Counter(each.teller for each in self._heard.values())
            loser = max(reversed(by_teller), key=lambda each: by_teller[each])
            told = [each for each in self._heard.values() if each.teller == loser]
            self._forget(max(told, key=_by_rank))

    def _settle_failures(self) -> None:
        """Something works, so those that did not are to blame themselves."""
        failing, self._failing = self._failing, {}
        for node in failing:
            host = self._worked.get(node) or self._heard[node]
            host.failures += 1
            if node in self._heard or host.failures >= FAILURES_MAX:
                self._forget(host)

    def _forget(self, host: _Host) -> None:
        node = host.contact.node
        self._worked.pop(node, None)
        self._heard.pop(node, None)
        self._failing.pop(node, None)
        if self._contest is not None and self._contest[0] == node:
            self._contest = None

    def _credit(self, teller: bytes, now: float) -> Bucket:
        """What a group of tellers may still tell of that is new."""
        credit = self._news.pop(teller, None) or Bucket(NEWS_PER_S, NEWS_BURST, now)
        self._news[teller] = credit
        if len(self._news) > TELLERS_MAX:
            del self._news[next(iter(self._news))]
        return credit

    def _rank(self, what: bytes) -> bytes:
        """A place in an order that only we know."""
        return blake2b(what, key=self._secret, digest_size=8).digest()


def group_of(contact: Contact) -> bytes:
    """Whose neighbourhood it is: /16 (IPv6: /32) in public scope, the key itself elsewhere."""
    address = contact.address
    if address.scope is not Scope.PUBLIC:
        return contact.node
    return address.ip[: _GROUP_BYTES[len(address.ip)]]


def _by_rank(host: _Host) -> bytes:
    return host.rank


def _most_crowded(hosts: Sequence[_Host]) -> tuple[_Host, int]:
    """The one unseen for longest in the group that has most of these, and how many that is."""
    sizes = Counter(host.group for host in hosts)
    weakest = max(hosts, key=lambda host: sizes[host.group])  # the first of equals
    return weakest, sizes[weakest.group]
