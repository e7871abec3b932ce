"""The project's own source as syntax trees, for the tests that hold its shape."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("common", "leaf", "superpeer")
FOLDERS = (*PACKAGES, "deploy", "tests")
ROLES = ("leaf", "superpeer")
ASSEMBLY = ("__main__.py", "assembly.py", "cli.py", "client.py", "settings.py")


class Imported:
    """One import of a file: the module, the name taken from it, the line."""

    def __init__(self, module: str, name: str, line: int) -> None:
        self.module, self.name, self.line = module, name, line

    def within(self, package: str) -> bool:
        """Whether this is the package or something in it."""
        full = f"{self.module}.{self.name}"
        return full == package or full.startswith(package + ".")


def sources(*folders: str) -> list[Path]:
    """All Python files of these folders."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def name_of(path: Path) -> str:
    """As errors call it."""
    return path.relative_to(ROOT).as_posix()


def is_shell(path: Path) -> bool:
    """FLOOR 2."""
    return name_of(path).startswith("common/shell/")


def is_assembly(path: Path) -> bool:
    """FLOOR 3."""
    parts = path.relative_to(ROOT).parts
    return parts[0] in ROLES and (path.name in ASSEMBLY or parts[1] == "commands")


CORES = [path for path in sources(*PACKAGES) if not is_shell(path) and not is_assembly(path)]


@cache
def tree_of(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports(path: Path) -> Iterator[Imported]:
    """Everything a file imports, wherever in it."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Imported(alias.name, "", node.lineno)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            for alias in node.names:
                yield Imported(module, alias.name, node.lineno)


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """Every call with the text of what is called."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def none_of(offenders: list[str]) -> None:
    """Fail with all offenders, one a line."""
    if offenders:
        pytest.fail("\n" + "\n".join(offenders), pytrace=False)


def wrong_imports(paths: list[Path], *packages: str) -> list[str]:
    """Imports of these packages by these files."""
    return [
        f"{name_of(path)}:{each.line} imports {each.module}"
        for path in paths
        for each in imports(path)
        if any(each.within(package) for package in packages)
    ]
