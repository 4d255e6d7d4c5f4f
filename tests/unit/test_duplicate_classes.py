"""A class name stands for one thing, and a type is declared once, in `operator` and in `hack`."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

from tests.paths import ROOT

FOLDERS = ("operator", "hack")
FEWEST_FIELDS = 3
"""Types with fewer fields may be alike: a name with a value is not always the same thing."""

SAME_NAME = {"TritonPythonModel": "Triton's Python backend looks for a class of this name in each model"}
SAME_FIELDS = {
    ("cli/lint/code.py:ForwardArgument", "cpu_server/backend/interface.py:Argument"): (
        "the pod's backend is copied into the server's folder and cannot import the package"
    ),
    ("api/scan.py:ScanFinding", "cli/privacy/report.py:ReportedFinding"): (
        "the report always has all fields, and its format stays as it is if the status changes"
    ),
    ("cluster/observed.py:PodEvent", "reconcile/transitions.py:NewEvent"): (
        "what other programs reported, and what the operator is going to report"
    ),
    ("triton/prepare_contract/outcome.py:PrepareFailed", "triton/server/log.py:ServerFailure"): (
        "one is the format of messages between two releases of the operator, the other is read from a log"
    ),
}


def classes(files: dict[str, str]) -> Iterator[tuple[str, ast.ClassDef]]:
    """Each class with its file, also those inside functions and conditions."""
    for path, source in files.items():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ClassDef):
                yield path, node


def repeated_names(files: dict[str, str]) -> dict[str, list[str]]:
    """Names that several classes have, with their files; an underscore at the beginning does not distinguish them."""
    places = defaultdict(list)
    for path, node in classes(files):
        places[node.name.lstrip("_")].append(path)
    return {name: paths for name, paths in places.items() if len(paths) > 1}


def alike(files: dict[str, str]) -> set[tuple[str, str]]:
    """Pairs `file:class` in two packages whose own fields have the same names and types."""
    places = defaultdict(list)
    for path, node in classes(files):
        if len(fields := _fields(node)) >= FEWEST_FIELDS:
            places[fields].append((path, node.name))
    return {
        (f"{one[0]}:{one[1]}", f"{other[0]}:{other[1]}")
        for found in places.values()
        for one, other in combinations(sorted(found), 2)
        if Path(one[0]).parent != Path(other[0]).parent
    }


def _fields(node: ast.ClassDef) -> frozenset[tuple[str, str]]:
    fields = (each for each in node.body if isinstance(each, ast.AnnAssign))
    return frozenset((ast.unparse(each.target), ast.unparse(each.annotation)) for each in fields)


def sources() -> dict[str, str]:
    paths = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    names = {path: str(path.relative_to(ROOT)).removeprefix("operator/triton_operator/") for path in paths}
    return {name: path.read_text() for path, name in names.items()}


def test_a_class_name_stands_for_one_thing() -> None:
    """Give a new class another name, private ones included, or use the existing class."""
    files = sources()
    assert len(files) > 300
    assert repeated_names(files).keys() == SAME_NAME.keys()


def test_no_type_is_declared_twice() -> None:
    """Use the existing type or a subclass of it, or accept the pair with a reason."""
    assert alike(sources()) == set(SAME_FIELDS)


ROW = "class Row:\n    name: str\n    value: float\n    note: str = ''\n"


def test_private_and_nested_classes_count() -> None:
    """The positive control of the first test."""
    files = {"a/x.py": ROW, "b/y.py": "def make():\n    class _Row:\n        pass\n", "c/z.py": "class Rows: ...\n"}
    assert repeated_names(files) == {"Row": ["a/x.py", "b/y.py"]}


def test_order_and_defaults_do_not_hide_a_copy() -> None:
    """The positive control of the second test; other types of the fields are another type."""
    copied = "class Line:\n    note: str\n    value: float = 0\n    name: str\n"
    assert alike({"a/x.py": ROW, "b/y.py": copied}) == {("a/x.py:Row", "b/y.py:Line")}
    assert alike({"a/x.py": ROW, "b/y.py": copied.replace("float", "int")}) == set()
    assert alike({"a/x.py": ROW, "a/y.py": copied}) == set()
