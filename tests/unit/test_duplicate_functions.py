"""One implementation of each thing: no two functions of the source have the same shape in two files.

The shape of a function is its syntax tree without names, annotations, decorators, docstring and the values of
constants. A pair that has to stay is in ACCEPTED, with the reason.
"""

from __future__ import annotations

import ast
import copy
from collections import defaultdict
from itertools import combinations
from pathlib import Path

from tests.paths import ROOT

FOLDERS = ("operator", "hack", "training")
MOST_LINES = 6
"""Functions with as many lines, docstring left out, may be alike: a shorter one is often an idiom."""

ACCEPTED = {
    ("hack/cache.py:atomic_folder", "operator/triton_operator/local/folders.py:atomic_folder"): (
        "`hack` creates the Python environment in which the package can be imported, and the package is installed "
        "without `hack`"
    ),
}


class _Anonymous(ast.NodeTransformer):
    """Removes the parts that may differ between two functions of the same shape."""

    def visit_Name(self, node: ast.Name) -> ast.AST:
        node.id = "name"
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.arg, node.annotation = "argument", None
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        node.attr = "attribute"
        return node

    def visit_keyword(self, node: ast.keyword) -> ast.AST:
        self.generic_visit(node)
        node.arg = "keyword" if node.arg else None
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        node.value = type(node.value).__name__
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        self.generic_visit(node)
        node.annotation = ast.Name("annotation")
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self._function(node)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        node.name, node.returns, node.decorator_list, node.body = "function", None, [], _body(node) or [ast.Pass()]
        self.generic_visit(node)
        return node


def _body(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.stmt]:
    """Its statements without the docstring."""
    return function.body[1:] if ast.get_docstring(function, clean=False) is not None else function.body


def _lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of the function without its decorators and its docstring."""
    whole = (function.end_lineno or 0) - function.lineno + 1
    docstring = function.body[0] if len(_body(function)) < len(function.body) else None
    return whole - ((docstring.end_lineno or 0) - docstring.lineno + 1 if docstring else 0)


def shapes(source: str) -> list[tuple[str, str]]:
    """Name and shape of each longer function of a file."""
    return [
        (node.name, ast.dump(_Anonymous().visit(copy.deepcopy(node))))
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _lines(node) > MOST_LINES
    ]


def alike(files: dict[str, str]) -> set[tuple[str, str]]:
    """Pairs `file:function` of the same shape in two files."""
    by_shape: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for path, source in files.items():
        for name, shape in shapes(source):
            by_shape[shape].append((path, name))
    return {
        (f"{one[0]}:{one[1]}", f"{other[0]}:{other[1]}")
        for places in by_shape.values()
        for one, other in combinations(sorted(places), 2)
        if one[0] != other[0]
    }


def _sources() -> dict[str, str]:
    paths: list[Path] = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    return {str(path.relative_to(ROOT)): path.read_text() for path in paths}


def test_no_function_is_written_twice() -> None:
    """Merge a new pair into one function, or accept it with a reason."""
    files = _sources()
    assert len(files) > 300
    assert alike(files) == set(ACCEPTED)


FIRST = '''
def total(rows: list[int], limit: int) -> int:
    """Add up."""
    result = 0
    for row in rows:
        if row > limit:
            continue
        result += row
    print("total", result)
    return result
'''
RENAMED = """
def summe(werte, most):
    ergebnis = 1
    for wert in werte:
        if wert > most:
            continue
        ergebnis += wert
    print("Summe", ergebnis)
    return ergebnis
"""


def test_names_texts_and_numbers_do_not_hide_a_copy() -> None:
    """The positive control of the test above, with a function that differs in one operator."""
    assert alike({"a.py": FIRST, "b.py": RENAMED}) == {("a.py:total", "b.py:summe")}
    assert alike({"a.py": FIRST, "b.py": RENAMED.replace(">", "<")}) == set()


def test_short_functions_may_be_alike() -> None:
    """They are usually idioms, not copies."""
    short = FIRST.replace("        if row > limit:\n            continue\n", "")
    assert alike({"a.py": short, "b.py": short}) == set()
