"""No core depends on the order of a set, which differs from run to run."""

import ast
import re
from collections.abc import Iterator

import pytest

from tests.source_code import CORES, name_of, none_of, tree_of


class SetIterations(ast.NodeVisitor):
    """Finds where the order of a set could decide: loops, unpacking, `list(...)`, `.pop()`.

    A set is what is written as one, made by `set()`, an operation on keys, or a name or attribute
    that is annotated or assigned as one anywhere in the file. `sorted`, `len`, `in` are harmless.
    """

    ORDERED = ("list", "tuple", "iter", "enumerate", "zip", "map", "filter", "reversed", "dict")

    def __init__(self, tree: ast.Module) -> None:
        self.lines: list[int] = []
        self._sets = {ast.unparse(target) for target in self._targets(tree)}
        self.visit(tree)

    def _targets(self, tree: ast.Module) -> Iterator[ast.expr]:
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and self._is_set(node.value):
                yield from node.targets
            elif isinstance(node, ast.AnnAssign) and self._names_set(node.annotation):
                yield node.target
            elif isinstance(node, ast.arg) and node.annotation and self._names_set(node.annotation):
                yield ast.Name(node.arg)

    @staticmethod
    def _names_set(annotation: ast.expr) -> bool:
        return bool(
            re.match(r"(set|frozenset|Set|AbstractSet|MutableSet)\b", ast.unparse(annotation))
        )

    def _is_set(self, node: ast.expr) -> bool:
        if isinstance(node, ast.Set | ast.SetComp):
            return True
        if isinstance(node, ast.Call):
            return ast.unparse(node.func) in ("set", "frozenset")
        if isinstance(node, ast.BinOp) and isinstance(
            node.op, ast.BitAnd | ast.BitOr | ast.Sub | ast.BitXor
        ):
            return any(
                self._is_set(side) or self._is_keys(side) for side in (node.left, node.right)
            )
        return ast.unparse(node) in getattr(self, "_sets", ())

    @staticmethod
    def _is_keys(node: ast.expr) -> bool:
        return isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".keys")

    def _check(self, node: ast.expr) -> None:
        if self._is_set(node):
            self.lines.append(node.lineno)

    def visit_For(self, node: ast.For) -> None:
        self._check(node.iter)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        self._check(node.iter)
        self.generic_visit(node)

    def visit_SetComp(self, node: ast.SetComp) -> None:
        for clause in node.generators:  # a set made of a set: no order comes in
            self.generic_visit(clause)
        self.visit(node.elt)

    def visit_Starred(self, node: ast.Starred) -> None:
        self._check(node.value)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        called = ast.unparse(node.func)
        if called in self.ORDERED or called.endswith((".join", ".extend", ".fromkeys")):
            for argument in node.args:
                self._check(argument)
        if isinstance(node.func, ast.Attribute) and node.func.attr == "pop" and not node.args:
            self._check(node.func.value)
        self.generic_visit(node)


def test_cores_iterate_no_set() -> None:
    """The order of a set differs from run to run, so none may decide anything in a core."""
    none_of(
        [
            f"{name_of(path)}:{line} depends on the order of a set"
            for path in CORES
            for line in SetIterations(tree_of(path)).lines
        ]
    )


@pytest.mark.parametrize(
    "text",
    [
        "for x in {1, 2}: pass",
        "a = set()\nfor x in a: pass",
        "def f(a: set[int]): return list(a)",
        "class A:\n def f(self):\n  self.b: set[int] = set()\n  return [x for x in self.b]",
        "y = [*frozenset(a)]",
        "for x in a.keys() - b: pass",
        "a = {1}\na.pop()",
    ],
)
def test_the_check_for_sets_sees(text: str) -> None:
    """The check finds the ways in which a set's order gets out."""
    assert SetIterations(ast.parse(text)).lines


@pytest.mark.parametrize(
    "text", ["sorted({1})", "a = {1: 2}\nfor x in a: pass", "1 in {1}", "a.pop('x')", "len(set(b))"]
)
def test_the_check_for_sets_passes(text: str) -> None:
    """The check leaves alone what has an order of its own."""
    assert not SetIterations(ast.parse(text)).lines
