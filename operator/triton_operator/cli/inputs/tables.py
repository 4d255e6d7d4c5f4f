"""Read CSV: one row of the batch per line, with columns by name or all together.

Input: the content of a file, and the model's interface. Output: an array for each input. Columns named like inputs
fill them; if the model has one input, it can take all columns in their order. The names of the columns are returned.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from triton_operator.cli.failures import UsageError
from triton_operator.cli.inputs.input_format import are_numbers
from triton_operator.cli.inputs.model_input import located
from triton_operator.cli.inputs.texts import decode_text
from triton_operator.sdk.errors import InvalidRequestError
from triton_operator.sdk.inputs import place_of, prepare_inputs
from triton_operator.sdk.interface import ModelInterface, TensorInterface
from triton_operator.sdk.tensors import Array
from triton_operator.sdk.values import to_array
from triton_operator.triton.model_file.signature import ANY

_BOOLEANS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_DELIMITERS = (",", ";", "\t")
_QUOTED = re.compile(r'"(?:[^"]|"")*"')

Line = tuple[int, list[str]]
"""Number of a line in the file, and its cells."""


@dataclass(frozen=True)
class Table:
    """An array for each input, and the names of its columns; no names if the first line has none."""

    inputs: dict[str, Array]
    names: dict[str, tuple[str, ...]]


def read_table(content: bytes, interface: ModelInterface, source: str) -> Table:
    """Return the table as the model's inputs; raises UsageError with line and column."""
    lines = _lines(decode_text(content, source), source)
    names = None if are_numbers(lines[0][1]) else [cell.strip() for cell in lines[0][1]]
    rows = lines if names is None else lines[1:]
    if not rows:
        raise UsageError(f"{source}: has a header line, but no rows")
    width = len(lines[0][1])
    for number, cells in rows:
        if len(cells) != width:
            raise UsageError(f"{source}: line {number} has {len(cells)} columns, the first line has {width}")
    columns = _columns(names, width, interface, source)
    titles = names or [str(index + 1) for index in range(width)]
    values = {tensor.name: _input(rows, indexes, tensor, titles, source) for tensor, indexes in columns}
    with located(source):
        inputs = prepare_inputs(interface, values)
    return Table(inputs, {tensor.name: tuple(names[each] for each in at) for tensor, at in columns} if names else {})


def find_delimiter(text: str) -> str:
    """The delimiter that occurs as often in the first line as in the last, or the first one in the first line.

    Names can contain delimiters, quoted or not.
    """
    lines = [line for line in _QUOTED.sub("", text).splitlines() if line.strip(" ")] or [""]
    found = [mark for mark in _DELIMITERS if mark in lines[0]]
    alike = [mark for mark in found if lines[0].count(mark) == lines[-1].count(mark)]
    return (alike or found or [","])[0]


def _lines(text: str, source: str) -> list[Line]:
    """The lines that are not empty."""
    if not text.strip():
        raise UsageError(f"{source}: is empty")
    reader = csv.reader(io.StringIO(text), delimiter=find_delimiter(text), strict=True, skipinitialspace=True)
    try:
        lines = [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except csv.Error as error:
        raise UsageError(f"{source}: line {reader.line_num}: is not CSV: {error}") from error
    if not lines:
        raise UsageError(f"{source}: all cells are empty")
    return lines


def _columns(
    names: list[str] | None, width: int, interface: ModelInterface, source: str
) -> Sequence[tuple[TensorInterface, Sequence[int]]]:
    """The indexes of the columns that fill each input."""
    required = {tensor.name for tensor in interface.inputs if tensor.optional is not True}
    named = [
        (tensor, [at for at, name in enumerate(names or ()) if name == tensor.name]) for tensor in interface.inputs
    ]
    filled = [(tensor, at) for tensor, at in named if at]
    if filled and required <= {tensor.name for tensor, _ in filled}:
        return filled
    if len(interface.inputs) != 1:
        found = f"the columns are {', '.join(names)}" if names else "the first line is not a header"
        raise UsageError(f"{source}: {interface.shown}; each needs a column with its name, but {found}")
    (tensor,) = interface.inputs
    if tensor.row_size not in {None, width}:
        raise UsageError(f"{source}: has {width} columns, but a row of {tensor.named} has {tensor.row_size} values")
    return [(tensor, range(width))]


def _input(
    rows: Sequence[Line], columns: Sequence[int], tensor: TensorInterface, titles: Sequence[str], source: str
) -> Array:
    """The columns of all rows as one array."""
    row = (len(columns),) if tensor.row == (ANY,) else tensor.row
    if ANY in row or math.prod(row) != len(columns):
        raise UsageError(f"{source}: {len(columns)} columns do not fill a row of {tensor.named}; use JSON instead")
    cells = [
        (cell[at].strip(), f"{source}: line {number}, column {titles[at]}") for number, cell in rows for at in columns
    ]
    values = [_value(cell, tensor, place) for cell, place in cells]
    try:
        array = to_array(values, tensor, place_of(tensor.name))
    except InvalidRequestError:
        for value, (_, place) in zip(values, cells, strict=True):
            with located(place):
                to_array(value, tensor, place_of(tensor.name))
        raise
    return array.reshape(len(rows), *row) if tensor.batched or len(rows) > 1 else array.reshape(row)


def _value(cell: str, tensor: TensorInterface, place: str) -> Any:
    """A cell as the Python value of the tensor's type; the SDK checks its range."""
    try:
        if tensor.datatype == "BYTES":
            return cell
        if tensor.datatype == "BOOL":
            return _BOOLEANS[cell.lower()]
        if tensor.datatype.startswith(("INT", "UINT")):
            return int(cell)
        value = float(cell)
    except (ValueError, KeyError) as error:
        raise UsageError(f"{place}: {cell!r} is not {tensor.datatype} (for {tensor.name})") from error
    if math.isinf(value) and "inf" not in cell.lower():
        raise UsageError(f"{place}: {cell} is out of range (for {tensor.name})")
    return value
