"""The house keeps its shape: floors, pure cores, sizes and words, read from the source itself.

    0  common/          pure, knows no role
    1  superpeer/ leaf/ pure, neither knows the other
    2  common/shell/    sockets, threads, files, clocks
    3  entry points     assembly: what a program is made of
       deploy/ tests/   see all floors, seen by none

Nothing is imported or run here: each check walks the syntax trees and names every offender.
"""

import ast
import re
from pathlib import Path

import pytest

from tests.source_code import (
    CORES,
    FOLDERS,
    PACKAGES,
    ROLES,
    ROOT,
    calls,
    imports,
    is_assembly,
    name_of,
    none_of,
    sources,
    tree_of,
    wrong_imports,
)

# Which folder of a role may import which others: from the ground up, each only what stands above it
# here. `SPOKEN` any may: the calls and signals that all of a role have in common.
ROOMS = {
    "superpeer": {
        "relays": (),
        "index": (),
        "digests": (),
        "overlay": (),
        "flood": ("digests", "overlay"),
        "search": ("digests", "flood", "overlay"),
        "heirs": ("index",),
        "cluster": ("flood", "heirs", "index", "search"),
        "vitals": ("overlay",),
        "succession": ("overlay",),
        "hierarchy": ("cluster", "heirs", "overlay", "vitals"),
    },
    "leaf": {
        "links": (),
        "swarm": ("links",),
        "library": (),
        "parent": ("library",),
        "search": ("library", "swarm"),
        "downloads": ("library", "links", "parent", "swarm"),
        "uploads": ("downloads", "library", "links", "swarm"),
        "ranks": ("links", "uploads"),
    },
}
SPOKEN = ("methods", "reasons", "signals")
BOTH_ROLES = ("leaf/assembly.py", "leaf/cli.py", "superpeer/assembly.py", "superpeer/cli.py")
FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60

# What a core may use of others: arithmetic, text, data structures and pure cryptography.
PURE = {
    *("abc", "array", "base64", "binascii", "bisect", "collections", "dataclasses", "enum"),
    *("functools", "hashlib", "heapq", "hmac", "ipaddress", "itertools", "math", "operator"),
    *("random", "re", "string", "struct", "types", "typing", "unicodedata", "urllib.parse"),
    "zlib",
    *("msgspec", "nacl", "pyroaring"),
}
IMPURE_CALLS = ("open", "print", "input", "exec", "eval", "breakpoint", "id", "hash")
BANNED_WORDS = {
    "supernode": "super-peer",
    "ultrapeer": "super-peer",
    "peerlist": "host cache",
    "chunk": "piece or block",
}


# --- floors -------------------------------------------------------------------------------------


def test_common_knows_no_role() -> None:
    """What is common imports neither role."""
    none_of(wrong_imports(sources("common"), *ROLES))


def test_roles_do_not_know_each_other() -> None:
    """Only the assembly of a program may name both roles."""
    for role, other in zip(ROLES, reversed(ROLES), strict=True):
        files = [path for path in sources(role) if name_of(path) not in BOTH_ROLES]
        none_of(wrong_imports(files, other))


def test_cores_do_not_know_the_shell() -> None:
    """No core imports the shell, so the same core runs in virtual time."""
    none_of(wrong_imports(CORES, "common.shell"))


def test_nothing_below_imports_an_entry_point() -> None:
    """Cores and shell import no command, assembly or client."""
    modules = [
        name_of(path).removesuffix(".py").replace("/", ".")
        for path in sources(*ROLES)
        if is_assembly(path)
    ]
    below = [path for path in sources(*PACKAGES) if not is_assembly(path)]
    none_of(wrong_imports(below, *modules))


@pytest.mark.parametrize("role", ROLES)
def test_rooms_import_down_only(role: str) -> None:
    """A folder of a role imports the folders that the table allows it, and nothing above it."""
    rooms = ROOMS[role]
    inside = [p for p in sources(role) if len(p.relative_to(ROOT / role).parts) > 1]
    inside = [path for path in inside if not is_assembly(path)]
    assert {path.parent.name for path in inside} == set(rooms)
    none_of(
        [
            f"{name_of(path)}:{each.line} imports {each.module}"
            for path in inside
            for each in imports(path)
            if each.within(role)
            and not any(
                each.within(f"{role}.{room}")
                for room in (path.parent.name, *rooms[path.parent.name], *SPOKEN)
            )
        ]
    )


@pytest.mark.parametrize("role", ROLES)
def test_rooms_go_in_no_circle(role: str) -> None:
    """The table of folders can be read from the ground up."""
    below: list[str] = []
    for room, allowed in ROOMS[role].items():
        assert set(allowed) <= set(below), room
        below.append(room)


def test_no_floor_sees_deploy_or_tests() -> None:
    """What is installed does not lean on what is only in the repository."""
    none_of(wrong_imports(sources(*PACKAGES), "deploy", "tests"))


def test_only_wire_imports_msgpack() -> None:
    """Bytes become messages at one border."""
    files = [path for path in sources(*FOLDERS) if name_of(path) != "common/wire.py"]
    none_of(wrong_imports([p for p in files if p.parts[-2] != "tests"], "msgpack"))


# --- cores --------------------------------------------------------------------------------------


def test_cores_import_only_what_is_pure() -> None:
    """No socket, file, clock, thread or environment reaches a core by an import."""
    ours = (*PACKAGES, "msgpack")  # who may import those is said above
    none_of(
        [
            f"{name_of(path)}:{each.line} imports {each.module}"
            for path in CORES
            for each in imports(path)
            if not any(each.within(package) for package in (*PURE, *ours))
        ]
    )


def test_cores_take_only_the_generator_class_from_random() -> None:
    """Randomness is an argument: a core imports `Random` and no function of the module."""
    none_of(
        [
            f"{name_of(path)}:{each.line} imports {each.name or 'all'} of random"
            for path in CORES
            for each in imports(path)
            if each.module == "random" and each.name != "Random"
        ]
    )


def test_cores_seed_no_generator_themselves() -> None:
    """A core is handed its generator, it makes none."""
    none_of(
        [
            f"{name_of(p)}:{n.lineno} calls Random"
            for p in CORES
            for f, n in calls(p)
            if f == "Random"
        ]
    )


def test_cores_call_nothing_impure() -> None:
    """No file, terminal or address of an object is touched by a builtin."""
    none_of(
        [
            f"{name_of(path)}:{node.lineno} calls {called}"
            for path in CORES
            for called, node in calls(path)
            if called in IMPURE_CALLS
        ]
    )


def test_cores_are_synchronous() -> None:
    """No core waits: there is no `await` outside the shell."""
    waiting = (ast.Await, ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith)
    none_of(
        [
            f"{name_of(path)}:{getattr(node, 'lineno', 0)} waits"
            for path in CORES
            for node in ast.walk(tree_of(path))
            if isinstance(node, waiting)
        ]
    )


# --- everywhere ---------------------------------------------------------------------------------


def test_files_are_small() -> None:
    """A file that is longer holds two ideas."""
    none_of(
        [
            f"{name_of(path)} has {lines} lines"
            for path in sources(*FOLDERS)
            if (lines := len(path.read_text(encoding="utf-8").splitlines())) > FILE_LINES_MAX
        ]
    )


def test_functions_are_small() -> None:
    """A function that is longer cannot be read at a glance."""
    none_of(
        [
            f"{name_of(path)}:{node.lineno} {node.name} has {lines} lines"
            for path in sources(*PACKAGES, "deploy")
            for node in ast.walk(tree_of(path))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and (lines := (node.end_lineno or 0) - node.lineno + 1) > FUNCTION_LINES_MAX
        ]
    )


def test_every_file_says_what_it_is() -> None:
    """A file opens with a docstring, unless it is empty."""
    none_of(
        [
            name_of(path)
            for path in sources(*FOLDERS)
            if tree_of(path).body and not ast.get_docstring(tree_of(path))
        ]
    )


def test_every_test_states_a_behaviour() -> None:
    """A test opens with a docstring."""
    none_of(
        [
            f"{name_of(path)}:{node.lineno} {node.name}"
            for path in sources("tests")
            for node in ast.walk(tree_of(path))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and node.name.startswith("test_")
            and not ast.get_docstring(node)
        ]
    )


def test_one_word_for_one_thing() -> None:
    """Words of other programs for our things stand nowhere, in code or documents."""
    pattern = re.compile(rf"(?<![a-z])({'|'.join(BANNED_WORDS)})(?![a-rt-z])", re.IGNORECASE)
    documents = [*ROOT.glob("*.md"), *(ROOT / "deploy").rglob("*.toml"), ROOT / "pyproject.toml"]
    offenders = []
    for path in [*sources(*FOLDERS), *documents]:
        if path == Path(__file__).resolve():
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            for match in pattern.finditer(line):
                word = BANNED_WORDS[match[1].lower()]
                offenders.append(f"{name_of(path)}:{number} says {match[1]}: say {word}")
    none_of(offenders)


def test_nothing_runs_what_came_from_outside() -> None:
    """No shell, no eval, no pickle, anywhere."""
    offenders = wrong_imports(sources(*FOLDERS), "pickle", "marshal", "shelve")
    for path in sources(*FOLDERS):
        for called, node in calls(path):
            through_shell = any(
                word.arg == "shell" and not _is_false(word.value) for word in node.keywords
            )
            if through_shell or called in ("eval", "exec", "os.system", "os.popen"):
                offenders.append(f"{name_of(path)}:{node.lineno} calls {called}")
    none_of(offenders)


def _is_false(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is False


def test_no_input_is_checked_by_assert() -> None:
    """What is installed works the same under `python -O`: it has no assert at all."""
    none_of(
        [
            f"{name_of(path)}:{node.lineno} asserts"
            for path in sources(*PACKAGES, "deploy")
            for node in ast.walk(tree_of(path))
            if isinstance(node, ast.Assert)
        ]
    )
