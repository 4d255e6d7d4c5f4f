"""Printing: one value as JSON or YAML, or a table for a person.

Enters: plain data. Leaves: text on standard output; colours only where that is a terminal.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from triton_operator.cli.options import Format, ManifestFormat

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def print_data(value: Any, form: Format | ManifestFormat) -> None:
    """Print a value for a program; `form` is json or yaml."""
    plain = msgspec.to_builtins(value)
    sys.stdout.write(to_json(plain) if form == Format.JSON else to_yaml([plain]))


def print_objects(objects: Sequence[Any], form: ManifestFormat) -> None:
    """Print Kubernetes objects so that `kubectl apply -f -` reads them: a YAML stream or one JSON List."""
    plain = msgspec.to_builtins(list(objects))  # Enumerations become their text, shared parts copies of their own.
    if form is ManifestFormat.YAML:
        sys.stdout.write(to_yaml(plain))
    else:
        sys.stdout.write(to_json({"apiVersion": "v1", "kind": "List", "items": plain}))


def to_json(value: Any) -> str:
    """Indented JSON; text stays readable in every script."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def to_yaml(values: Sequence[Any]) -> str:
    """A YAML stream, members in the order in which they were built."""
    import yaml

    return yaml.safe_dump_all(values, sort_keys=False, allow_unicode=True, explicit_start=len(values) > 1, width=120)


def console() -> Console:
    """Where tables go. In a pipe it neither colours nor cuts: lines are as wide as they need."""
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else 200)


def table(heads: Iterable[str], rows: Iterable[Sequence[str]]) -> Table:
    """A table without frame, as kubectl prints them; the text is taken as it is, never as markup."""
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=None, pad_edge=False, header_style="bold")
    for head in heads:
        grid.add_column(head, overflow="fold")
    for row in rows:
        grid.add_row(*(Text(cell) for cell in row))
    return grid
