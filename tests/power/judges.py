"""Who says whether a change is noticed: the simulator, and the tests that run in one process.

The simulator is a program that prints one JSON object as its last line (`events`, `violations`,
`seed`), with exit code 0 where all was well and 1 where it was not. Anything else that a program
does, an exception or no end, counts as noticed too, but is told apart. The tests that are near a
changed module are asked first, then all that know nothing of the shell.
"""

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import msgspec

from tests.power.mutants import Mutant
from tests.power.processes import Processes, Ran
from tests.power.tree import Copy

PATIENCE_S: Final = 180.0  # before a soak counts as hanging, and ...
PATIENT_EVENTS_PER_S: Final = 1_000  # ... a tenth of its slowest speed beside another load
TESTS_S: Final = 600.0  # they take 20 s
SOAK: Final = (sys.executable, "-m", "deploy.sim.soak")
PYTEST: Final = (
    *(sys.executable, "-m", "pytest", "-x", "-q", "-n", "0", "-m", "not processes"),
    *("-p", "no:cacheprovider", "--hypothesis-seed=0"),
)
FORM: Final = ("test_floors.py", "test_set_order.py", "test_power.py")  # no behaviour is looked at
PASSED: Final = (0, 5)  # pytest's codes for all well and for no test at all
TEXT_CHARS_MAX: Final = 400

_NOTICED = re.compile(r"^(?:FAILED|ERROR) (.*)$", re.MULTILINE)


class Verdict(NamedTuple):
    """What a judge says of one change."""

    found: bool
    how: str = ""  # violation | crash | hang | tests
    text: str = ""
    events: int | None = None  # simulated until it was found, or in all


class Judge(Protocol):
    """Somebody who looks at a copy with a change in it (None: as it is)."""

    def judge(self, copy: Copy, mutant: Mutant | None) -> Verdict:
        """Whether something is wrong."""


class _Soaked(msgspec.Struct):
    """The last line of a soak."""

    events: int
    violations: int
    seed: int


class Soak:
    """The simulator, with so many events of one seed."""

    def __init__(
        self,
        processes: Processes,
        *,
        events: int,
        seed: int,
        command: tuple[str, ...] = SOAK,
        limit_s: float | None = None,
    ) -> None:
        self._processes = processes
        self._command = (*command, "--events", str(events), "--seed", str(seed), "--json")
        self._limit_s = limit_s or PATIENCE_S + events / PATIENT_EVENTS_PER_S

    def judge(self, copy: Copy, _mutant: Mutant | None) -> Verdict:
        """See `Judge`."""
        ran = self._processes.run(self._command, copy, self._limit_s)
        if ran.code is None:
            return Verdict(True, "hang", f"no end within {self._limit_s:g} s")
        try:
            soaked = msgspec.json.decode(_last_line(ran.out), type=_Soaked)
        except msgspec.DecodeError:
            return Verdict(True, "crash", _cut(_last_line(ran.err) or f"exit code {ran.code}"))
        if ran.code not in (0, 1):
            return Verdict(True, "crash", _cut(f"exit code {ran.code}"), soaked.events)
        if ran.code or soaked.violations:
            return Verdict(True, "violation", _violation(ran), soaked.events)
        return Verdict(False, events=soaked.events)


class PureTests:
    """The tests of the cores: those beside the changed module first, then all of them."""

    def __init__(self, processes: Processes, *, limit_s: float = TESTS_S) -> None:
        self._processes = processes
        self._limit_s = limit_s

    def judge(self, copy: Copy, mutant: Mutant | None) -> Verdict:
        """See `Judge`."""
        everything = pure_tests(copy.root)
        near = beside(copy.root, mutant.file) if mutant is not None else []
        for files in (near, [file for file in everything if file not in near]):
            if files:
                verdict = self._run(copy, files)
                if verdict.found:
                    return verdict
        return Verdict(False)

    def _run(self, copy: Copy, files: list[str]) -> Verdict:
        ran = self._processes.run([*PYTEST, *files], copy, self._limit_s)
        if ran.code is None:
            return Verdict(True, "hang", f"no end within {self._limit_s:g} s")
        if ran.code in PASSED:
            return Verdict(False)
        named = _NOTICED.search(ran.out)
        text = named.group(1) if named else _last_line(ran.out) or _last_line(ran.err)
        return Verdict(True, "tests", _cut(text))


class InTurn:
    """Several judges: the first that finds something has the say."""

    def __init__(self, *judges: Judge) -> None:
        self._judges = judges

    def judge(self, copy: Copy, mutant: Mutant | None) -> Verdict:
        """See `Judge`."""
        verdict = Verdict(False)
        for each in self._judges:
            said = each.judge(copy, mutant)
            if said.found:
                return said
            verdict = verdict if said.events is None else said
        return verdict


# --- which tests ----------------------------------------------------------------------------


@cache
def pure_tests(root: Path) -> list[str]:
    """The test files that reach nothing of the shell or of deploy, by what they import."""
    paths = sorted((root / "tests").glob("test_*.py"))
    return [
        _name(root, path)
        for path in paths
        if path.name not in FORM and not any(_is_outside(each) for each in _reached(root, path))
    ]


def beside(root: Path, file: str) -> list[str]:
    """Of those: what is called as the module, then what imports it."""
    parts = file.removesuffix(".py").split("/")
    called = [*(parts[at:] for at in range(len(parts))), [parts[0], parts[-1]]]
    names = [f"tests/test_{'_'.join(each)}.py" for each in called]
    files = pure_tests(root)
    named = [name for name in names if name in files]
    importing = [name for name in files if file in _imported(root, root / name)]
    return list(dict.fromkeys([*named, *importing]))


def _reached(root: Path, path: Path) -> list[str]:
    """All files of the tree that a file imports, and those that they import, and so on."""
    found: dict[str, None] = {}
    waiting = [path]
    while waiting:
        for name in _imported(root, waiting.pop()):
            if name not in found:
                found[name] = None
                waiting.append(root / name)
    return list(found)


@cache
def _imported(root: Path, path: Path) -> list[str]:
    files = [root / f"{module.replace('.', '/')}.py" for module in _modules(path)]
    return [_name(root, each) for each in dict.fromkeys(files) if each.is_file()]


def _modules(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from [f"{node.module}.{alias.name}" for alias in node.names]


def _is_outside(file: str) -> bool:
    return file.startswith(("common/shell/", "deploy/"))


def _name(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()


# --- what programs say ----------------------------------------------------------------------


def _violation(ran: Ran) -> str:
    told = [line for line in ran.err.splitlines() if line.startswith("violation: ")]
    return _cut(told[0].removeprefix("violation: ") if told else _last_line(ran.err))


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else ""


def _cut(text: str) -> str:
    return text if len(text) <= TEXT_CHARS_MAX else text[: TEXT_CHARS_MAX - 1] + "…"
