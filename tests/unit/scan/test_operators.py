"""The list of denied operators agrees with the operators of the installed torch."""

from __future__ import annotations

import re
import subprocess
import sys

import torch

from triton_operator.scan.operators import BUILT_IN, BUILT_IN_CLASSES, DENIED, METHODS, NETWORK_NAMESPACES

_NAME = re.compile(r"(?<![a-z])(file|load|save|read|write|open|exec|library)(?![a-z])")
_ARGUMENT = re.compile(r"(?<![a-z])(file|filename|path|url|host|port|library)(?![a-z])")

HARMLESS = {"aten::einsum": "`path` is the order of the products"}
"""Operators whose name or argument looks like one that opens a file or a connection, and why it is not denied."""


def schemas() -> list[torch._C.FunctionSchema]:
    found: list[torch._C.FunctionSchema] = torch._C._jit_get_all_schemas()
    return found


def namespace(name: str) -> str:
    return name.partition("::")[0]


def suspicious() -> set[str]:
    """Operators of this torch with such a word in their name or the name of an argument."""
    found = set()
    for schema in schemas():
        name = schema.name.partition("::")[2].lower()
        opens = _NAME.search(name) or any(_ARGUMENT.search(argument.name.lower()) for argument in schema.arguments)
        if opens or "python" in name or "rpc" in name:
            found.add(schema.name)
    return {name for name in found if namespace(name) not in NETWORK_NAMESPACES}


def test_every_suspicious_operator_is_denied_or_explained() -> None:
    found = suspicious()
    assert {"aten::save", "aten::from_file", "prim::PythonOp"} <= found  # The search finds something.
    assert found - DENIED.keys() - HARMLESS.keys() == set()


def test_every_denied_operator_exists() -> None:
    assert DENIED.keys() - {schema.name for schema in schemas()} == set()


TORCH_ALONE = """
import torch
for schema in torch._C._jit_get_all_schemas():
    print("operator", schema.name.partition("::")[0])
for schema in torch._C._jit_get_custom_class_schemas():
    if schema.arguments and str(schema.arguments[0].type).startswith("__torch__.torch.classes."):
        print("class", str(schema.arguments[0].type).split(".")[3])
"""


def test_the_namespaces_of_torch_are_known() -> None:
    """Asked of a new process, because other tests import packages that register operators."""
    lines = subprocess.run([sys.executable, "-c", TORCH_ALONE], capture_output=True, text=True, check=True).stdout
    found = {tuple(line.split()) for line in lines.splitlines()}
    assert {name for kind, name in found if kind == "operator"} - BUILT_IN == set()
    assert {name for kind, name in found if kind == "class"} - BUILT_IN_CLASSES == set()
    assert ("operator", "aten") in found


def test_namespaces_with_process_groups_are_denied_as_a_whole() -> None:
    groups = {
        namespace(schema.name)
        for schema in schemas()
        if any(argument.name in {"group_name", "process_group"} for argument in schema.arguments)
    }
    assert groups
    assert groups - NETWORK_NAMESPACES == set()


def test_operators_without_a_namespace_are_found_by_their_name() -> None:
    assert {"save", "from_file"} == METHODS
