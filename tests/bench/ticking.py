"""The program `leaf` with a ticker in its loop: how late the loop was at worst.

    python -m tests.bench.ticking FILE leaf-arguments…

Ticks every 5 ms; on SIGUSR1 forgets the worst so far; writes the worst lateness in seconds to FILE
every time it grows. The loop is the program's own: only its policy is ours.
"""

import asyncio
import signal
import sys
from pathlib import Path

TICK_S = 0.005


class Ticker:
    """Looks at the clock of one loop, on time."""

    def __init__(self, loop: asyncio.AbstractEventLoop, report: Path) -> None:
        self.loop = loop
        self.report = report
        self.worst_s = 0.0
        signal.signal(signal.SIGUSR1, self.forget)
        loop.call_soon(self.tick, loop.time())

    def forget(self, _number: int, _frame: object) -> None:
        """Begin anew."""
        self.worst_s = 0.0
        self.report.write_text("0.0")

    def tick(self, due: float) -> None:
        """Note how late this is, and tick again."""
        now = self.loop.time()
        if now - due > self.worst_s:
            self.worst_s = now - due
            self.report.write_text(str(self.worst_s))
        self.loop.call_at(now + TICK_S, self.tick, now + TICK_S)


class Policy(asyncio.DefaultEventLoopPolicy):
    """Gives loops that tick."""

    def __init__(self, report: Path) -> None:
        super().__init__()
        self.report = report

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        """A loop with a ticker."""
        loop = super().new_event_loop()
        Ticker(loop, self.report)
        return loop


def main() -> None:
    """Run the leaf's own command line."""
    asyncio.set_event_loop_policy(Policy(Path(sys.argv[1])))
    sys.argv = ["leaf", *sys.argv[2:]]
    from leaf.cli import main as leaf

    leaf()


if __name__ == "__main__":
    main()
