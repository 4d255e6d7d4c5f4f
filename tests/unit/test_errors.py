"""Exception classes: their common root, their names, and the trees of them in docstrings."""

from __future__ import annotations

import ast
import builtins
import inspect
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import triton_operator
from tests.paths import ROOT
from triton_operator import sdk
from triton_operator.api import errors as api_errors
from triton_operator.cluster import errors as cluster_errors
from triton_operator.errors import TritonOperatorError
from triton_operator.sdk import errors as sdk_errors

PACKAGE = ROOT / "operator" / "triton_operator"
INSIDE_TRITON = PACKAGE / "cpu_server" / "backend"
"""Runs where the package is not installed (`triton_operator.errors`)."""

TRITONS_OWN = "TritonModelException"
"""Of `triton_python_backend_utils`, which exists only inside Triton."""

BUILT_IN = {name for name, kind in vars(builtins).items() if isinstance(kind, type) and issubclass(kind, BaseException)}
NODE = re.compile(r"^(?P<indent>[ │├└─]*)(?P<name>\w+Error)\b")


def _exceptions() -> dict[str, tuple[Path, list[str]]]:
    """Each exception class of the source folders: its name, its file and the names of its bases."""
    classes = {
        node.name: (path, [_last_name(base) for base in node.bases])
        for folder in ("operator", "hack", "training")
        for path in sorted((ROOT / folder).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
    }
    by_name: dict[str, tuple[Path, list[str]]] = {}
    while new := {
        name: at
        for name, at in classes.items()
        if name not in by_name and any(base in BUILT_IN or base in by_name for base in at[1])
    }:
        by_name.update(new)
    return by_name


def _last_name(base: ast.expr) -> str:
    return base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "")


def _descends(name: str, classes: dict[str, tuple[Path, list[str]]]) -> bool:
    return name == TritonOperatorError.__name__ or any(
        _descends(base, classes) for base in classes.get(name, (PACKAGE, []))[1]
    )


def test_every_exception_class_ends_in_error() -> None:
    """Also those that derive from another class of this project, which a linter does not recognise as an exception."""
    classes = _exceptions()
    assert len(classes) > 50
    assert [name for name in classes if not name.endswith("Error")] == []


def test_no_two_exception_classes_have_the_same_name() -> None:
    """So an `except` has the same meaning in every package."""
    named = Counter(
        node.name
        for folder in ("operator", "hack", "training")
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef) and node.name.endswith("Error")
    )
    assert [name for name, count in named.items() if count > 1] == []


def test_every_exception_class_of_the_package_has_the_common_root() -> None:
    """One `except` catches every intended exception of the package."""
    classes = _exceptions()
    assert [
        f"{path.relative_to(PACKAGE)}: {name}"
        for name, (path, _) in classes.items()
        if path.is_relative_to(PACKAGE) and not path.is_relative_to(INSIDE_TRITON) and not _descends(name, classes)
    ] == []


def test_the_root_is_exported() -> None:
    """From the package and from the SDK, whose errors derive from it."""
    assert triton_operator.TritonOperatorError is sdk.TritonOperatorError is TritonOperatorError
    assert issubclass(sdk.SdkError, TritonOperatorError)


def _drawn(text: str) -> Iterator[tuple[str, str]]:
    """Each class of a tree with its parent, which is empty for the root."""
    above: list[tuple[int, str]] = []
    for line in text.splitlines():
        if not (node := NODE.match(line)):
            continue
        depth = len(node["indent"])
        above = [each for each in above if each[0] < depth]
        yield node["name"], above[-1][1] if above else ""
        above.append((depth, node["name"]))


@pytest.mark.parametrize("module", [api_errors, cluster_errors, sdk_errors], ids=lambda module: module.__name__)
def test_the_tree_in_the_docstring_is_the_tree_of_the_classes(module: object) -> None:
    """Each class of the module is below its base, and the tree has no other class."""
    own = [
        kind
        for kind in vars(module).values()
        if inspect.isclass(kind) and issubclass(kind, Exception) and kind.__module__ == getattr(module, "__name__", "")
    ]
    drawn = dict(_drawn(inspect.getdoc(module) or ""))
    root = TritonOperatorError.__name__
    assert drawn.pop(root) == ""
    assert drawn == {kind.__name__: kind.__bases__[0].__name__ for kind in own}


NAMED = re.compile(r"\b[Rr]aises ((?:[A-Z]\w+(?:, or |, | or | and )?)+)")


def _docstrings() -> Iterator[tuple[Path, str]]:
    for folder in ("operator", "hack", "training"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                    yield path, ast.get_docstring(node) or ""


def test_docstrings_name_errors_that_exist() -> None:
    """After an error is renamed, its documentation must be, too."""
    known = {*_exceptions(), *BUILT_IN, TRITONS_OWN}
    named = [
        (path.relative_to(ROOT), name)
        for path, text in _docstrings()
        for names in NAMED.findall(" ".join(text.split()))
        for name in re.findall(r"\w+", names)
        if name[0].isupper()
    ]
    assert len(named) > 150
    assert [f"{path}: {name}" for path, name in named if name not in known] == []
