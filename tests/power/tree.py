"""Copies of the tree to make changes in: one for each worker, the tree itself is never touched.

A copy holds what git knows and what is new, but nothing that is ignored. The programs that run in
it must import the copy's packages although the project is installed from the tree: `check` makes
sure of that. No bytecode is ever written, or a change of the same length within the same second
would run as the code before it.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.power.mutants import Mutant

PACKAGES: Final = ("common", "leaf", "superpeer", "deploy")
DIGESTED: Final = (".py", ".toml")
_WHENCE: Final = (
    "import importlib, sys\nfor name in sys.argv[1:]: print(importlib.import_module(name).__file__)"
)
_LISTED: Final = ("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z")


class CopyError(RuntimeError):
    """A copy cannot be used; the text is one sentence."""


class Copy:
    """A tree below `root`; `scratch` is beside it, for what runs in it."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "tree"
        self.scratch = folder / "scratch"
        self.scratch.mkdir(parents=True, exist_ok=True)

    @classmethod
    def of(cls, root: Path, folder: Path) -> "Copy":
        """A copy of the checkout at `root`; CopyError where that is none."""
        listed = subprocess.run(_LISTED, cwd=root, capture_output=True, check=False)
        if listed.returncode:
            raise CopyError(f"{root} is no git checkout: {listed.stderr.decode().strip()}")
        copy = cls(folder)
        for name in filter(None, listed.stdout.decode().split("\0")):
            source, target = root / name, copy.root / name
            if source.is_file():  # deleted, or a link to a folder
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)
        return copy

    def again(self, folder: Path) -> "Copy":
        """One more like it."""
        copy = Copy(folder)
        shutil.copytree(self.root, copy.root)
        return copy

    @contextmanager
    def changed(self, mutant: Mutant | None) -> Iterator[None]:
        """With this change (None: as it is) for as long as the block runs."""
        if mutant is None:
            yield
            return
        path = self.root / mutant.file
        before = path.read_bytes()
        path.write_bytes(mutant.mutated(before))
        try:
            yield
        finally:
            path.write_bytes(before)

    def digest(self) -> str:
        """What tells this tree from others: its programs and tables, names and bytes."""
        found = [path for path in self.root.rglob("*") if path.suffix in DIGESTED]
        digest = hashlib.sha256()
        for path in sorted(found):
            name, data = path.relative_to(self.root).as_posix(), path.read_bytes()
            digest.update(f"{name}\0{len(data)}\0".encode() + data)
        return digest.hexdigest()

    @property
    def environment(self) -> dict[str, str]:
        """For programs that run here: this copy's modules come first, and nothing is kept."""
        kept = {name: value for name, value in os.environ.items() if not _leads_astray(name)}
        return {
            **kept,
            "PYTHONPATH": str(self.root),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONHASHSEED": "0",
            "HYPOTHESIS_STORAGE_DIRECTORY": str(self.scratch / "hypothesis"),
            "TMPDIR": str(self.scratch),
            "COLUMNS": "200",  # pytest cuts what it says to the width of the terminal
        }

    def check(self) -> None:
        """CopyError unless programs that run here import what stands here."""
        there = [name for name in PACKAGES if (self.root / name / "__init__.py").is_file()]
        ran = subprocess.run(
            [sys.executable, "-c", _WHENCE, *there],
            cwd=self.root,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        found = [Path(line).resolve() for line in ran.stdout.splitlines()]
        here = self.root.resolve()
        if ran.returncode or not all(each.is_relative_to(here) for each in found):
            said = (ran.stdout + ran.stderr).strip()
            raise CopyError(f"what runs in {here} imports other packages: {said}")


def _leads_astray(name: str) -> bool:
    """Whether a variable changes what Python or pytest runs."""
    return name.startswith(("PYTHON", "PYTEST_", "COV_"))
