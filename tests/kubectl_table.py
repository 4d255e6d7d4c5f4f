"""Reproduce the output of `kubectl get` for a custom resource, with the columns of the CRD."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml

_CRD = Path(__file__).parents[1] / "crds" / "modeldeployments.yaml"
_PADDING = 3
_STEP = re.compile(r'\.(\w+)|\[\?\(@\.(\w+)==(?:"([^"]*)"|(\w+))\)\]')
"""One step of a column's JSON path: a member, or the elements with a member of a given value."""


def get_md(*objects: dict[str, Any], age: timedelta = timedelta(minutes=2), wide: bool = False) -> str:
    """The output of `kubectl get md` for these ModelDeployments, which all have the same age."""
    (version,) = yaml.safe_load(_CRD.read_text())["spec"]["versions"]
    columns = [column for column in version["additionalPrinterColumns"] if wide or not column.get("priority")]
    heads = ["NAME", *(column["name"].upper() for column in columns)]
    rows = [[body["metadata"]["name"], *(_cell(column, body, age) for column in columns)] for body in objects]
    return lay_out([heads, *rows])


def lay_out(rows: Sequence[Sequence[str]]) -> str:
    """Lay out rows in columns as wide as their widest cell plus three spaces, without trailing spaces."""
    widths = [max(map(len, column)) + _PADDING for column in zip(*rows, strict=True)]
    lines = ("".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _cell(column: dict[str, Any], body: dict[str, Any], age: timedelta) -> str:
    if column["type"] == "date":
        return _age(age)
    value = next(iter(_follow(column["jsonPath"], body)), None)
    return "<none>" if value is None else str(value)


def _follow(path: str, body: dict[str, Any]) -> Iterable[Any]:
    values: list[Any] = [body]
    assert "".join(match[0] for match in _STEP.finditer(path)) == path, f"{path} has a step that is not supported here"
    for member, key, text, word in _STEP.findall(path):
        if member:
            values = [each[member] for each in values if isinstance(each, dict) and member in each]
        else:
            value = text or {"true": True, "false": False}[word]
            values = [item for each in values for item in each if item.get(key) == value]
    return values


def _age(age: timedelta) -> str:
    seconds = int(age.total_seconds())
    return f"{seconds}s" if seconds < 120 else f"{seconds // 60}m"
