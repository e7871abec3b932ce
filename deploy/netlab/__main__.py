"""A scenario on hosts of their own: `python -m deploy.netlab SCENARIO [--seed N] [--json]`.

`python -m deploy.netlab lan` is another thing: hosts on one LAN that are told nothing
(`deploy.netlab.lan`); `uplinks` and `walls` are what is measured of leaves behind shaped links
(`deploy.netlab.uplinks`) and leaves that nobody can dial (`deploy.netlab.walls`).

Each node is a real process in its own network namespace, behind an access link with the rates and
the delay that the scenario draws for it; hosts can be cut off. It takes root on Linux: elsewhere it
says that it is skipped, and why. How a scenario runs is `deploy.running`.
"""

import sys
from collections.abc import Sequence

import click
import msgspec

from common.errors import Exit
from deploy import running
from deploy.netlab import lan, uplinks, walls
from deploy.netlab.lab import laboratory
from deploy.netlab.machine import SkippedError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the scenario that the command line names; the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    others = {"lan": lan.main, "uplinks": uplinks.main, "walls": walls.main}
    if given[:1] and given[0] in others:
        return others[given[0]](given[1:])
    options = running.parsed("deploy.netlab", __doc__, arguments)
    try:
        return running.main(options, laboratory)
    except SkippedError as skipped:
        running.say(f"skipped: {skipped}")
        if options.json:
            click.echo(msgspec.json.encode({"skipped": str(skipped)}).decode())
        return Exit.DONE


if __name__ == "__main__":
    sys.exit(main())
