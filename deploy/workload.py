"""Searches and downloads, many at once, each held against what it must find.

A thread has leaves of its own and one link to each, so questions to one leaf follow one another
and no process is started for a search. Times are as a program that asks would see them.
"""

import hashlib
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import NamedTuple

from common.errors import UserError
from common.limits import HITS_PER_QUERY_MAX
from common.names import words
from common.shell.desk.calls import Calls
from common.shell.desk.home import home_at
from deploy.network import Network, read_error
from deploy.oracle import Held, Oracle
from deploy.scenario import Phase
from leaf.client import LeafClient
from leaf.methods import Get, GetResult, HitRow, Search, SearchResult

ANSWER_S = 5.0  # a leaf ends a search by itself; how much later its answer may come


class Question(NamedTuple):
    """A search: from which leaf, for which words, how far."""

    leaf: int
    words: tuple[str, ...]
    ttl: int


class Outcome(NamedTuple):
    """What came of a question; `error` is empty where there is a result."""

    question: Question
    began: float  # on the monotonic clock
    elapsed_s: float
    first_hit_s: float | None
    result: SearchResult | None
    error: str = ""


class Download(NamedTuple):
    """What came of a download; `error` is empty where the file is whole and the right one."""

    leaf: int
    wanted: Held
    name: str  # under which the leaf has it now
    result: GetResult | None
    error: str = ""


def questions(phase: Phase, oracle: Oracle, leaves: Sequence[int], rng: Random) -> list[Question]:
    """The searches of a phase, in random order: whole names of files, from random leaves."""
    files = list({(held.id, held.name): held for held in oracle.held_by(leaves)}.values())
    asked = [(held, leaf) for held in files for leaf in rng.sample(leaves, phase.leaves_per_file)]
    asked += [(rng.choice(files), rng.choice(leaves)) for _ in range(phase.searches)]
    rng.shuffle(asked)
    return [Question(leaf, tuple(words(held.name)), phase.ttl) for held, leaf in asked]


def ask_all(network: Network, asked: Sequence[Question], at_once: int) -> list[Outcome]:
    """Put all questions, `at_once` at any time, and wait for the answers."""
    groups: list[list[Question]] = [[] for _ in range(min(at_once, max(len(network.leaves), 1)))]
    for question in asked:
        groups[question.leaf % len(groups)].append(question)
    with ThreadPoolExecutor(len(groups)) as pool:
        answered = pool.map(lambda group: _ask_group(network, group), groups)
        return [outcome for group in answered for outcome in group]


def _ask_group(network: Network, asked: Sequence[Question]) -> list[Outcome]:
    wait_s = network.scenario.timeouts.search_s
    with ExitStack() as stack:
        links: dict[int, LeafClient] = {}
        for question in asked:
            if question.leaf not in links:
                client = network.leaf(question.leaf, wait_s + ANSWER_S)
                links[question.leaf] = stack.enter_context(client)
        return [_ask(links[question.leaf], question, wait_s) for question in asked]


def _ask(client: LeafClient, question: Question, wait_s: float) -> Outcome:
    began = time.monotonic()
    first: list[float] = []

    def on_hit(_hit: HitRow) -> None:
        if not first:
            first.append(time.monotonic() - began)

    search = Search(list(question.words), limit=HITS_PER_QUERY_MAX, wait=wait_s, ttl=question.ttl)
    try:
        result = client.search(search, on_hit=on_hit)
    except UserError as error:
        return Outcome(question, began, time.monotonic() - began, None, None, read_error(error))
    return Outcome(question, began, time.monotonic() - began, first[0] if first else None, result)


def wanted_downloads(
    count: int, oracle: Oracle, leaves: Sequence[int], rng: Random
) -> list[tuple[int, Held]]:
    """Random files, each with a leaf that lacks its content."""
    holders: dict[str, dict[int, None]] = {}
    there = oracle.held_by(leaves)
    for held in there:
        holders.setdefault(held.id, {})[held.leaf] = None
    lacking = [held for held in there if len(holders[held.id]) < len(leaves)]
    wanted: list[tuple[int, Held]] = []
    for _ in range(count):
        held = rng.choice(lacking)
        others = [leaf for leaf in leaves if leaf not in holders[held.id]]
        wanted.append((rng.choice(others), held))
    return wanted


def fetch_all(network: Network, wanted: Sequence[tuple[int, Held]], at_once: int) -> list[Download]:
    """Download all, `at_once` at any time."""
    numbered = list(enumerate(wanted))
    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(lambda one: _fetch(network, one[0], *one[1]), numbered))


def _fetch(network: Network, number: int, leaf: int, wanted: Held) -> Download:
    """Fetch one file and hold it against the file that its holder shares."""
    get_s = network.scenario.timeouts.get_s
    target = network.processes.folder / "fetched" / f"{number}-{wanted.name}"
    target.parent.mkdir(exist_ok=True)
    get = Get(wanted.id, str(target), timeout=get_s)
    try:
        home = home_at("leaf", network.leaves[leaf].home)
        with Calls(home) as calls:  # not LeafClient, whose `get` waits for ever
            result = calls.call("leaf.get", get, GetResult, timeout_s=get_s + ANSWER_S)
        original = network.share_of(wanted.leaf) / wanted.folder / wanted.name
        same = digest(Path(result.path)) == digest(original)
    except (UserError, OSError) as caught:
        return Download(leaf, wanted, target.name, None, read_error(caught))
    error = "" if same and result.verified else "its bytes are not those of the source"
    return Download(leaf, wanted, Path(result.path).name, result, error)


def digest(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
