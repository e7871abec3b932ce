"""Where super-peers come from: the steps of the ladder, and how a core has one asked.

What was given by hand comes first, then what earlier runs remember, the LAN, a site that lists
super-peers, the name service. A core that wants a step orders `Seek` and is told by `Found`, as
often as that step has news; which step comes when is the role's decision, how a step is asked the
shell's. What a step names proves nothing: a link does.
"""

from typing import Final

from common.core import Effect, Event
from common.meeting import Seed

FLAG: Final = "flag"  # --super, --join
ENVIRONMENT: Final = "environment"
CONFIG: Final = "config"
CACHE: Final = "cache"  # the host cache
LAN: Final = "mdns"
SITE: Final = "site"  # a list at a URL or in a file
SRV: Final = "srv"  # of the name service
LINE: Final = "line"  # who stands in line to follow named it
PEER: Final = "peer"  # another super-peer named it
SELF: Final = "self"  # nobody was there, so this node began the network

NAMES: Final = {
    FLAG: "the command line",
    ENVIRONMENT: "the environment",
    CONFIG: "the settings file",
    CACHE: "the host cache",
    LAN: "mDNS",
    SITE: "the tracker site",
    SRV: "DNS SRV",
    LINE: "the line of succession",
    PEER: "another super-peer",
    SELF: "this node itself",
}
"""What people read; the keys are what scripts do."""

FOUND_MAX: Final = 200  # super-peers that one step may name at a time


class Seek(Effect, frozen=True):
    """Have this step asked; it may go on telling for `for_s` (0: it answers once)."""

    step: str
    for_s: float = 0.0


class Announce(Effect, frozen=True):
    """Let the LAN know, or not any more, that a super-peer listens here."""

    on: bool = True


class Found(Event, frozen=True):
    """A step of the ladder names these; `problem` says what was wrong with it, in one sentence."""

    step: str
    seeds: tuple[Seed, ...]
    problem: str = ""
