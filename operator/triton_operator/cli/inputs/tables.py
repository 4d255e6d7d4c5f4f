"""CSV as tensors: a line for each row of the batch, columns by name or all together.

Input: the text of a file, and the model. Output: an array for each input. Columns called like inputs go there; a model
of one input may take all columns at once, in their order. The names in the first line are kept for who asks for them.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from triton_operator.cli.failures import UsageError
from triton_operator.cli.inputs.declared import Model, Tensor, numpy_type, stack
from triton_operator.cli.inputs.texts import decoded
from triton_operator.sdk.tensors import Array
from triton_operator.triton.model_file.signature import ANY

_TRUTH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


_MARKS = (",", ";", "\t")
_QUOTED = re.compile(r'"(?:[^"]|"")*"')


@dataclass(frozen=True)
class Table:
    """An array for each input, and what the columns of each are called; no names where the first line has none."""

    inputs: dict[str, Array]
    names: dict[str, tuple[str, ...]]


def read_table(content: bytes, model: Model, source: str) -> Table:
    """The table as the model's inputs; raises UsageError that names line and column."""
    lines = _lines(decoded(content, source), source)
    heads = None if all_numbers(lines[0][1]) else [cell.strip() for cell in lines[0][1]]
    rows = lines if heads is None else lines[1:]
    if not rows:
        raise UsageError(f"{source}: has a line of names and no row")
    width = len(lines[0][1])
    for number, cells in rows:
        if len(cells) != width:
            raise UsageError(f"{source}: line {number} has {len(cells)} columns, the first line {width}")
    columns = _columns(heads, width, model, source)
    titles = heads or [str(index + 1) for index in range(width)]
    inputs = {
        tensor.name: stack([_row(cells, at, tensor, titles, f"{source}: line {number}") for number, cells in rows],
                           tensor, source)
        for tensor, at in columns
    }  # fmt: skip
    return Table(inputs, {tensor.name: tuple(heads[each] for each in at) for tensor, at in columns} if heads else {})


def _lines(text: str, source: str) -> list[tuple[int, list[str]]]:
    """The lines that are not empty, with their numbers."""
    if not text.strip():
        raise UsageError(f"{source}: is empty")
    reader = csv.reader(io.StringIO(text), delimiter=delimiter(text), strict=True, skipinitialspace=True)
    try:
        lines = [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except csv.Error as error:
        raise UsageError(f"{source}: line {reader.line_num}: is not CSV: {error}") from error
    if not lines:
        raise UsageError(f"{source}: has no cell with anything in it")
    return lines


def delimiter(text: str) -> str:
    """What parts the cells: the mark that is as often in the first line as in the last, or the first one there.

    A name may have marks in it, within quotation marks or not.
    """
    lines = [line for line in _QUOTED.sub("", text).splitlines() if line.strip(" ")] or [""]
    found = [mark for mark in _MARKS if mark in lines[0]]
    alike = [mark for mark in found if lines[0].count(mark) == lines[-1].count(mark)]
    return (alike or found or [","])[0]


def _columns(heads: list[str] | None, width: int, model: Model, source: str) -> list[tuple[Tensor, Sequence[int]]]:
    """Which columns make which input."""
    names = [tensor.name for tensor in model.inputs]
    if heads is not None and set(names) <= set(heads):
        return [(tensor, [at for at, head in enumerate(heads) if head == tensor.name]) for tensor in model.inputs]
    if len(model.inputs) > 1:
        said = f"the columns are {', '.join(heads)}" if heads else "there is no line of names"
        raise UsageError(f"{source}: {model.shown}; give each a column of its name, and {said}")
    (tensor,) = model.inputs
    if tensor.values not in {None, width}:
        raise UsageError(
            f"{source}: has {width} columns, and the model takes {tensor.shown}: {tensor.values} values a row"
        )
    return [(tensor, range(width))]


def _row(cells: list[str], columns: Sequence[int], tensor: Tensor, titles: list[str], place: str) -> Array:
    values = [_value(cells[at].strip(), tensor, f"{place}, column {titles[at]}") for at in columns]
    wanted = [len(values) if size == ANY and len(tensor.row) == 1 else size for size in tensor.row]
    array = np.array(values, dtype=numpy_type(tensor, place))
    if ANY in wanted or array.size != np.prod(wanted, dtype=int):
        raise UsageError(f"{place}: {len(values)} columns do not make {tensor.shown}; send JSON")
    return array.reshape(wanted)


def _value(cell: str, tensor: Tensor, place: str) -> Any:
    """One cell in the tensor's type, without loss of what was written."""
    kind = numpy_type(tensor, place)
    try:
        if tensor.datatype == "BYTES":
            return cell
        if tensor.datatype == "BOOL":
            return _TRUTH[cell.lower()]
        if issubclass(kind, np.floating):
            return float(cell)
        whole = int(cell)
    except (ValueError, KeyError) as error:
        raise UsageError(f"{place}: {cell!r} is no {tensor.datatype} (for {tensor.name})") from error
    limits = np.iinfo(kind)  # type: ignore[type-var]  # What is neither text, truth nor float is an integer.
    if not limits.min <= whole <= limits.max:
        raise UsageError(f"{place}: {cell} is no {tensor.datatype} (for {tensor.name})")
    return whole


def all_numbers(cells: list[str]) -> bool:
    """Whether a line is no line of names."""
    try:
        return bool([float(cell) for cell in cells])
    except ValueError:
        return False
