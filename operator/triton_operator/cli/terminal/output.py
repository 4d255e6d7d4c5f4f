"""Print data as JSON or YAML, or tables.

Input: plain data. Output: text on standard output, in color only on a terminal. Names and messages may come from
anyone, so control characters and commands of CI systems are escaped here.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast

import msgspec
import typer

from triton_operator.api.text import escape, escape_commands
from triton_operator.cli.failures import CommandFailedError
from triton_operator.cli.terminal.formats import ManifestFormat, OutputFormat
from triton_operator.cli.terminal.harmless_lines import HarmlessLines

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
    sys.stdout.write(_without_marks(json.dumps(msgspec.to_builtins(value), separators=(",", ":"))) + "\n")


def to_json(value: Any) -> str:
    """Indented JSON with Unicode text, or only ASCII if the text contains control characters."""
    readable = json.dumps(value, indent=2, ensure_ascii=False)
    return (readable if _is_harmless(readable) else _without_marks(json.dumps(value, indent=2))) + "\n"


def _without_marks(document: str) -> str:
    """JSON without `##`, which begins commands of CI systems; it can occur only in strings."""
    return document.replace("##", r"#\u0023")


def to_yaml(values: Sequence[Any]) -> str:
    """A YAML stream in insertion order; text as in `to_json`."""
    import yaml

    readable: str = yaml.safe_dump_all(
        values, sort_keys=False, allow_unicode=True, explicit_start=len(values) > 1, width=120
    )
    return readable if _is_harmless(readable) else _quoted_yaml(values)


def _quoted_yaml(values: Sequence[Any]) -> str:
    """YAML whose strings are as in JSON, without line breaks that could put any text at the start of a line."""
    import yaml

    class Quoting(yaml.SafeDumper):
        """Quotes strings that can only be written with escapes."""

    def represent(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
        quoted = '"' if escape(text) != text else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=quoted)

    Quoting.add_representer(str, represent)
    text: str = yaml.dump_all(
        values, Dumper=Quoting, sort_keys=False, allow_unicode=False, explicit_start=len(values) > 1, width=math.inf
    )
    return "\n".join(map(escape_commands, text.split("\n")))


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

    If that is not a terminal, the output is not colored or truncated, and may be the log of a CI system.
    """
    from rich.console import Console

    stream = to or sys.stdout
    if stream.isatty():
        return Console(file=to, highlight=False)
    return Console(file=cast("TextIO", HarmlessLines(stream)), highlight=False, width=200)


def table(heads: Iterable[str], rows: Iterable[Sequence[str]]) -> Table:
    """A table without borders, as in kubectl; cells are printed without markup or control characters."""
    from rich.table import Table

    grid = Table(box=None, pad_edge=False, header_style="bold")
    for head in heads:
        grid.add_column(head, overflow="fold")
    for row in rows:
        grid.add_row(*map(plain_text, row))
    return grid
