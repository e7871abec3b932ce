"""How much stallers and corrupters slow honest leaves down, and who is banned for what.

    python -m tests.bench.liars [--seeds 5] [--mib 32] [--leaves 20] [--holders 4] [--up 1250000]

In the simulator honest leaves fetch one file from a few that hold it, all at once; then the same
with three stallers and one corrupter for every six honest nodes (30 % and 10 % of all), which say
that they hold it too. Fetching leaves serve one another. Prints one JSON line: times of both, their
ratios, the most that any one leaf took from any one liar, and what befell the honest.
"""

import argparse
import json
import statistics
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from common.core import Effect
from common.ids import NodeId
from common.storage import PiecesWritten
from deploy.scenario import Attachment, Content, Expect, Hostile, Hosts, Phase, Scenario, Timeouts
from deploy.sim.show import Show
from leaf.swarm.fetch import Fetch
from leaf.swarm.requests import Requests
from leaf.swarm.source import Source
from leaf.swarm.sources import Sources

GET_S = 3600.0
DOWN_UP = 4  # a leaf's downlink is so many times its uplink
STALLERS, CORRUPTERS, HONEST = 3, 1, 6


class Watch:
    """What downloads found out about their sources, by download and source."""

    def __init__(self) -> None:
        self.bad_pieces: Counter[tuple[int, NodeId]] = Counter()
        self.bad_answers: Counter[tuple[int, NodeId]] = Counter()
        self.banned: dict[tuple[int, NodeId], None] = {}
        self.not_banned = 0  # sent wrong bytes, and may be asked again
        self.hung_up: Counter[tuple[NodeId, str]] = Counter()


@contextmanager
def watching(watch: Watch) -> Iterator[None]:
    """Stand beside the verdicts."""
    wrong, remember, hang_up = Requests.wrong, Sources.remember_liar, Fetch._hang_up
    written = Fetch._HANDLERS[PiecesWritten]
    blamed: dict[NodeId, None] = {}

    def watched_wrong(requests: Requests, piece: int) -> NodeId | None:
        sender = wrong(requests, piece)
        if sender is not None:
            watch.bad_pieces[id(requests.pieces), sender] += 1
            blamed[sender] = None
        return sender

    def watched_written(fetch: Fetch, event: Any, now: float) -> list[Effect]:
        blamed.clear()
        effects = written(fetch, event, now)
        watch.bad_answers.update((id(fetch.pieces), sender) for sender in blamed)
        watch.not_banned += sum(sender not in fetch.sources.liars for sender in blamed)
        return effects

    def watched_remember(sources: Sources, peer: NodeId) -> None:
        watch.banned[id(sources), peer] = None
        remember(sources, peer)

    def watched_hang_up(fetch: Fetch, source: Source, why: str, now: float) -> list[Effect]:
        watch.hung_up[source.peer, why] += 1
        return hang_up(fetch, source, why, now)

    patched = {"wrong": (Requests, wrong, watched_wrong)}
    patched["remember_liar"] = (Sources, remember, watched_remember)  # type: ignore[assignment]
    patched["_hang_up"] = (Fetch, hang_up, watched_hang_up)  # type: ignore[assignment]
    for name, (owner, _, new) in patched.items():
        setattr(owner, name, new)
    Fetch._HANDLERS[PiecesWritten] = watched_written
    try:
        yield
    finally:
        Fetch._HANDLERS[PiecesWritten] = written
        for name, (owner, old, _) in patched.items():
            setattr(owner, name, old)


def scenario(args: argparse.Namespace, seed: int, *, liars: bool) -> Scenario:
    """A swarm in one cluster."""
    honest, size = args.leaves + args.holders, int(args.mib * 2**20)
    hostile = (
        Hostile("staller", round(honest * STALLERS / HONEST)),
        Hostile("corrupter", round(honest * CORRUPTERS / HONEST)),
    )
    return Scenario(
        name="liars",
        super_peers=1,
        leaves=honest,
        seed=seed,
        attachment=Attachment(told=1),
        hosts=Hosts(0.002, 0.02, args.up, args.up, DOWN_UP * args.up, DOWN_UP * args.up),
        content=Content(
            files=1, size_min=size, size_max=size, sharers=args.holders, copies=args.holders
        ),
        hostile=hostile if liars else (),
        phases=(Phase("all want it", crowd=args.leaves),),
        timeouts=Timeouts(get_s=GET_S),
        expect=Expect(),
    )


def show(asked: Scenario) -> dict[str, Any]:
    """One run: times, and who was found out."""
    watch = Watch()
    with watching(watch):
        run = Show(asked)
        report = run.run()
    stage = run.stage
    liars = {host.identity.node for host in stage.hostile}
    kinds = {host.identity.node: host.name.split()[0] for host in stage.hostile}
    banned = Counter(kinds.get(peer, "honest") for _, peer in watch.banned)
    hung_up = Counter(
        f"{kinds.get(peer, 'honest')}: {why}"
        for (peer, why), times in watch.hung_up.items()
        for _ in range(times)
    )
    times = sorted(run.tally.fetch_s)
    return {
        "median_s": round(statistics.median(times), 2) if times else None,
        "last_s": round(times[-1], 2) if times else None,
        "whole": report.downloads_complete,
        "violations": len(run.tally.violations),
        "bad_pieces_max": max(watch.bad_pieces.values(), default=0),
        "bad_answers_max": max(watch.bad_answers.values(), default=0),
        "liars_not_banned": watch.not_banned,
        "honest_hung_up": sum(peer not in liars for peer, _ in watch.hung_up),
        "honest_blamed": sum(peer not in liars for _, peer in watch.bad_pieces),
        "banned": dict(sorted(banned.items())),
        "hung_up": dict(sorted(hung_up.items())),
        "wasted": round(report.bytes_wasted / max(report.bytes_useful, 1), 4),
        "said": run.tally.violations[:3],
    }


def main() -> None:
    """Some seeds, then print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--mib", type=float, default=32)
    parser.add_argument("--leaves", type=int, default=20)
    parser.add_argument("--holders", type=int, default=4)
    parser.add_argument("--up", type=float, default=1_250_000.0)
    args = parser.parse_args()
    runs = []
    for seed in range(args.first, args.first + args.seeds):
        calm, storm = (show(scenario(args, seed, liars=liars)) for liars in (False, True))
        ratios = {key: round(storm[f"{key}_s"] / calm[f"{key}_s"], 3) for key in ("median", "last")}
        runs.append({"seed": seed, **ratios, "without": calm, "with": storm})
    report = {
        "bench": "liars",
        **{key: getattr(args, key) for key in ("mib", "leaves", "holders", "up")},
        "median_ratio_max": max(run["median"] for run in runs),
        "last_ratio_max": max(run["last"] for run in runs),
        "bad_pieces_max": max(run["with"]["bad_pieces_max"] for run in runs),
        "bad_answers_max": max(run["with"]["bad_answers_max"] for run in runs),
        "liars_not_banned": sum(run["with"]["liars_not_banned"] for run in runs),
        "honest_banned": sum(run["with"]["banned"].get("honest", 0) for run in runs),
        "runs": runs,
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
