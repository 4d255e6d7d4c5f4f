"""Printing: one value as JSON or YAML, or a table for a person.

Input: plain data. Output: text on standard output; colours only where that is a terminal. Names and messages may come
from anybody: characters that steer a terminal are escaped here, where they are printed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import typer

from triton_operator.api.text import escape
from triton_operator.cli.terminal.formats import ManifestFormat, OutputFormat

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text


def print_data(value: Any, form: OutputFormat | ManifestFormat) -> None:
    """Print a value for a program; `form` is json or yaml."""
    plain = msgspec.to_builtins(value)
    sys.stdout.write(to_json(plain) if form == OutputFormat.JSON else to_yaml([plain]))


def say(line: str, *, err: bool = False) -> None:
    """Print a line that may hold anybody's words (names of files, messages of programs): it stays one line."""
    typer.echo(escape(line), err=err)


def print_objects(objects: Sequence[Any], form: ManifestFormat) -> None:
    """Print Kubernetes objects so that `kubectl apply -f -` reads them: a YAML stream or one JSON List."""
    plain = msgspec.to_builtins(list(objects))  # Enumerations become their text, shared parts copies of their own.
    if form is ManifestFormat.YAML:
        sys.stdout.write(to_yaml(plain))
    else:
        sys.stdout.write(to_json({"apiVersion": "v1", "kind": "List", "items": plain}))


def print_json_line(value: Any) -> None:
    """Print a value as one line, for programs that read a stream."""
    sys.stdout.write(json.dumps(msgspec.to_builtins(value), separators=(",", ":")) + "\n")


def to_json(value: Any) -> str:
    """Indented JSON; text stays readable in every script, unless some would steer a terminal: then all is ASCII."""
    readable = json.dumps(value, indent=2, ensure_ascii=False)
    return (readable if _is_harmless(readable) else json.dumps(value, indent=2)) + "\n"


def to_yaml(values: Sequence[Any]) -> str:
    """A YAML stream, members in the order in which they were built; text as in `to_json`."""
    import yaml

    def dump(*, allow_unicode: bool) -> str:
        text: str = yaml.safe_dump_all(
            values, sort_keys=False, allow_unicode=allow_unicode, explicit_start=len(values) > 1, width=120
        )
        return text

    readable = dump(allow_unicode=True)
    return readable if _is_harmless(readable) else dump(allow_unicode=False)


def _is_harmless(document: str) -> bool:
    return all(escape(line) == line for line in document.split("\n"))


def plain_text(words: str, style: str = "") -> Text:
    """Words for rich: never taken as markup, in one line, and without what would steer a terminal."""
    from rich.text import Text

    return Text(escape(words), style)


def console() -> Console:
    """Where tables go. In a pipe it neither colours nor cuts: lines are as wide as they need."""
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else 200)


def table(heads: Iterable[str], rows: Iterable[Sequence[str]]) -> Table:
    """A table without frame, as kubectl prints them; the text is never taken as markup, and cannot steer a terminal."""
    from rich.table import Table

    grid = Table(box=None, pad_edge=False, header_style="bold")
    for head in heads:
        grid.add_column(head, overflow="fold")
    for row in rows:
        grid.add_row(*map(plain_text, row))
    return grid
