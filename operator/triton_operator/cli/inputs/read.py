"""Read inference inputs given on the command line.

Input: file names (`-` is standard input) or texts, and a function that returns the model's interface. Output: a
request. Each format has its own reader, which is imported only when it is needed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from triton_operator.cli.failures import UsageError
from triton_operator.cli.inputs.input_format import InputFormat, detect_format
from triton_operator.files import FileTooLargeError, read_file, read_stream
from triton_operator.sdk.interface import ModelInterface
from triton_operator.sdk.protocol_json import RequestBody

MAX_BYTES = 256 << 20
"""Maximum size of a file. Triton's own limit for a request over HTTP is 64 MiB by default."""


@dataclass(frozen=True)
class CommandInput:
    """A request, the format of the file, and, for a table, the names of each input's columns."""

    request: RequestBody
    input_format: InputFormat
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def read_input(
    files: Sequence[Path], texts: Sequence[str], interface: Callable[[], ModelInterface], *, invert: bool = False
) -> CommandInput:
    """Read the files or texts; calls `interface` unless a file is a complete request. Raises UsageError."""
    if bool(files) == bool(texts):
        raise UsageError("--input, --text: pass either files (- is standard input) or texts")
    if texts:
        from triton_operator.cli.inputs.texts import read_texts

        return CommandInput(RequestBody(read_texts(texts, interface(), "--text")), InputFormat.TEXT)
    contents = [(_name(file), _content(file)) for file in files]
    formats = {name: detect_format(content, file) for file, (name, content) in zip(files, contents, strict=True)}
    if set(formats.values()) == {InputFormat.IMAGE}:
        from triton_operator.cli.inputs.images import read_images

        return CommandInput(RequestBody(read_images(contents, interface(), invert=invert)), InputFormat.IMAGE)
    if len(contents) > 1:
        raise UsageError(
            f"--input {contents[1][0]}: only images can be passed as several files; put other rows into one file"
        )
    ((name, content),) = contents
    return _read_file(formats[name], content, interface, name)


def _read_file(
    input_format: InputFormat, content: bytes, interface: Callable[[], ModelInterface], name: str
) -> CommandInput:
    if input_format is InputFormat.JSON:
        from triton_operator.cli.inputs.json_file import read_json

        return CommandInput(read_json(content, interface, name), input_format)
    if input_format is InputFormat.TABLE:
        from triton_operator.cli.inputs.tables import read_table

        table = read_table(content, interface(), name)
        return CommandInput(RequestBody(table.inputs), input_format, table.names)
    from triton_operator.cli.inputs.texts import lines_of, read_texts

    return CommandInput(RequestBody(read_texts(lines_of(content, name), interface(), name)), input_format)


def _name(file: Path) -> str:
    return "standard input" if str(file) == "-" else str(file)


def _content(file: Path) -> bytes:
    try:
        if str(file) == "-":
            return read_stream(sys.stdin.buffer, MAX_BYTES)
        return read_file(file, MAX_BYTES)
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror or error}") from error
    except FileTooLargeError:
        raise UsageError(f"{_name(file)}: is larger than {MAX_BYTES >> 20} MiB, the limit of one request") from None
