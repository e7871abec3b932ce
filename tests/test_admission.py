"""Who may finish a handshake: bans, rates, and bounded tables."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.rates import Bucket
from common.shell.net.admission import ADDRESSES_MAX, Admission, Verdict, address_group

KEY = bytes(32)


def admission(
    per_s: float = 10, burst: int = 5, address_per_s: float = 1, address_burst: int = 2
) -> Admission:
    """A policy with small figures."""
    return Admission(
        handshakes_per_s=per_s,
        handshakes_burst=burst,
        address_per_s=address_per_s,
        address_burst=address_burst,
    )


@pytest.mark.parametrize(
    ("host", "group"),
    [
        ("127.0.0.1", None),
        ("::1", None),
        ("10.1.2.3", None),
        ("192.168.0.7", None),
        ("fd00::1", None),
        ("fe80::1", None),
        ("8.8.8.8", "8.8.8.8"),
        ("2a00:1450:4001:827::200e", "2a00:1450:4001:827::/64"),
        ("no address", "no address"),
    ],
)
def test_limits_per_address_count_public_ones_only(host: str, group: str | None) -> None:
    """An IPv4 address or an IPv6 /64; none in loopback and private scope."""
    assert address_group(host) == group


def test_all_handshakes_together_wait_beyond_the_burst() -> None:
    """The total is paced, and says how long."""
    policy = admission()
    verdicts = [policy.judge(KEY, "127.0.0.1", 0.0) for _ in range(6)]
    assert verdicts == [Verdict.ADMIT] * 5 + [Verdict.WAIT]
    assert policy.wait_s() == pytest.approx(0.1)
    assert policy.pace(0.05) is Verdict.WAIT
    assert policy.pace(0.11) is Verdict.ADMIT


def test_a_public_address_is_refused_beyond_its_own_rate() -> None:
    """One address cannot use up what is there for all."""
    policy = admission()
    verdicts = [policy.judge(KEY, "8.8.8.8", 0.0) for _ in range(3)]
    assert verdicts == [Verdict.ADMIT, Verdict.ADMIT, Verdict.REFUSE]
    assert policy.judge(KEY, "8.8.4.4", 0.0) is Verdict.ADMIT
    assert policy.judge(KEY, "8.8.8.8", 1.0) is Verdict.ADMIT
    assert policy.refused == 1


def test_neighbours_in_an_ipv6_network_share_one_rate() -> None:
    """A host has more addresses than we have memory."""
    policy = admission()
    hosts = [f"2a00:1450:4001:827::{n:x}" for n in range(1, 4)]
    assert [policy.judge(KEY, host, 0.0) for host in hosts][-1] is Verdict.REFUSE


def test_a_ban_ends_by_itself() -> None:
    """Keys and addresses, until the time given."""
    policy = admission()
    policy.ban(KEY, 10.0)
    policy.ban("8.8.8.8", 10.0)
    assert policy.judge(KEY, "127.0.0.1", 9.9) is Verdict.REFUSE
    assert policy.banned("8.8.8.8", 9.9)
    assert not policy.banned("8.8.8.8", 10.0)
    assert policy.judge(KEY, "127.0.0.1", 10.0) is Verdict.ADMIT


def test_tables_are_bounded_and_keep_the_newest() -> None:
    """A million addresses cost no more than four thousand."""
    policy = admission()
    for n in range(ADDRESSES_MAX + 10):
        host = f"8.{n >> 16}.{n >> 8 & 255}.{n & 255}"
        policy.judge(KEY, host, 0.0)
        policy.ban(host, 1.0)
    assert not policy.banned("8.0.0.0", 0.0)
    assert policy.banned(host, 0.0)
    assert len(policy._addresses) == len(policy._bans) == ADDRESSES_MAX


@given(st.lists(st.floats(0, 0.2), min_size=1, max_size=60))
def test_a_bucket_never_gives_more_than_rate_and_burst(steps: list[float]) -> None:
    """However the asking is spread over time."""
    bucket, now, taken = Bucket(10, 3, 0.0), 0.0, 0
    for step in steps:
        now += step
        taken += bucket.take(now)
    assert taken <= 3 + now * 10 + 1e-6
