"""Print data as JSON or YAML, or tables.

Input: plain data. Output: text on standard output, in color only on a terminal. Names and messages may come from
anyone, so control characters are escaped here.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import msgspec
import typer

from triton_operator.api.text import escape
from triton_operator.cli.failures import CommandFailedError
from triton_operator.cli.terminal.formats import ManifestFormat, OutputFormat

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text


def print_data(value: Any, form: OutputFormat | ManifestFormat) -> None:
    """Print a value as JSON or YAML; `form` says which."""
    plain = msgspec.to_builtins(value)
    sys.stdout.write(to_json(plain) if form == OutputFormat.JSON else to_yaml([plain]))


def say(line: str, *, err: bool = False) -> None:
    """Print one line that may contain untrusted text, such as file names or messages of programs."""
    typer.echo(escape(line), err=err)


def print_objects(objects: Sequence[Any], form: ManifestFormat) -> None:
    """Print Kubernetes objects for `kubectl apply -f -`: as a YAML stream or as one JSON List."""
    plain = msgspec.to_builtins(list(objects))  # Converts enums to text, and copies shared parts.
    if form is ManifestFormat.YAML:
        sys.stdout.write(to_yaml(plain))
    else:
        sys.stdout.write(to_json({"apiVersion": "v1", "kind": "List", "items": plain}))


def print_json_line(value: Any) -> None:
    """Print a value as one line of JSON, for programs that read a stream."""
    sys.stdout.write(json.dumps(msgspec.to_builtins(value), separators=(",", ":")) + "\n")


def to_json(value: Any) -> str:
    """Indented JSON with Unicode text, or only ASCII if the text contains control characters."""
    readable = json.dumps(value, indent=2, ensure_ascii=False)
    return (readable if _is_harmless(readable) else json.dumps(value, indent=2)) + "\n"


def to_yaml(values: Sequence[Any]) -> str:
    """A YAML stream in insertion order; text as in `to_json`."""
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
    """Text for rich, without markup or control characters, on one line."""
    from rich.text import Text

    return Text(escape(words), style)


def write_result(text: str, file: Path | None) -> None:
    """Print a result, or write it to a file as UTF-8; raises CommandFailedError."""
    if file is None:
        typer.echo(text, nl=not text.endswith("\n"))
        return
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandFailedError(f"{file}: {error.strerror or error}") from error


def console(to: TextIO | None = None) -> Console:
    """The console for tables, by default on standard output.

    If that is not a terminal, the output is not colored or truncated.
    """
    from rich.console import Console

    return Console(file=to, highlight=False, width=None if (to or sys.stdout).isatty() else 200)


def table(heads: Iterable[str], rows: Iterable[Sequence[str]]) -> Table:
    """A table without borders, as in kubectl; cells are printed without markup or control characters."""
    from rich.table import Table

    grid = Table(box=None, pad_edge=False, header_style="bold")
    for head in heads:
        grid.add_column(head, overflow="fold")
    for row in rows:
        grid.add_row(*map(plain_text, row))
    return grid
