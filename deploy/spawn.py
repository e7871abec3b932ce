"""A scenario as real processes on this machine: `python -m deploy.spawn SCENARIO [--json]`.

All nodes share loopback, so they can be killed, stopped and started again, and the links among
super-peers can be slow; hosts of their own, with rates, and cuts are for `deploy.netlab`. How a
scenario runs is `deploy.running`.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from deploy import running
from deploy.delay import Delays
from deploy.ground import Loopback, refuse_beyond_loopback
from deploy.scenario import Scenario


@contextmanager
def loopback(asked: Scenario) -> Iterator[Loopback]:
    """Loopback for a scenario. Raises UserError for what cannot be there."""
    refuse_beyond_loopback(asked)
    with Delays() as delays:
        yield Loopback(asked, delays)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the scenario that the command line names; the exit code."""
    return running.main(running.parsed("deploy.spawn", __doc__, arguments), loopback)


if __name__ == "__main__":
    sys.exit(main())
