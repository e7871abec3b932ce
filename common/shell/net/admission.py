"""Who may finish a handshake: bans, and rates of new connections. Pure: time is an argument.

Any key may come in; what is limited is how fast. Each handshake costs half a millisecond of
CURVE and takes the next routing id, so the total is paced (asked to wait, not refused: a crowd
that re-homes gets in a little later), and an address in public scope has a rate of its own.
Every table is bounded. It does not look at how many connections are open: that is the door's.
"""

import enum
import ipaddress
from typing import Final

from common.rates import Bucket

ADDRESSES_MAX: Final = 4096  # buckets and bans kept; wild guess, 1 MiB at most
_PREFIX_V6: Final = 64  # one subscriber's network: an IPv6 host has 2**64 addresses for free


class Verdict(enum.Enum):
    """What the ZAP handler answers."""

    ADMIT = "admit"
    WAIT = "wait"
    REFUSE = "refuse"


def address_group(host: str) -> str | None:
    """What a limit per address counts: the IPv4 address or IPv6 /64; None outside public scope.

    Loopback and private addresses stand for whole crowds (a test bench, a NAT), so there only
    the key counts, which is free: no limit per address would be fair.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if not address.is_global:
        return None
    if address.version == 4:
        return host
    return str(ipaddress.ip_network((address, _PREFIX_V6), strict=False))


class Admission:
    """The door policy of one node."""

    def __init__(
        self,
        *,
        handshakes_per_s: float,
        handshakes_burst: int,
        address_per_s: float,
        address_burst: int,
    ) -> None:
        self._all = Bucket(handshakes_per_s, handshakes_burst, 0.0)
        self._address_per_s = address_per_s
        self._address_burst = address_burst
        self._addresses: dict[str, Bucket] = {}
        self._bans: dict[bytes | str, float] = {}
        self.refused = 0

    def ban(self, who: bytes | str, until: float) -> None:
        """Refuse a CURVE key (32 bytes) or an address until then; the oldest ban makes room."""
        name = who if isinstance(who, bytes) else (address_group(who) or who)
        self._bans.pop(name, None)
        while len(self._bans) >= ADDRESSES_MAX:
            del self._bans[next(iter(self._bans))]
        self._bans[name] = until

    def banned(self, who: bytes | str, now: float) -> bool:
        """Whether a key or an address is banned now."""
        if not self._bans:
            return False
        name = who if isinstance(who, bytes) else (address_group(who) or who)
        until = self._bans.get(name)
        if until is None:
            return False
        if now < until:
            return True
        del self._bans[name]
        return False

    def judge(self, key: bytes, host: str, now: float) -> Verdict:
        """Decide on one handshake; WAIT means: ask again when `wait_s` has passed."""
        group = address_group(host)
        if (
            self.banned(key, now)
            or self.banned(host, now)
            or (group is not None and not self._bucket(group, now).take(now))
        ):
            self.refused += 1
            return Verdict.REFUSE
        return self.pace(now)

    def pace(self, now: float) -> Verdict:
        """The rate of all handshakes together, for one that has passed everything else."""
        return Verdict.ADMIT if self._all.take(now) else Verdict.WAIT

    def wait_s(self) -> float:
        """Seconds until the next handshake may pass."""
        return self._all.wait_s

    def _bucket(self, group: str, now: float) -> Bucket:
        bucket = self._addresses.pop(group, None)
        if bucket is None:
            while len(self._addresses) >= ADDRESSES_MAX:
                del self._addresses[next(iter(self._addresses))]
            bucket = Bucket(self._address_per_s, self._address_burst, now)
        self._addresses[group] = bucket  # last in the dict is the most recently seen
        return bucket
