"""Whether the rows of a batch are independent, so that Triton may put requests of several callers into one batch.

Input: a module and batches with their answers. Output: the further questions that were asked, or ExportError that
names the output, and by how much it differs. `questions` calls it. Needs torch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import torch

from triton_operator.export.drawing import End, drawn_arguments, filled, generator, padded, scaled, uniform_arguments
from triton_operator.export.errors import ExportError
from triton_operator.export.forward_runs import (
    Float64Module,
    Forward,
    Run,
    call_forward,
    describe_difference,
    record_run,
)
from triton_operator.export.tensors import Value, difference, joined, rows_of

_MOST_ROWS = 8
"""Rows of a batch that are also asked alone."""

_LARGEST = 64
"""Rows of the largest batch that is asked, which takes as much memory as the server needs for it."""

_SCALES = (1.0, 1e-3, 1e3, 0.0, math.nan)
"""Factors of the rows next to a row that stays the same; zeros and NaN are included."""

_ROUNDING = 1e-3
"""Part of the tolerance within which answers in float64 are the same."""

_ADVICE = (
    "so one caller's request would change the answer to another. Leave max_batch_size out (0), or let forward() treat "
    "each row independently: no statistics, maximum, softmax, sorting or sum over the first dimension or the whole "
    "tensor (the scale of torch's dynamic quantisation is such a maximum)"
)


def check_row_counts(run: Run, names: Sequence[str]) -> None:
    """Every output has as many rows as the inputs; raises ExportError."""
    rows = {rows_of(each) for each in run.arguments}
    if len(rows) > 1 or 0 in rows:
        raise _no_batch("the inputs have " + ", ".join(map(_shown, run.arguments)))
    (asked,) = rows
    for name, value in zip(names, run.outputs, strict=True):
        if rows_of(value) != asked or _shown(value) == "no dimensions":
            raise _no_batch(f"output {name} has {_shown(value)} for {asked} row{'s' * (asked > 1)}")


def check_twice(module: Forward, run: Run, names: Sequence[str]) -> None:
    """Two batches in one: a module that knows one batch size alone, or sums over it, is found; raises ExportError."""
    twice = record_run(module, [joined(each) for each in run.arguments])
    for name, once, both in zip(names, run.outputs, twice.outputs, strict=True):
        if rows_of(both) != 2 * rows_of(once):
            raise ExportError(
                f"a batch of twice the size does not give twice the rows: output {name} has {_shown(both)} for "
                f"{rows_of(twice.arguments[0])} rows, so the model cannot be batched; leave max_batch_size out"
            )


def check_rows(module: Forward, batches: Sequence[Run], names: Sequence[str], tolerance: float, most: int) -> list[Run]:
    """Ask rows alone, and among others; the questions of single rows. Raises ExportError when an answer depends."""
    reference = Float64Module(module)
    few = min(most, _MOST_ROWS)
    alone: list[Run] = []
    for batch in batches:
        first = batch if rows_of(batch.arguments[0]) <= few else record_run(module, _rows(batch.arguments, 0, few))
        alone += _check_alone(module, first, range(rows_of(first.arguments[0])), names, tolerance, reference)
    for batch in batches:
        _check_beside_others(module, batch.arguments, names, tolerance, few)
    if most > few:
        varied = max(batches, key=lambda batch: rows_of(batch.arguments[0]))
        largest = _largest(module, varied, min(most, _LARGEST))
        check_row_counts(largest, names)
        last = rows_of(largest.arguments[0]) - 1
        alone += _check_alone(module, largest, (0, last // 2, last), names, tolerance, reference)
    return alone


def _largest(module: Forward, example: Run, rows: int) -> Run:
    """The rows of an example again and again; raises ExportError."""
    times = -(-rows // rows_of(example.arguments[0]))
    try:
        return record_run(module, [_rows([joined(each, times)], 0, rows)[0] for each in example.arguments])
    except ExportError as error:
        raise ExportError(
            f"the module does not answer {rows} rows, which max_batch_size allows: "
            f"{str(error).partition(': ')[2] or error}. Give a smaller max_batch_size"
        ) from error


def _check_alone(
    module: Forward,
    batch: Run,
    chosen: Iterable[int],
    names: Sequence[str],
    tolerance: float,
    reference: Float64Module,
) -> list[Run]:
    rows = rows_of(batch.arguments[0])
    found: list[Run] = []
    for row in chosen:
        arguments = _rows(batch.arguments, row, 1)
        try:
            alone = record_run(module, arguments)
        except ExportError as error:
            raise ExportError(
                f"the rows of a batch influence each other, or their number is fixed: the module answers {rows} rows, "
                f"but not row {row} of them alone, which is what a single caller sends: "
                f"{str(error).partition(': ')[2] or error}. Leave max_batch_size out (0), or let forward() take any "
                "number of rows; normalisation in training mode takes its statistics from the batch"
            ) from error
        check_row_counts(alone, names)
        among = _rows(batch.outputs, row, 1)
        if not difference(alone.outputs, among) <= tolerance and not _is_rounding(
            reference, batch.arguments, row, tolerance
        ):
            name, by = describe_difference(alone.outputs, among, names)
            raise ExportError(
                f"the rows of a batch influence each other: output {name} of one row differs {by} in a batch of {rows} "
                f"from what the row alone gets ({tolerance:g} is allowed), {_ADVICE}"
            )
        found.append(alone)
    return found


def _is_rounding(reference: Float64Module, batch: Sequence[Value], row: int, tolerance: float) -> bool:
    """Whether the difference is one of kernels: in float64 it is gone."""
    among, alone = reference.call(batch), reference.call(_rows(batch, row, 1))
    if among is None or alone is None:
        return False
    return difference(alone, _rows(among, row, 1)) <= tolerance * _ROUNDING


def _check_beside_others(
    module: Forward, example: Sequence[Value], names: Sequence[str], tolerance: float, most: int
) -> None:
    """If one row of a batch stays the same and the others change, its output must be identical."""
    source = generator()
    for place, own_row in ((0, list), (most - 1, list), (most - 1, padded)):
        first = own_row(drawn_arguments(example, most, source))
        before = _try_run(module, first)
        if before is None:
            continue
        own = _rows(before.outputs, place, 1)
        for others in _others(example, first, place, most, source):
            after = _try_run(module, [_with_row(each, mine, place) for each, mine in zip(others, first, strict=True)])
            if after is None:
                continue
            now = _rows(after.outputs, place, 1)
            if not difference(own, now) <= tolerance:
                name, by = describe_difference(own, now, names)
                raise ExportError(
                    f"the rows of a batch influence each other: output {name} of one row differs {by} when the other "
                    f"{most - 1} rows of its batch are others ({tolerance:g} is allowed), {_ADVICE}"
                )


def _others(
    example: Sequence[Value], first: Sequence[Value], place: int, most: int, source: torch.Generator
) -> Iterator[list[Value]]:
    """Rows of other callers: larger, smaller, undefined, all alike, further than the example goes, and the same row."""
    for scale in _SCALES:
        yield scaled(drawn_arguments(uniform_arguments(example, source), most, source), scale)
    for end in End:
        yield filled(drawn_arguments(example, most, source), end)
    yield [each[place : place + 1] * most if isinstance(each, list) else each[[place] * most] for each in first]


def _try_run(module: Forward, arguments: Sequence[Value]) -> Run | None:
    """None where the module does not take what was drawn: a number that is no index, for instance."""
    try:
        return Run(arguments, call_forward(module, arguments, "forward() returned"))
    except ExportError:
        return None


def _rows(values: Sequence[Value], start: int, count: int) -> list[Value]:
    return [each[start : start + count] for each in values]


def _with_row(others: Value, own: Value, row: int) -> Value:
    if isinstance(others, list) or isinstance(own, list):
        return [*others[:row], *own[row : row + 1], *others[row + 1 :]]
    return torch.cat([others[:row], own[row : row + 1], others[row + 1 :]])


def _no_batch(found: str) -> ExportError:
    return ExportError(
        f"with max_batch_size the first dimension of every input and output is the batch, and here it is not: {found}. "
        "A row for each thing found in the input belongs to no one caller; leave max_batch_size out (0) for a model "
        "without a batch, or give every row of the batch as many places and pad them"
    )


def _shown(value: Value) -> str:
    if isinstance(value, list):
        return f"{len(value)} texts"
    return f"shape {list(value.shape)}" if value.dim() else "no dimensions"
