"""The host cache stays small, keeps what works, and lets nobody crowd the others out."""

from collections.abc import Iterator
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from common.addresses import Address
from common.hostcache import (
    FAILURES_MAX,
    GROUP_MAX,
    HEARD_MAX,
    NEWS_BURST,
    NEWS_PER_S,
    TELLERS_MAX,
    TOLD_MAX,
    WORKED_MAX,
    HostCache,
    group_of,
)
from common.messages.fields import Contact

ME = b"\xff" * 32


def at(host: str, number: int = 0, port: int = 1214) -> Contact:
    """A super-peer there; its key is told by number and host."""
    address = Address.of(host, port)
    return Contact(address.ip.rjust(16, b"\0") + number.to_bytes(16, "big"), address)


def public(number: int) -> Contact:
    """One in a public network of its own."""
    return at(f"{20 + number // 250}.{number % 250}.0.1")


def cache() -> HostCache:
    """An empty one."""
    return HostCache(ME, Random(1))


def full() -> HostCache:
    """One with as many that worked as there is room for."""
    known = cache()
    for number in range(WORKED_MAX):
        known.worked(public(number))
    return known


def everybody(known: HostCache) -> list[Contact]:
    """All that it knows."""
    return known.pick(10_000)


def test_who_worked_and_who_was_named_are_both_tried() -> None:
    """Every one once, and never those that we have already."""
    known = cache()
    known.worked(public(1))
    known.hear([public(2), public(3)], public(1))
    assert set(everybody(known)) == {public(1), public(2), public(3)}
    assert set(known.pick(9, without=[public(2).node])) == {public(1), public(3)}
    assert len(known.pick(2)) == 2


def test_anchors_of_the_last_run_come_first() -> None:
    """The best two of the last run are tried before anybody else."""
    known = cache()
    known.restore([(each.node, each.address) for each in map(public, range(20))])
    assert known.pick(2) == [public(0), public(1)]


def test_we_are_not_among_them() -> None:
    """Others name us as well."""
    known = cache()
    known.hear([Contact(ME, public(1).address)], public(2))
    assert everybody(known) == []


def test_the_scope_rule_holds() -> None:
    """What a public peer says about private addresses is dropped, and nobody is at port 0."""
    known = cache()
    private, nowhere = at("192.168.0.1"), at("30.0.0.1", port=0)
    known.hear([private, nowhere], public(1))
    assert everybody(known) == []
    known.hear([private], at("10.0.0.1"))
    assert everybody(known) == [private]


def test_groups_come_in_turn() -> None:
    """One of each network first, so that a crowd in one network is not the whole choice."""
    known = cache()
    crowd = [at("40.0.0.1", number) for number in range(GROUP_MAX)]
    for contact in [*crowd, public(1), public(2)]:
        known.worked(contact)
    assert len({group_of(each) for each in known.pick(3)}) == 3


def test_one_network_has_few_places() -> None:
    """1,000 in one /16 (IPv6: one /32) are as many as four; keys count where addresses are free."""
    for network in ("50.1.{}.{}", "2a01:100:{}::{}"):
        known = cache()
        for number in range(1_000):
            known.hear([at(network.format(number // 250, number % 250))], public(number))
        assert len(known) == GROUP_MAX
    known = cache()
    for number in range(40):
        known.worked(at("127.0.0.1", number))
    assert len(known) == 40


def test_a_teller_has_few_places() -> None:
    """10,000 named by one leave the others nearly all their places."""
    known = full()
    for number in range(200, 200 + HEARD_MAX // TOLD_MAX - 1):
        told = [public(number * 20 + one) for one in range(TOLD_MAX)]
        known.hear(told, public(number))
    honest = set(everybody(known))
    known.hear(map(public, range(20_000, 30_000)), public(9_999))
    kept = set(everybody(known))
    assert honest <= kept
    assert len(kept) == len(honest) + TOLD_MAX


def test_many_tellers_crowd_out_one_another() -> None:
    """Whoever has named the most gives way first: one address of an honest one stays."""
    known = cache()
    known.hear([public(1)], public(2))
    for number in range(1_000):
        told = [public(1_000 + number * TOLD_MAX + one) for one in range(TOLD_MAX)]
        known.hear(told, public(300 + number))
    assert public(1) in everybody(known)
    assert len(known) == HEARD_MAX


def test_what_works_gives_way_only_to_a_newcomer_that_outlives_it() -> None:
    """The one in doubt is to be tested: if it works the newcomer goes, else it goes itself."""
    known, newcomer = full(), public(9_999)
    known.worked(newcomer)
    doubtful = known.doubtful
    assert doubtful == public(0)
    assert newcomer not in everybody(known)
    known.worked(public(0))
    assert known.doubtful is None
    known.worked(newcomer)
    doubtful = known.doubtful
    assert doubtful == public(1)
    known.failed(public(1).node)
    assert public(1) not in everybody(known)
    assert newcomer in everybody(known)
    assert len(known) == WORKED_MAX


def test_a_crowded_network_gives_way_within_itself() -> None:
    """A fifth of one /16 contests the place of one of them, whatever room there is."""
    known = cache()
    crowd = [at("40.0.0.1", number) for number in range(GROUP_MAX + 1)]
    for contact in [public(1), *crowd]:
        known.worked(contact)
    assert known.doubtful == crowd[0]


def test_failures_count_once_something_works() -> None:
    """Offline, nobody is forgotten; online, hearsay goes at once and an old friend at the third."""
    known = cache()
    known.worked(public(1))
    known.hear([public(2)], public(1))
    for _ in range(10):
        known.failed(public(1).node)
        known.failed(public(2).node)
    assert len(known) == 2
    known.worked(public(3))
    assert set(everybody(known)) == {public(1), public(3)}
    for _ in range(FAILURES_MAX - 1):
        known.failed(public(1).node)
        assert known.pick(1) == [public(3)]
        known.worked(public(3))
    assert everybody(known) == [public(3)]


def test_a_success_clears_what_failed_before() -> None:
    """Only failures in a row count."""
    known = cache()
    known.worked(public(3))
    known.worked(public(1))
    for _ in range(2 * FAILURES_MAX):
        known.failed(public(1).node)
        known.worked(public(3))
        known.worked(public(1))
    assert len(known) == 2


def test_who_moved_is_known_where_it_is_now() -> None:
    """A new address of the same key takes the place of the old one."""
    known = cache()
    old, new = at("40.0.0.1"), at("60.0.0.1")
    known.worked(old)
    known.worked(Contact(old.node, new.address))
    assert everybody(known) == [Contact(old.node, new.address)]


def test_a_million_pushed_addresses_leave_nine_tenths_honest() -> None:
    """A day long one peer pushes lists of 200, each with new addresses: the cache stays as large as
    it was, and what is honest stays in it (THREATS T7)."""
    known = full()
    for number in range(2_000, 2_000 + HEARD_MAX // TOLD_MAX):
        known.hear((public(number * 3 + one) for one in range(TOLD_MAX)), public(number))
    honest, size = set(everybody(known)), len(known)
    teller, pushed = public(1_999), 0
    for step in range(5_000):
        listed = [at(f"{90 + step % 100}.{one}.{step // 100}.9") for one in range(200)]
        known.hear(listed, teller, now=step * 17.28)
        pushed += len(listed)
    assert pushed == 1_000_000
    kept = everybody(known)
    assert size <= len(kept) <= size + TOLD_MAX
    assert len(honest.intersection(kept)) / len(kept) >= 0.9


def test_a_teller_has_credit_for_news() -> None:
    """Two hundred at once, then one in ten seconds; what is known costs nothing."""
    known = cache()
    assert NEWS_BURST == 200
    for number in range(0, 300, 10):
        known.hear(map(public, range(number, number + 10)), public(9_999), now=0.0)
    known.hear([public(500)], public(9_999), now=0.5 / NEWS_PER_S)
    assert public(500) not in everybody(known)
    other = cache()
    for _ in range(300):
        other.hear([public(1)], public(9_999), now=0.0)
    other.hear([public(2)], public(9_999), now=0.0)
    assert set(everybody(other)) == {public(1), public(2)}


def test_of_a_list_without_end_only_so_many_are_looked_at() -> None:
    """Ten thousand entries cost as much as two hundred."""
    looked: list[int] = []

    def endless() -> Iterator[Contact]:
        for number in range(10_000):
            looked.append(number)
            yield public(number % 5)

    cache().hear(endless(), public(9_999))
    assert len(looked) == 200


def test_credits_of_tellers_are_bounded() -> None:
    """The one heard longest ago gives way."""
    known = cache()
    for number in range(TELLERS_MAX + 50):
        known.hear([public(5_000 + number)], public(number))
    assert len(known._news) == TELLERS_MAX


def test_what_is_kept_of_a_teller_is_a_secret_sample() -> None:
    """It depends on our secret, and neither on the order nor on how often it was said."""
    named = [public(number) for number in range(100)]
    kept = []
    for seed in range(3):
        one, other = HostCache(ME, Random(seed)), HostCache(ME, Random(seed))
        one.hear(named, public(9_999))
        for _ in range(3):
            other.hear(reversed(named), public(9_999), now=10_000.0)
        assert set(everybody(one)) == set(everybody(other))
        assert len(one) == TOLD_MAX
        kept.append(frozenset(everybody(one)))
    assert len(set(kept)) == 3


def test_who_stands_in_a_crowd_gives_way_without_a_test() -> None:
    """A full cache in which one network has two: the first of another network takes a place."""
    known = cache()
    for number in range(WORKED_MAX - GROUP_MAX):
        known.worked(public(number))
    crowd = [at("90.0.0.1", number) for number in range(GROUP_MAX)]
    for contact in crowd:
        known.worked(contact)
    known.worked(public(9_999))
    assert public(9_999) in everybody(known)
    assert known.doubtful is None
    assert sum(each in everybody(known) for each in crowd) == GROUP_MAX - 1


def test_one_that_was_never_tried_is_drawn_by_group() -> None:
    """Those that worked are none, nor is who is linked."""
    known = cache()
    known.worked(public(1))
    assert known.untried() is None
    known.hear([public(2), public(3)], public(1))
    assert {known.untried() for _ in range(50)} == {public(2), public(3)}
    assert known.untried(without=[public(2).node]) == public(3)
    assert known.has_worked(public(1))
    assert not known.has_worked(public(2))
    assert not known.has_worked(Contact(public(1).node, public(2).address))


def test_groups_that_we_have_come_later() -> None:
    """Whom we are linked with already counts for its network."""
    known = cache()
    for contact in (at("40.0.0.1", 1), public(1), public(2)):
        known.worked(contact)
    assert known.pick(3, beside=[at("40.0.0.1", 2)])[2] == at("40.0.0.1", 1)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["hear", "worked", "failed"]),
        st.integers(0, 400),
        st.sampled_from(["public", "40.0.0.1", "192.168.0.1"]),
    ),
    max_size=300,
)


@given(STEPS)
def test_bounds_hold_whatever_happens(steps: list[tuple[str, int, str]]) -> None:
    """In all, by group; nobody stands in it twice; who is in doubt is known."""
    known = cache()
    for what, number, where in steps:
        contact = public(number) if where == "public" else at(where, number)
        if what == "hear":
            known.hear([contact], public(number + 1))
        elif what == "worked":
            known.worked(contact)
        else:
            known.failed(contact.node)
        everyone = everybody(known)
        assert len(everyone) == len(known) <= WORKED_MAX + HEARD_MAX
        assert len({each.node for each in everyone}) == len(everyone)
        assert sum(each.address.host == "40.0.0.1" for each in everyone) <= 2 * GROUP_MAX
        assert known.doubtful is None or known.doubtful in everyone
