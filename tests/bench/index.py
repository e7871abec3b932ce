"""The keyword index beside SQLite FTS5, on paths and on titles: one JSON line each.

    python -m tests.bench.index [--names 1000000] [--searches 2000] [--leaves 100] [--seed 1]

Both sides hold the same names and answer the same searches (two and three words of a name that is
there, at most 50 answers), in turns of 100 searches. Both tell numbers: ours those of documents,
FTS5, a table without content and without positions (`content='', detail=none`), in memory, those of
rows. What reading the entries of an answer takes beside that is `read_us`; a node reads one when it
sends it. Rates are of processor time, so that who else is busy on the machine does not count;
single searches are on the clock. Memory is what the index and its digest add to a process that
holds the names already; the digest's changes are taken as a node takes them. Every `CHECKED`-th
search is held against a scan of all names.
"""

import argparse
import ctypes
import gc
import json
import multiprocessing
import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

from common.content.catalogue import Entry
from common.digest import CountedPlaces
from common.names import words
from common.terms import Terms, entry_words, matches
from superpeer.index.index import Index
from tests.bench import corpora

LIMIT: Final = 50
TURN: Final = 100  # searches of one side before the other has its turn
CHECKED: Final = 200
LEAF_FILES: Final = 1_000  # of a leaf that comes and goes
LEAVES: Final = 5  # that do, one after the other
SLICE_FILES: Final = 50  # of it between two looks of the loop


def entries(paths: Iterable[str]) -> list[Entry]:
    """Files at these paths; each a content of its own."""
    files = []
    for number, path in enumerate(paths):
        folder, _, name = path.rstrip("\n").rpartition("/")
        files.append(Entry(sha256(path.encode()).digest(), 1_000 + number, name, folder))
    return files


def rss_bytes() -> int:
    """Resident memory of this process, once what is free was given back."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def built(files: Sequence[Entry], leaves: int) -> tuple[Index, dict[str, float]]:
    """The index of these files at so many leaves, and what it took."""
    digest = CountedPlaces()
    index = Index(1, digest)
    before, began = rss_bytes(), time.thread_time()
    for number, entry in enumerate(files):
        index.add(_leaf(number % leaves), number // leaves, entry)
        if not number % LEAF_FILES:
            digest.take_changes()
    took_s = time.thread_time() - began
    return index, {
        "build_files_per_s": round(len(files) / took_s),
        "bytes_per_file": round((rss_bytes() - before) / len(files), 1),
    }


def fts(files: Sequence[Entry]) -> sqlite3.Connection:
    """The same names in FTS5."""
    database = sqlite3.connect(":memory:")
    database.execute(
        "create virtual table names using fts5(text, content='', detail=none, "
        "tokenize='unicode61 remove_diacritics 0')"
    )
    database.executemany(
        "insert into names(rowid, text) values (?, ?)",
        ((number, f"{entry.name} {entry.folder}") for number, entry in enumerate(files)),
    )
    database.commit()
    return database


def questions(files: Sequence[Entry], count: int, width: int, rng: Random) -> list[Terms]:
    """Searches for `width` words of a file that is there, words of ASCII letters and digits."""
    asked: list[Terms] = []
    while len(asked) < count:
        there = [word for word in entry_words(rng.choice(files)) if word.isascii()]
        if len(there) >= width:
            asked.append(Terms(tuple(rng.sample(there, width))))
    return asked


class Taken(NamedTuple):
    """What searches took one side: each on the clock, and all of them on the processor."""

    each_s: list[float]
    turns_s: list[float]


def raced(
    ours: Callable[[Terms], object], theirs: Callable[[Terms], object], asked: Sequence[Terms]
) -> tuple[Taken, Taken]:
    """What the same searches took both sides, in turns."""
    times = Taken([], []), Taken([], [])
    for at in range(0, len(asked), TURN):
        for search, taken in zip((ours, theirs), times, strict=True):
            turn = time.thread_time()
            for terms in asked[at : at + TURN]:
                began = time.perf_counter()
                search(terms)
                taken.each_s.append(time.perf_counter() - began)
            taken.turns_s.append(time.thread_time() - turn)
    return times


def compared(
    index: Index, database: sqlite3.Connection, asked: Sequence[Terms]
) -> dict[str, float]:
    """Searches a second of both sides, and how long ours take."""
    ours, theirs = raced(
        lambda terms: index.search(terms, LIMIT), lambda terms: _found(database, terms), asked
    )
    each = sorted(ours.each_s)
    ratios = [their / our for our, their in zip(ours.turns_s, theirs.turns_s, strict=True)]
    return {
        "per_s": round(len(asked) / sum(ours.turns_s)),
        "fts5_per_s": round(len(asked) / sum(theirs.turns_s)),
        "ratio": round(sum(theirs.turns_s) / sum(ours.turns_s), 2),
        "ratio_of_median_turn": round(statistics.median(ratios), 2),
        "read_us": round(read(index, asked) * 1e6, 1),
        "p50_us": round(statistics.median(each) * 1e6, 1),
        "p99_us": round(each[int(len(each) * 0.99)] * 1e6, 1),
    }


def read(index: Index, asked: Sequence[Terms]) -> float:
    """What reading all entries of an answer takes, in seconds, on average."""
    answers = [index.search(terms, LIMIT).docs for terms in asked]
    began = time.thread_time()
    for docs in answers:
        for doc in docs:
            index.entry(doc)
    return (time.thread_time() - began) / len(asked)


def changed(index: Index, files: Sequence[Entry]) -> dict[str, float]:
    """More leaves come in slices, and go: what the median one takes, and the longest slice."""
    added_s: list[float] = []
    gone_s: list[float] = []
    slices: list[float] = []
    for first in range(0, len(files), LEAF_FILES):
        more = files[first : first + LEAF_FILES]
        for at in range(0, len(more), SLICE_FILES):
            began = time.thread_time()
            for slot, entry in enumerate(more[at : at + SLICE_FILES], at):
                index.add(b"one more", slot, entry)
            slices.append(time.thread_time() - began)
        added_s.append(sum(slices) - sum(added_s))
        began = time.thread_time()
        index.drop_leaf(b"one more")
        gone_s.append(time.thread_time() - began)
    return {
        "leaf_added_ms": round(statistics.median(added_s) * 1e3, 2),
        "leaf_added_max_ms": round(max(added_s) * 1e3, 2),
        "slice_max_ms": round(max(slices) * 1e3, 2),
        "leaf_gone_ms": round(statistics.median(gone_s) * 1e3, 4),
    }


def unlike(index: Index, files: Sequence[Entry], asked: Sequence[Terms]) -> int:
    """How many searches bring anything else than a scan of all names."""
    wrong = 0
    for terms in asked:
        rare = max(terms.words, key=len)
        scanned = [
            entry
            for entry in files
            if rare in f"{entry.name}/{entry.folder}".lower() and matches(terms, entry)
        ]
        found = [index.entry(doc) for doc in index.search(terms, len(files)).docs]
        wrong += sorted(found, key=_root) != sorted(scanned, key=_root)
    return wrong


def _root(entry: Entry) -> bytes:
    return entry.root


def _leaf(number: int) -> bytes:
    return number.to_bytes(32, "big")


def _found(database: sqlite3.Connection, terms: Terms) -> list[tuple[int]]:
    query = " AND ".join(f'"{word}"' for word in terms.words)
    found: list[tuple[int]] = database.execute(
        "select rowid from names where names match ? limit ?", (query, LIMIT)
    ).fetchall()
    return found


def bench(corpus: str, names: str, args: argparse.Namespace) -> None:
    """Print the line of one corpus, whose names are in a file."""
    with Path(names).open() as lines:
        files = entries(lines)
    files, more = files[: args.names], files[args.names :]
    rng = Random(args.seed)
    index, figures = built(files, args.leaves)
    database = fts(files)
    shown: dict[str, object] = {"bench": "index", "corpus": corpus, **figures}
    shown["words"] = len({word for entry in files[::100] for word in words(entry.name)})
    for width in (2, 3):
        asked = questions(files, args.searches, width, rng)
        shown[f"words_{width}"] = compared(index, database, asked)
        shown[f"unlike_{width}"] = unlike(index, files, asked[::CHECKED])
    shown |= changed(index, more)
    print(json.dumps(shown), flush=True)


def main() -> None:
    """One line for each corpus, each in a process that makes nothing but files of its names: what
    was freed before would hide what the index takes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--names", type=int, default=1_000_000)
    parser.add_argument("--searches", type=int, default=2_000)
    parser.add_argument("--leaves", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    processes = multiprocessing.get_context("spawn")
    for corpus in (corpora.paths, corpora.titles):
        with tempfile.NamedTemporaryFile("w") as names:
            made = corpus(args.names + LEAVES * LEAF_FILES, args.seed)
            names.writelines(f"{folder}/{name}\n" for folder, name in made)
            names.flush()
            process = processes.Process(target=bench, args=(corpus.__name__, names.name, args))
            process.start()
            process.join()


if __name__ == "__main__":
    main()
