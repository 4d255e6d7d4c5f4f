"""The inputs of a command line: which kind each file is, and who reads it.

Input: file names (`-` is standard input) and texts, and a way to ask what the model takes. Output: a request. The kind
is told by the content, then by the name's ending: what comes through a pipe has no name.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path

from triton_operator.cli.failures import UsageError
from triton_operator.cli.inputs.declared import Model
from triton_operator.sdk.tensors import Request

MOST_BYTES = 256 << 20
"""Larger files are no single request; Triton itself takes 64 MiB over HTTP by default."""

_PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"RIFF", b"II*\0", b"MM\0*")
_PICTURE_ENDINGS = {".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff"}
_TABLE_ENDINGS = {".csv", ".tsv"}


class Kind(Enum):
    """What a file holds."""

    PICTURE = auto()
    DOCUMENT = auto()
    TABLE = auto()
    TEXT = auto()


@dataclass(frozen=True)
class Given:
    """A request, the kind of file that it was in, and what a table calls the columns of each input."""

    request: Request
    kind: Kind
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def read_given(
    files: Sequence[Path], texts: Sequence[str], model: Callable[[], Model], *, invert: bool = False
) -> Request:
    """The request that the files or texts make; `model` is called where they do not say all. Raises UsageError."""
    return read_named(files, texts, model, invert=invert).request


def read_named(
    files: Sequence[Path], texts: Sequence[str], model: Callable[[], Model], *, invert: bool = False
) -> Given:
    """The same, with what it was read from: standard input can be read only once. Raises UsageError."""
    if bool(files) == bool(texts):
        raise UsageError("--input, --text: give one of them: files (- is standard input), or texts")
    if texts:
        from triton_operator.cli.inputs.texts import read_texts

        return Given(Request(read_texts(texts, model(), "--text")), Kind.TEXT)
    contents = [(_name(file), _content(file)) for file in files]
    kinds = {name: kind_of(content, file) for file, (name, content) in zip(files, contents, strict=True)}
    if set(kinds.values()) == {Kind.PICTURE}:
        from triton_operator.cli.inputs.pictures import read_pictures

        return Given(Request(read_pictures(contents, model(), invert=invert)), Kind.PICTURE)
    if len(contents) > 1:
        raise UsageError(f"--input {contents[1][0]}: only pictures can be several; put other rows into one file")
    ((name, content),) = contents
    return _read(kinds[name], content, model, name)


def _read(kind: Kind, content: bytes, model: Callable[[], Model], name: str) -> Given:
    if kind is Kind.DOCUMENT:
        from triton_operator.cli.inputs.documents import read_document

        return Given(read_document(content, model, name), kind)
    declared = model()
    if kind is Kind.TABLE:
        from triton_operator.cli.inputs.tables import read_table

        table = read_table(content, declared, name)
        return Given(Request(table.inputs), kind, table.names)
    from triton_operator.cli.inputs.texts import lines_of, read_texts

    return Given(Request(read_texts(lines_of(content, name), declared, name)), kind)


def kind_of(content: bytes, file: Path) -> Kind:
    """What the content is; where that can be several things, the file's ending decides, and numbers are a table."""
    ending = file.suffix.lower()
    if content.startswith(_PICTURES) or ending in _PICTURE_ENDINGS:
        return Kind.PICTURE
    if ending in _TABLE_ENDINGS:
        return Kind.TABLE
    if ending == ".txt":
        return Kind.TEXT
    start = content.lstrip()[:1]
    if ending == ".json" or start in {b"{", b"["}:
        return Kind.DOCUMENT
    return Kind.TABLE if _numbers(content) else Kind.TEXT


def _numbers(content: bytes) -> bool:
    """Whether the last line is numbers between commas, in quotation marks or not: the first may be names."""
    lines = content.decode("utf-8-sig", errors="replace").strip().splitlines()[-1:]
    cells = next(csv.reader(line.replace(";", ",").replace("\t", ",") for line in lines), [])
    try:
        return bool([float(cell) for cell in cells])
    except ValueError:
        return False


def _name(file: Path) -> str:
    return "standard input" if str(file) == "-" else str(file)


def _content(file: Path) -> bytes:
    try:
        if str(file) == "-":
            content = sys.stdin.buffer.read(MOST_BYTES + 1)
        else:
            with file.open("rb") as stream:
                content = stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror or error}") from error
    if len(content) > MOST_BYTES:
        raise UsageError(f"{_name(file)}: is larger than {MOST_BYTES >> 20} MiB, which no single request can be")
    return content
