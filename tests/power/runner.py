"""Try changes one after another, some side by side, and say of each whether it was noticed.

First the tree as it is must pass, or nothing that is found would mean anything. Each change is one
JSON line; with a file they are kept there too, and what stands there already is not tried again. So
the file's first line says what it is a book of, and nothing else is ever entered in it: names mean
other changes in another tree, and other judges find other things. A summary ends the run: how many
were found, and the names of those that nobody noticed.
"""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final

from tests.power.judges import Judge, Verdict
from tests.power.mutants import Mutant
from tests.power.tree import Copy

AS_IT_IS: Final = "as it is"  # the name of the tree without a change
BOOK_OF: Final = "book of"

Line = dict[str, Any]
Say = Callable[[str], None]


class NotCleanError(RuntimeError):
    """The tree as it is does not pass; the text is one sentence."""


class OtherBookError(RuntimeError):
    """The file is a book of something else; the text is one sentence, and says what to do."""


class Book:
    """What is known of each change, by name, and the file that keeps it over runs.

    `of` is what verdicts hang on: the tree and who judges, and how long. Raises OtherBookError.
    """

    def __init__(self, path: Path | None, say: Say, of: Mapping[str, Any]) -> None:
        self._path = path
        self._say = say
        self._lock = threading.Lock()
        self._of = dict(of)
        self.lines: dict[str, Line] = {}
        self._is_begun = False
        if path is not None and path.exists():
            known = [json.loads(text) for text in path.read_text(encoding="utf-8").splitlines()]
            self._is_begun = bool(known)
            if known and (others := _others(known[0].get(BOOK_OF, {}), self._of)):
                raise OtherBookError(
                    f"{path} is no book of this {', '.join(others)}: "
                    "name another file with --out, or remove it"
                )
            self.lines = {line["name"]: line for line in known if "name" in line}

    def enter(self, line: Line) -> None:
        """One more is known."""
        with self._lock:
            self.lines[line["name"]] = line
            self._write(line)

    def close(self, kind: str, mutants: Sequence[Mutant]) -> Line:
        """The summary of these, said and kept."""
        lines = [self.lines[each.name] for each in mutants if each.name in self.lines]
        found = [line for line in lines if line["found"]]
        summary: Line = {
            kind: len(lines),
            "found": len(found),
            "share": round(len(found) / len(lines), 4) if lines else None,
            "how": dict(Counter(line["how"] for line in found)),
            "survivors": [line["name"] for line in lines if not line["found"]],
        }
        self._write(summary)
        return summary

    def _write(self, line: Line) -> None:
        text = json.dumps(line, ensure_ascii=False)
        self._say(text)
        if self._path is not None:
            head = "" if self._is_begun else json.dumps({BOOK_OF: self._of}) + "\n"
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"{head}{text}\n")
            self._is_begun = True


def _others(of: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """In what the two differ."""
    return [key for key, value in wanted.items() if key not in of or of[key] != value]


def run(
    kind: str,
    mutants: Sequence[Mutant],
    copies: Sequence[Copy],
    judge: Judge,
    book: Book,
    *,
    give_up: Callable[[], None],
) -> Line:
    """Try all that the book does not know, one in each copy at a time; the summary.

    `give_up` ends what the judge has running, where we are interrupted. Raises NotCleanError.
    """
    for copy in copies:
        copy.check()
    left = [each for each in mutants if each.name not in book.lines]
    if left and AS_IT_IS not in book.lines:
        _try_as_it_is(copies[0], judge, book)
    free: SimpleQueue[Copy] = SimpleQueue()
    for copy in copies:
        free.put(copy)
    with ThreadPoolExecutor(len(copies)) as pool:
        tries = [pool.submit(_try_in_turn, each, free, judge) for each in left]
        try:
            for done in as_completed(tries):
                book.enter(done.result())
        except BaseException:
            give_up()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return book.close(kind, mutants)


def _try_as_it_is(copy: Copy, judge: Judge, book: Book) -> None:
    began = time.monotonic()
    verdict = judge.judge(copy, None)
    if verdict.found:
        raise NotCleanError(f"the tree as it is does not pass ({verdict.how}): {verdict.text}")
    line: Line = {"name": AS_IT_IS, "found": False, "events": verdict.events}
    book.enter({**line, "seconds": round(time.monotonic() - began, 1)})


def _try_in_turn(mutant: Mutant, free: "SimpleQueue[Copy]", judge: Judge) -> Line:
    copy = free.get()
    began = time.monotonic()
    try:
        with copy.changed(mutant):
            verdict = judge.judge(copy, mutant)
    finally:
        free.put(copy)
    return _line(mutant, verdict, time.monotonic() - began)


def _line(mutant: Mutant, verdict: Verdict, elapsed_s: float) -> Line:
    line: Line = {"name": mutant.name, "file": mutant.file, "found": verdict.found}
    line["what"] = mutant.what
    if mutant.breaks:
        line["breaks"] = list(mutant.breaks)
    if verdict.found:
        line["how"] = verdict.how
        line["events_until_found"] = verdict.events
        line["text"] = verdict.text
    else:
        line["events"] = verdict.events
    line["seconds"] = round(elapsed_s, 1)
    return line
