"""The classic mutation operators, over a syntax tree, as edits of the text.

The text is edited and not written anew, so that lines keep their numbers and the rest of a file its
form. Left alone is what no behaviour hangs on: docstrings, annotations, texts, `__repr__`, tables
of a class (`ClassVar`), named values of a module (limits and tunings are chosen, not right or
wrong), notes for the log and counts for people. A node inside an f-string has no place in 3.11.
"""

import ast
import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from tests.power.mutants import Edit

_COMPARISONS: Final[dict[type[ast.cmpop], tuple[bytes, bytes]]] = {
    ast.Lt: (rb"<", b"<="),
    ast.LtE: (rb"<=", b"<"),
    ast.Gt: (rb">", b">="),
    ast.GtE: (rb">=", b">"),
    ast.Eq: (rb"==", b"!="),
    ast.NotEq: (rb"!=", b"=="),
    ast.In: (rb"\bin\b", b"not in"),
    ast.NotIn: (rb"\bnot\s+in\b", b"in"),
    ast.Is: (rb"\bis\b", b"is not"),
    ast.IsNot: (rb"\bis\s+not\b", b"is"),
}
_SIGNS: Final[dict[type[ast.operator], tuple[bytes, bytes]]] = {
    ast.Add: (rb"\+", b"-"),
    ast.Sub: (rb"-", b"+"),
}
_NO_NUMBERS: Final = (ast.List, ast.Tuple, ast.ListComp, ast.JoinedStr)  # a sum of these joins them
_EMPTY: Final = {"list": b"[]", "tuple": b"()"}
_COUNTS: Final = ("_count", "_drop", "dropped")  # how often what was dropped, for people
_NOTES: Final = ("Notify", "_note")


class Site(NamedTuple):
    """One place where one operator applies."""

    line: int
    operator: str
    edits: tuple[Edit, ...]


class _Finder(ast.NodeVisitor):
    """Gathers the sites of one file; what it does not visit is left alone."""

    def __init__(self, source: bytes) -> None:
        self._source = source
        self._starts = [0]
        for line in source.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))
        self._function = ""
        self._empty: bytes | None = None  # what the function may return instead of something
        self.sites: list[Site] = []

    # --- what is walked over ----------------------------------------------------------------

    def visit_Module(self, node: ast.Module) -> None:
        for each in node.body:
            if isinstance(each, ast.ClassDef | ast.FunctionDef):
                self.visit(each)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._walk(node.body)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        if node.name == "__repr__":
            return
        before = self._function, self._empty
        returns = node.returns.value if isinstance(node.returns, ast.Subscript) else None
        self._function = node.name
        self._empty = _EMPTY.get(returns.id) if isinstance(returns, ast.Name) else None
        self._walk(node.body)
        self._function, self._empty = before

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self._drop_assignment(node, [node.target])
        if node.value is not None and "ClassVar" not in ast.unparse(node.annotation):
            self.visit(node.value)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        pass

    def visit_Call(self, node: ast.Call) -> None:
        if _last_name(node.func) not in _NOTES:
            self.generic_visit(node)

    def _walk(self, body: Sequence[ast.stmt]) -> None:
        for each in body:
            is_text = isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant)
            is_slots = isinstance(each, ast.Assign) and _last_name(each.targets[0]) == "__slots__"
            if not is_text and not is_slots:
                self.visit(each)

    # --- conditions -------------------------------------------------------------------------

    def visit_If(self, node: ast.If) -> None:
        self._negate(node.test)
        self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self._negate(node.test)
        self.generic_visit(node)

    def _negate(self, test: ast.expr) -> None:
        begin, end = self._span(test)
        self._add(test, "negate-if", Edit(begin, begin, b"not ("), Edit(end, end, b")"))

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        other = b"or" if isinstance(node.op, ast.And) else b"and"
        word = rb"\band\b" if isinstance(node.op, ast.And) else rb"\bor\b"
        pairs = zip(node.values, node.values[1:], strict=False)
        self._add(node, "swap-logic", *[self._between(*pair, word, other) for pair in pairs])
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        operands = [node.left, *node.comparators]
        for at, op in enumerate(node.ops):
            word, other = _COMPARISONS[type(op)]
            edit = self._between(operands[at], operands[at + 1], word, other)
            self._add(operands[at], "swap-comparison", edit)
        self.generic_visit(node)

    # --- values -----------------------------------------------------------------------------

    def visit_BinOp(self, node: ast.BinOp) -> None:
        sign = _SIGNS.get(type(node.op))
        if sign is not None and not (_joins(node.left) or _joins(node.right)):
            self._add(node, "swap-sign", self._between(node.left, node.right, *sign))
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        begin, end = self._span(node)
        if isinstance(node.value, bool):
            self._add(node, "flip-truth", Edit(begin, end, str(not node.value).encode()))
        elif isinstance(node.value, int | float):
            less = node.value - 1
            text = f"({less})" if less < 0 else f"{less}"
            self._add(node, "plus-one", Edit(begin, end, f"{node.value + 1}".encode()))
            self._add(node, "minus-one", Edit(begin, end, text.encode()))

    def visit_Return(self, node: ast.Return) -> None:
        if node.value is None:
            return
        begin, end = self._span(node.value)
        if self._empty is not None and self._source[begin:end] != self._empty:
            self._add(node, "return-empty", Edit(begin, end, self._empty))
        self.visit(node.value)

    # --- statements -------------------------------------------------------------------------

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Call) and _last_name(node.value.func) not in _COUNTS:
            self._drop(node)
        self.visit(node.value)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if not any(name in _COUNTS for name in _names(node.target)):
            self._drop(node)
            self.generic_visit(node)

    def visit_Delete(self, node: ast.Delete) -> None:
        self._drop(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        self._drop_assignment(node, node.targets)
        self.generic_visit(node)

    def visit_Continue(self, node: ast.Continue) -> None:
        self._add(node, "break-for-continue", Edit(*self._span(node), b"break"))

    def _drop_assignment(self, node: ast.stmt, targets: Sequence[ast.expr]) -> None:
        """An assignment to a member, but not its first one: without that nothing runs at all."""
        inner = [part for each in targets for part in getattr(each, "elts", [each])]
        if self._function != "__init__" and all(_is_member(each) for each in inner):
            self._drop(node)

    def _drop(self, node: ast.stmt) -> None:
        self._add(node, "drop-statement", Edit(*self._span(node), b"pass"))

    # --- places -----------------------------------------------------------------------------

    def _span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        begin = self._starts[node.lineno - 1] + node.col_offset
        return begin, self._starts[(node.end_lineno or 1) - 1] + (node.end_col_offset or 0)

    def _between(self, left: ast.expr, right: ast.expr, word: bytes, other: bytes) -> Edit:
        """The operator between two operands, exchanged."""
        begin, end = self._span(left)[1], self._span(right)[0]
        found = re.search(word, self._source[begin:end])
        if found is None:
            raise LookupError(f"no {word!r} in {self._source[begin:end]!r}")
        return Edit(begin + found.start(), begin + found.end(), other)

    def _add(self, node: ast.expr | ast.stmt, operator: str, *edits: Edit) -> None:
        self.sites.append(Site(node.lineno, operator, edits))


def sites(source: bytes) -> list[Site]:
    """Every place of a file where an operator applies, by line."""
    finder = _Finder(source)
    finder.visit(ast.parse(source))
    return sorted(finder.sites, key=lambda site: (site.line, site.operator, site.edits))


def statements(source: bytes) -> int:
    """How many statements a file has, texts that stand alone not counted."""
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.stmt)]
    texts = [node for node in nodes if isinstance(node, ast.Expr) and _is_constant(node.value)]
    return len(nodes) - len(texts)


def _is_constant(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant)


def _last_name(node: ast.expr) -> str:
    """The name that an expression ends in: `c` of `a.b.c`."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _names(node: ast.AST) -> Iterator[str]:
    for each in ast.walk(node):
        if isinstance(each, ast.Attribute):
            yield each.attr


def _is_member(node: ast.expr) -> bool:
    """Whether this is `self.x`, or something of it."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
        if isinstance(node, ast.Name):
            return node.id == "self"
    return False


def _joins(node: ast.expr) -> bool:
    """Whether a sum with this one puts things together instead of adding."""
    if isinstance(node, ast.BinOp):
        return _joins(node.left) or _joins(node.right)
    text = isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)
    return text or isinstance(node, _NO_NUMBERS)
