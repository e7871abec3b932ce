"""The instruments that measure the tests: the lists fit the source, and the machinery tells right.

The simulator's part is played by a script that reads the changed file, so that each kind of verdict
can be had at will. What the real simulator finds is no matter of this file.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.power import judges, mechanical, planted
from tests.power.mutants import Mutant
from tests.power.operators import sites
from tests.power.processes import EndedError
from tests.power.runner import AS_IT_IS, NotCleanError, OtherBookError
from tests.power.scene import Scene, lives, plant, wait_until
from tests.power.tree import CopyError

ROOT = Path(__file__).resolve().parent.parent
PLANTED = planted.load()


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


# --- the planted bugs -----------------------------------------------------------------------


@pytest.mark.parametrize("bug", PLANTED.bug, ids=lambda bug: bug.name)
def test_planted_bug_fits_the_source(bug: planted.Bug) -> None:
    """Its text stands there once, and what takes its place compiles and is another program."""
    source = (ROOT / bug.file).read_bytes()
    changed = bug.mutant(ROOT).mutated(source)
    assert changed != source
    assert compile(changed, bug.file, "exec") != compile(source, bug.file, "exec")


def test_planted_bugs_are_named_apart() -> None:
    """Each has a name of its own that can be typed, a phrase, and something that it breaks."""
    names = [bug.name for bug in PLANTED.bug]
    assert len(names) == len(set(names)) >= 48
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)+", name) for name in names)
    assert all(bug.wrong and bug.breaks for bug in PLANTED.bug)


def test_every_invariant_and_fault_has_a_bug_or_a_reason() -> None:
    """Of the 26 invariants each applies and is broken by a bug, or it is said why not."""
    applies, left_out = PLANTED.applies, PLANTED.left_out
    assert PLANTED.uncovered() == []
    assert sorted([*applies.invariants, *map(int, left_out.invariants)]) == list(range(1, 27))
    assert not set(applies.faults) & set(left_out.faults)


def test_planted_bugs_break_what_applies() -> None:
    """None is about an invariant or a fault that is said not to apply."""
    numbers = [str(number) for number in PLANTED.applies.invariants]
    for bug in PLANTED.bug:
        assert all(each in numbers or re.fullmatch(r"[TG]\d+", each) for each in bug.breaks)
        assert set(bug.under) <= set(PLANTED.applies.faults)


def test_a_bug_whose_text_is_gone_is_named(tmp_path: Path) -> None:
    """A list that lost a bug says so instead of counting it."""
    bug = PLANTED.bug[0]
    (tmp_path / bug.file).parent.mkdir(parents=True)
    (tmp_path / bug.file).write_text("")
    with pytest.raises(planted.PlantedError, match=f"{bug.name}: its text stands 0 times"):
        bug.mutant(tmp_path)
    with pytest.raises(planted.PlantedError, match="no such planted bug"):
        PLANTED.mutants(ROOT, only=("no-such-bug",))


# --- mechanical mutants ---------------------------------------------------------------------


def test_sample_depends_on_the_seed_alone() -> None:
    """The same seed chooses the same, another seed others."""
    first = mechanical.sample(ROOT, 200, seed=1)
    assert len(first) == 200
    assert first == mechanical.sample(ROOT, 200, seed=1)
    assert first != mechanical.sample(ROOT, 200, seed=2)


def test_mutants_have_ids_of_their_own_and_compile() -> None:
    """No two are called alike; each changes its file into something that compiles."""
    names = [each.name for many in mechanical.all_mutants(ROOT).values() for each in many]
    assert len(names) == len(set(names)) >= 200
    for each in mechanical.sample(ROOT, 300, seed=3):
        source = (ROOT / each.file).read_bytes()
        changed = each.mutated(source)
        assert changed != source
        compile(changed, each.file, "exec")


def test_a_larger_file_gets_more() -> None:
    """The sample is spread by statements: nearly every file has one, none has many."""
    three_for_two = 3 * len(mechanical.cores(ROOT)) // 2
    chosen = [each.file for each in mechanical.sample(ROOT, three_for_two, seed=1)]
    counts = {file: chosen.count(file) for file in mechanical.cores(ROOT)}
    assert counts["leaf/library/library.py"] > counts["common/rates.py"]
    assert max(counts.values()) <= 20
    assert sum(count > 0 for count in counts.values()) > 0.8 * len(counts)


def test_a_mutant_tells_what_it_changes() -> None:
    """The line before and after, so that a survivor can be judged without looking it up."""
    told = {each.what for each in mechanical.all_mutants(ROOT)["common/rates.py"]}
    assert "if self._tokens < 1: => if self._tokens <= 1:" in told


def test_only_cores_are_changed() -> None:
    """Neither the shell nor what meets people, nor tables of values."""
    files = mechanical.cores(ROOT)
    assert {"common/links.py", "superpeer/flood/flood.py", "leaf/swarm/fetch.py"} <= set(files)
    assert not [file for file in files if "shell" in file or "commands" in file or "cli" in file]
    assert "common/limits.py" not in files


OPERATORS = [
    ("if a and b: c()", "negate-if", "if not (a and b): c()"),
    ("x = b if a else c", "negate-if", "x = b if not (a) else c"),
    ("if (a) <= (b): c()", "swap-comparison", "if (a) < (b): c()"),
    ("x = a not in b", "swap-comparison", "x = a in b"),
    ("x = a is b", "swap-comparison", "x = a is not b"),
    ("x = a and b and c", "swap-logic", "x = a or b or c"),
    ("x = a + b", "swap-sign", "x = a - b"),
    ("x = y - 7", "plus-one", "x = y - 8"),
    ("x = a[0]", "minus-one", "x = a[(-1)]"),
    ("return a.b()", "return-empty", "return []"),
    ("self.x.y(z)", "drop-statement", "pass"),
    ("del a[b]", "drop-statement", "pass"),
    ("self.a, self.b[1] = c", "drop-statement", "pass"),
    ("for a in b: continue", "break-for-continue", "for a in b: break"),
    ("x = True", "flip-truth", "x = False"),
]


@pytest.mark.parametrize(("before", "operator", "after"), OPERATORS)
def test_operator(before: str, operator: str, after: str) -> None:
    """Each operator edits just its own place."""
    head = "def f(self) -> list[int]:\n    "
    source = (head + before).encode()
    changed = [
        Mutant("", "", site.edits, "").mutated(source)
        for site in sites(source)
        if site.operator == operator
    ]
    assert (head + after).encode() in changed


LEFT_ALONE = [
    '"""Text 1."""\nX: Final = 1 + 2\nY = a < b',
    "class C:\n    __slots__ = ('a', 'b')\n    T: ClassVar[dict] = {1: True}",
    "class C(Struct, frozen=True):\n    a: Annotated[int, Meta(ge=0)]",
    "def __repr__(self) -> str:\n    return a if b else c",
    "def f(a: Literal[1] = 2) -> int:\n    return Notify('x', {'y': 1 + a})",
    "def f(self) -> int:\n    return f'{a + 1}' + 'b'",
    "def f(self) -> None:\n    self._count('x')\n    self.dropped['x'] += 1",
    "def __init__(self) -> None:\n    self.a = b",
    "def f(self) -> list[int]:\n    return []",
]


@pytest.mark.parametrize("source", LEFT_ALONE)
def test_what_no_behaviour_hangs_on_is_left_alone(source: str) -> None:
    """Texts, annotations, tables, notes and counts are not changed."""
    assert sites(source.encode()) == []


# --- who judges -----------------------------------------------------------------------------


def test_tests_near_come_first() -> None:
    """The file that is called as the module, then those that import it."""
    near = judges.beside(ROOT, "leaf/swarm/fetch.py")
    assert near[0] == "tests/test_swarm_fetch.py"
    assert "tests/test_leaf_parent.py" in judges.beside(ROOT, "leaf/parent/parent.py")[:1]
    assert len(judges.beside(ROOT, "common/rates.py")) < len(judges.pure_tests(ROOT))


def test_pure_tests_reach_no_shell() -> None:
    """Tests of cores and roles are among them, those that start daemons or judge form are not."""
    files = judges.pure_tests(ROOT)
    assert {"tests/test_flood.py", "tests/test_leaf_role.py"} <= set(files)
    for name in ("sockets", "spawn", "disk", "floors", "power"):
        assert f"tests/test_{name}.py" not in files


def test_tests_find_what_they_look_at(scene: Scene) -> None:
    """A test that fails with the change finds it; one that passes does not."""
    (scene.root / "tests").mkdir()
    (scene.root / "tests/__init__.py").write_text("")
    (scene.root / "tests/test_value.py").write_text(
        "from common.value import VALUE\n\ndef test_it():\n    assert VALUE != 'wrong'\n"
    )
    (copy,) = scene.copies()
    judge = judges.PureTests(scene.processes, limit_s=60.0)
    for value, found in (("wrong", True), ("other", False)):
        with copy.changed(plant(value)):
            verdict = judge.judge(copy, plant(value))
        assert verdict.found is found, verdict
        assert ("test_it" in verdict.text) is found


# --- the runner -----------------------------------------------------------------------------


def test_verdicts(scene: Scene) -> None:
    """A violation, an exception and silence are told apart; the rest survives."""
    summary = scene.run("wrong", "raises", "other", jobs=2)
    lines = scene.lines()
    assert lines["is-wrong"]["how"] == "violation"
    assert lines["is-wrong"]["events_until_found"] == 7
    assert lines["is-wrong"]["text"] == "it is wrong"
    assert lines["is-wrong"]["breaks"] == ["1"]
    assert lines["is-raises"]["how"] == "crash"
    assert "it breaks" in lines["is-raises"]["text"]
    assert lines["is-other"] | {"seconds": 0} == {
        "name": "is-other",
        "file": "common/value.py",
        "found": False,
        "what": "it is other",
        "breaks": ["1"],
        "events": 50,
        "seconds": 0,
    }
    assert summary == {
        "planted": 3,
        "found": 2,
        "share": 0.6667,
        "how": {"violation": 1, "crash": 1},
        "survivors": ["is-other"],
    }


def test_hang_is_found_and_leaves_nothing_behind(scene: Scene) -> None:
    """When its time is over a simulation is killed with its children."""
    scene.run("hangs", limit_s=1.0)
    assert scene.lines()["is-hangs"]["how"] == "hang"
    wait_until(lambda: not lives(int(scene.child.read_text())))  # killed, and gone soon


def test_resumes(scene: Scene) -> None:
    """What the file knows is not tried again, but counted; the tree is not tried again either."""
    scene.run("wrong")
    assert scene.simulated() == ["right", "wrong"]
    summary = scene.run("wrong", "other")
    assert scene.simulated() == ["right", "wrong", "other"]
    assert (summary["planted"], summary["survivors"]) == (2, ["is-other"])


def test_a_book_is_of_one_tree(scene: Scene) -> None:
    """After an edit a name may mean another change: nothing is tried, and nothing is entered."""
    scene.run("wrong")
    book = scene.out.read_text()
    (scene.root / "common/more.py").write_text("")
    with pytest.raises(OtherBookError, match="no book of this tree: name another file"):
        scene.run("wrong", "other")
    assert scene.simulated() == ["right", "wrong"]
    assert scene.out.read_text() == book
    (scene.root / "common/more.py").unlink()
    (scene.root / "notes.txt").write_text("no program and no table")
    scene.run("wrong", "other")
    assert scene.simulated() == ["right", "wrong", "other"]


def test_a_book_that_does_not_say_of_what_is_refused(scene: Scene) -> None:
    """As those of old do not."""
    scene.out.write_text('{"name": "as it is", "found": false, "events": 50}\n')
    with pytest.raises(OtherBookError, match="no book of this tree, events, seed: "):
        scene.run("wrong")
    scene.out.write_text("")
    scene.run("wrong")
    assert scene.lines()["is-wrong"]["found"]


def test_a_book_is_of_one_command(scene: Scene) -> None:
    """Who judges otherwise needs another book; trying more, or more at once, is going on."""
    (scene.root / "common/more.py").write_text("def more(a: int) -> int:\n    return a + 1\n")

    def power(*options: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "tests.power", "mechanical", *options]
        place = ["--root", str(scene.root), "--soak", f"{sys.executable} {scene.soak}"]
        whole = [*command, *place, "--out", str(scene.out)]
        ran = subprocess.run(whole, cwd=ROOT, capture_output=True, text=True, check=False)
        return ran.returncode, ran.stderr

    assert power("--count", "1", "--jobs", "1", "--events", "50") == (0, "")
    assert power("--count", "2", "--events", "50") == (0, "")
    assert len(scene.simulated()) == 3  # the tree as it is, and each of the two once
    for other in (["--events", "51"], ["--events", "50", "--seed", "2"]):
        code, said = power("--count", "2", *other)
        assert (code, f"{scene.out} is no book of this {other[-2][2:]}: " in said) == (2, True)
    assert len(scene.simulated()) == 3


def test_changes_are_taken_back(scene: Scene) -> None:
    """One change is not there any more when the next is tried, and the checkout never has any."""
    scene.run("wrong", "other", "raises")
    assert scene.simulated() == ["right", "wrong", "other", "raises"]
    assert (scene.root / "common/value.py").read_text() == 'VALUE = "right"\n'


def test_a_tree_that_does_not_pass_is_no_measure(tmp_path: Path) -> None:
    """If the tree as it is is found wrong, nothing else is tried."""
    scene = Scene(tmp_path, value="wrong")
    with pytest.raises(NotCleanError, match="it is wrong"):
        scene.run("other")
    assert scene.simulated() == ["wrong"]


def test_a_clean_tree_is_noted(scene: Scene) -> None:
    """The file tells that the tree as it is passed, and with how many events."""
    scene.run("wrong")
    assert scene.lines()[AS_IT_IS]["events"] == 50


def test_copies_import_their_own_packages(scene: Scene) -> None:
    """A copy that would run other code than its own is refused."""
    (copy,) = scene.copies()
    copy.check()
    for path in (copy.root / "common").iterdir():
        path.unlink()
    (copy.root / "common/__init__.py").write_text("__file__ = '/elsewhere'\n")
    with pytest.raises(CopyError, match="imports other packages"):
        copy.check()


def test_an_end_ends_what_runs(scene: Scene) -> None:
    """Once asked to end nothing is begun any more."""
    scene.processes.end()
    (copy,) = scene.copies()
    with pytest.raises(EndedError):
        scene.judge().judge(copy, None)


def test_interrupted_run_leaves_nothing_behind(scene: Scene) -> None:
    """A command that is asked to end kills what it has running."""
    (scene.root / "common/value.py").write_text('VALUE = "hangs"\n')
    (scene.root / "common/more.py").write_text("def more(a: int) -> int:\n    return a + 1\n")
    command = [sys.executable, "-m", "tests.power", "mechanical", "--count", "1"]
    options = ["--root", str(scene.root), "--soak", f"{sys.executable} {scene.soak}"]
    process = subprocess.Popen([*command, *options], cwd=ROOT)
    wait_until(lambda: scene.child.exists() and bool(scene.child.read_text()))
    process.terminate()
    assert process.wait(10) == 130
    wait_until(lambda: not lives(int(scene.child.read_text())))
