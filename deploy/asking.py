"""Searches and downloads put to daemons, many at once.

A thread has leaves of its own and one link to each, so questions to one leaf follow one another
and no process is started for a search. Times are as a program that asks would see them.
"""

import hashlib
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from common.errors import UserError
from common.shell.desk.calls import Calls
from common.shell.desk.home import home_at
from deploy.network import Network, read_error
from deploy.oracle import Held
from deploy.workload import Download, Outcome, Question
from leaf.client import LeafClient
from leaf.methods import Get, GetResult, HitRow, Search

_Numbered = tuple[int, Question]

ANSWER_S = 5.0  # a leaf ends a search by itself; how much later its answer may come


def ask_all(
    network: Network, asked: Sequence[Question], at_once: int, for_s: float = 0.0
) -> list[Outcome]:
    """Put all questions, `at_once` at any time or spread over `for_s`, and wait for the answers."""
    pace = Pace(len(asked), for_s, network.interrupted)
    groups: list[list[_Numbered]] = [[] for _ in range(min(at_once, max(len(network.leaves), 1)))]
    for number, question in enumerate(asked):
        groups[question.leaf % len(groups)].append((number, question))
    with network.at_once(len(groups)) as pool:
        answered = pool.map(lambda group: _ask_group(network, group, pace), groups)
        return [outcome for group in answered for outcome in group]


class Pace:
    """When each of so many things is due; at once where there is no time to spread them over."""

    def __init__(self, count: int, for_s: float, interrupted: threading.Event) -> None:
        self._began = time.monotonic()
        self._step_s = for_s / max(count, 1)
        self._interrupted = interrupted

    def wait(self, number: int) -> None:
        """Until the `number`-th is due, counted from 0, or the run is interrupted."""
        self._interrupted.wait(max(self._began + number * self._step_s - time.monotonic(), 0))


def _ask_group(network: Network, asked: Sequence[_Numbered], pace: Pace) -> list[Outcome]:
    wait_s = network.scenario.timeouts.search_s
    outcomes: list[Outcome] = []
    with ExitStack() as stack:
        links: dict[int, LeafClient] = {}
        for number, question in asked:
            pace.wait(number)
            if question.leaf not in links:
                client = network.leaf(question.leaf, wait_s + ANSWER_S)
                links[question.leaf] = stack.enter_context(client)
            outcomes.append(_ask(links[question.leaf], question, wait_s))
    return outcomes


def _ask(client: LeafClient, question: Question, wait_s: float) -> Outcome:
    began = time.monotonic()
    first: list[float] = []

    def on_hit(_hit: HitRow) -> None:
        if not first:
            first.append(time.monotonic() - began)

    search = Search(
        list(question.words),
        limit=question.limit,
        wait=wait_s,
        ttl=question.ttl,
        strategy=question.strategy,
    )
    try:
        result = client.search(search, on_hit=on_hit)
    except UserError as error:
        return Outcome(question, began, time.monotonic() - began, None, None, read_error(error))
    return Outcome(question, began, time.monotonic() - began, first[0] if first else None, result)


def fetch_all(
    network: Network, wanted: Sequence[tuple[int, Held]], at_once: int, for_s: float = 0.0
) -> list[Download]:
    """Download all, `at_once` at any time or spread over `for_s`."""
    pace = Pace(len(wanted), for_s, network.interrupted)

    def fetch(number: int) -> Download:
        pace.wait(number)
        return _fetch(network, number, *wanted[number])

    with network.at_once(at_once) as pool:
        return list(pool.map(fetch, range(len(wanted))))


def _fetch(network: Network, number: int, leaf: int, wanted: Held) -> Download:
    """Fetch one file and hold it against the one that was laid out."""
    get_s = network.scenario.timeouts.get_s
    target = network.processes.folder / "fetched" / f"{number}-{wanted.name}"
    target.parent.mkdir(exist_ok=True)
    get = Get(wanted.id, str(target), timeout=get_s)
    try:
        home = home_at("leaf", network.leaves[leaf].home)
        with Calls(home) as calls:  # not LeafClient, whose `get` waits for ever
            result = calls.call("leaf.get", get, GetResult, timeout_s=get_s + ANSWER_S)
        same = digest(Path(result.path)) == digest(network.originals[wanted.id])
    except (UserError, OSError) as caught:
        return Download(leaf, wanted, target.name, None, read_error(caught))
    error = "" if same and result.verified else "its bytes are not those of the source"
    return Download(leaf, wanted, Path(result.path).name, result, error)


def digest(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
