"""Where a race is run: the job, its hosts on loopback or behind shaped links, and the bound.

Hosts stand in one order everywhere: the meeting place (a super-peer or a tracker, on no limits),
the seed, then the downloaders.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.hosts import Access
from deploy.netlab.lab import laboratory
from deploy.scenario import Scenario
from deploy.targets import LEAF, SUPER_PEER
from tests.bench.told import Crew, Told

MBIT: Final = 1e6 / 8  # bytes
FRAME_BYTES: Final = 1514  # Ethernet, as a shaped link counts it
PAYLOAD_BYTES: Final = 1448  # of it; the rest is Ethernet, IP, TCP and its timestamps
FIRST_HOST: Final = 9  # on loopback: 127.0.0.9 and up, where nobody else is


@dataclass(frozen=True)
class Job:
    """One file from one seed to some downloaders; rates in bytes/s, the seed's first (0: none)."""

    name: str
    downloaders: int
    size: int
    piece_bytes: int  # of torrents
    up_rates: Sequence[float] = ()
    down_rates: Sequence[float] = ()
    delay_s: float = 0.0  # one way between any two

    @property
    def shaped(self) -> bool:
        """Whether it takes hosts of their own."""
        return bool(self.up_rates)

    def bound_s(self) -> float | None:
        """No schedule is faster (Kumar and Ross, 2006), packet headers charged; None: no limits."""
        if not self.shaped or not all((*self.up_rates, *self.down_rates[1:])):
            return None
        size = self.size * FRAME_BYTES / PAYLOAD_BYTES
        return max(
            size / self.up_rates[0],
            size / min(self.down_rates[1:]),
            self.downloaders * size / sum(self.up_rates),
        )


@dataclass(frozen=True)
class Host:
    """A place for processes: its IP address, and what stands before a command to start it there."""

    address: str
    prefix: Sequence[str] = ()


@dataclass(frozen=True)
class Course:
    """What a racer is given: hosts, the file, a folder of its own, and a crew to start nodes in."""

    job: Job
    hosts: Sequence[Host]
    source: Path
    folder: Path
    crew: Crew

    @property
    def downloaders(self) -> range:
        """The hosts that fetch."""
        return range(2, len(self.hosts))

    def start(self, host: int, name: str, *argv: str) -> Told:
        """Run a command on a host."""
        return self.crew.start(f"{name}-{host}", [*self.hosts[host].prefix, *argv])

    def target(self, host: int) -> Path:
        """Where a downloader has to put the file."""
        folder = self.folder / f"host-{host}"
        folder.mkdir(exist_ok=True)
        return folder / self.source.name


@contextmanager
def hosts_of(job: Job) -> Iterator[Sequence[Host]]:
    """The hosts of a job while the block lasts. Raises SkippedError where none can be made."""
    if not job.shaped:
        yield [Host(f"127.0.0.{FIRST_HOST + number}") for number in range(job.downloaders + 2)]
        return
    half_s = job.delay_s / 2  # from a host to the middle
    links = [Access(half_s, 0.0, 0.0)]
    for up_rate, down_rate in zip(job.up_rates, job.down_rates, strict=True):
        links.append(Access(half_s, up_rate, down_rate))
    scenario = Scenario(super_peers=1, leaves=len(links) - 1, name=job.name)
    nodes = [(SUPER_PEER, 0), *((LEAF, number) for number in range(len(links) - 1))]
    with laboratory(scenario, links) as lab:
        yield [Host(lab.address(*node), lab.prefix(*node)) for node in nodes]


def rates_of(text: str, count: int) -> list[float]:
    """Rates in bytes/s from Mbit/s: "20,10" (the last one repeats), or "20,2..50" (a range, spread
    evenly in the logarithm over those that are left). ValueError for anything else."""
    *given, last = text.split(",")
    low, is_range, high = last.partition("..")
    rates = [float(rate) for rate in given][:count]
    begin, end, left = float(low), float(high if is_range else low), count - len(rates)
    if not all(math.isfinite(rate) and rate >= 0 for rate in (*rates, begin, end)):
        raise ValueError(f"no rates: {text}")
    if begin != end and not (begin and end):
        raise ValueError(f"no range begins at nothing: {text}")
    growth = (end / begin) ** (1 / max(left - 1, 1)) if begin else 1.0
    rates += [begin * growth**number for number in range(left)]
    return [rate * MBIT for rate in rates]
