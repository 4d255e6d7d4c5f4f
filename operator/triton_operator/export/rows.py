"""Check that the rows of a batch are independent, so that Triton may combine requests of several callers.

Input: a module, and recorded runs on batches. Output: additional runs on single rows, or ExportError with the output
and its difference. `equivalence_check` calls it. Requires torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch

from triton_operator.export.drawing import (
    SCALES,
    End,
    drawn_arguments,
    filled,
    generator,
    padded,
    scaled,
    uniform_arguments,
)
from triton_operator.export.errors import ExportError
from triton_operator.export.forward_runs import (
    Float64Module,
    Forward,
    ForwardRun,
    call_forward,
    describe_difference,
    record_run,
)
from triton_operator.export.tensors import Value, difference, joined, rows_of

_MOST_ROWS = 8
"""Maximum number of rows of a batch that are also run alone."""

_LARGEST = 64
"""Size of the largest batch that is run, which needs as much memory as on the server."""

_ROUNDING = 1e-3
"""Fraction of the tolerance within which outputs in float64 are considered equal."""

_ADVICE = (
    "so one caller's request would change another caller's outputs. Leave max_batch_size out (0), or let forward() "
    "process each row independently: no statistics, maximum, softmax, sorting or sum over the first dimension or the "
    "whole tensor (the scale of torch's dynamic quantization is such a maximum)"
)


def check_row_counts(run: ForwardRun, names: Sequence[str]) -> None:
    """Check that every output has as many rows as the inputs; raises ExportError."""
    rows = {rows_of(each) for each in run.arguments}
    if len(rows) > 1 or 0 in rows:
        raise _no_batch("the inputs have " + ", ".join(map(_shown, run.arguments)))
    (expected,) = rows
    for name, value in zip(names, run.outputs, strict=True):
        if rows_of(value) != expected or _shown(value) == "no dimensions":
            raise _no_batch(f"output {name} has {_shown(value)} for {expected} row{'s' * (expected > 1)}")


def check_twice(module: Forward, run: ForwardRun, names: Sequence[str]) -> None:
    """Check that a batch of twice the size gives twice the rows; raises ExportError.

    This detects modules with a fixed batch size, and modules that sum over the batch.
    """
    twice = record_run(module, [joined(each) for each in run.arguments])
    for name, once, both in zip(names, run.outputs, twice.outputs, strict=True):
        if rows_of(both) != 2 * rows_of(once):
            raise ExportError(
                f"a batch of twice the size does not give twice the rows: output {name} has {_shown(both)} for "
                f"{rows_of(twice.arguments[0])} rows, so the model cannot be batched; leave max_batch_size out"
            )


def check_rows(
    module: Forward, batches: Sequence[ForwardRun], names: Sequence[str], tolerance: float, most: int
) -> list[ForwardRun]:
    """Run rows alone and together with others; return the runs on single rows.

    Raises ExportError if the output of a row depends on other rows.
    """
    reference = Float64Module(module)
    few = min(most, _MOST_ROWS)
    alone: list[ForwardRun] = []
    for batch in batches:
        first = batch if rows_of(batch.arguments[0]) <= few else record_run(module, _rows(batch.arguments, 0, few))
        alone += _check_alone(module, first, range(rows_of(first.arguments[0])), names, tolerance, reference)
    _check_sizes(module, batches, names, tolerance, reference)
    for batch in batches:
        _check_beside_others(module, batch.arguments, names, tolerance, few)
    if most > few:
        varied = max(batches, key=lambda batch: rows_of(batch.arguments[0]))
        largest = _repeated(module, varied, min(most, _LARGEST))
        check_row_counts(largest, names)
        last = rows_of(largest.arguments[0]) - 1
        alone += _check_alone(module, largest, (0, last // 2, last), names, tolerance, reference)
    return alone


def _check_sizes(
    module: Forward, batches: Sequence[ForwardRun], names: Sequence[str], tolerance: float, reference: Float64Module
) -> None:
    """Check the first and the last row in batches of every size below the largest of the given; raises ExportError."""
    varied = max(batches, key=lambda batch: rows_of(batch.arguments[0]))
    for rows in range(2, min(rows_of(varied.arguments[0]), _MOST_ROWS)):
        batch = _repeated(module, varied, rows)
        check_row_counts(batch, names)
        _check_alone(module, batch, (0, rows - 1), names, tolerance, reference)


def _repeated(module: Forward, example: ForwardRun, rows: int) -> ForwardRun:
    """Repeat the rows of an example up to `rows`; raises ExportError."""
    times = -(-rows // rows_of(example.arguments[0]))
    try:
        return record_run(module, [_rows([joined(each, times)], 0, rows)[0] for each in example.arguments])
    except ExportError as error:
        raise ExportError(
            f"the module fails for {rows} rows, which max_batch_size allows: "
            f"{str(error).partition(': ')[2] or error}. Set a smaller max_batch_size"
        ) from error


def _check_alone(
    module: Forward,
    batch: ForwardRun,
    chosen: Iterable[int],
    names: Sequence[str],
    tolerance: float,
    reference: Float64Module,
) -> list[ForwardRun]:
    rows = rows_of(batch.arguments[0])
    found: list[ForwardRun] = []
    for row in chosen:
        arguments = _rows(batch.arguments, row, 1)
        try:
            alone = record_run(module, arguments)
        except ExportError as error:
            raise ExportError(
                f"the rows of a batch influence each other, or their number is fixed: the module accepts {rows} rows, "
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
                f"from its value for the row alone ({tolerance:g} is allowed), {_ADVICE}"
            )
        found.append(alone)
    return found


def _is_rounding(reference: Float64Module, batch: Sequence[Value], row: int, tolerance: float) -> bool:
    """Whether a difference is caused by rounding, because it disappears in float64."""
    among, alone = reference.call(batch), reference.call(_rows(batch, row, 1))
    if among is None or alone is None:
        return False
    return difference(alone, _rows(among, row, 1)) <= tolerance * _ROUNDING


def _check_beside_others(
    module: Forward, example: Sequence[Value], names: Sequence[str], tolerance: float, most: int
) -> None:
    """Check that the output of one row does not change if only the other rows change; raises ExportError."""
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
                    f"{most - 1} rows of its batch change ({tolerance:g} is allowed), {_ADVICE}"
                )


def _others(
    example: Sequence[Value], first: Sequence[Value], place: int, most: int, source: torch.Generator
) -> Iterator[list[Value]]:
    """Yield rows of other callers: larger, smaller, undefined, constant, out of range, and equal to the row."""
    for scale in SCALES:
        yield scaled(drawn_arguments(uniform_arguments(example, source), most, source), scale)
    for end in End:
        yield filled(drawn_arguments(example, most, source), end)
    yield [each[place : place + 1] * most if isinstance(each, list) else each[[place] * most] for each in first]


def _try_run(module: Forward, arguments: Sequence[Value]) -> ForwardRun | None:
    """Run the module; None if it rejects generated inputs, for example because a number is not a valid index."""
    try:
        return ForwardRun(arguments, call_forward(module, arguments, "forward() returned"))
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
        "If the number of output rows depends on the content of the inputs (one row per detected object, for example), "
        "the outputs cannot be split by caller; leave max_batch_size out (0) for a model without a batch, or pad the "
        "output so that every row of the batch has the same size"
    )


def _shown(value: Value) -> str:
    if isinstance(value, list):
        return f"{len(value)} texts"
    return f"shape {list(value.shape)}" if value.dim() else "no dimensions"
