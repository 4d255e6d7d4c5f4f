"""Compare the outputs of a module and of its exported form, on examples and on inputs generated from them.

Input: a module, its replacement, and examples. Output: the signature that fits all outputs, and the largest difference
between the outputs. `exporter` and `aotinductor` call it. Requires torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch.jit._trace import TopLevelTracedModule

from triton_operator.export.drawing import drawn_arguments, generator, uniform_arguments
from triton_operator.export.errors import ExportError
from triton_operator.export.forward_runs import Forward, ForwardRun, call_forward, record_run
from triton_operator.export.naming import choose_input_names, choose_output_names
from triton_operator.export.rows import check_row_counts, check_rows, check_twice
from triton_operator.export.state import check_state, copy_unused
from triton_operator.export.tensors import Value, difference, read_tensors, read_values
from triton_operator.export.tolerance import TOLERANCE, for_another_order
from triton_operator.triton.model_file.signature import Signature

_BATCHES = (1, 3, 8)
"""Batch sizes of generated inputs, limited by the maximum of the model: one row, an odd number, a full vector
register."""

_SAME_SHAPE = 2
"""Number of generated inputs for each example of a model without a batch dimension."""


class ExportOptions(NamedTuple):
    """The model name, the names of its tensors (() for names by position), and the maximum batch size (0: no batch).

    `tolerance` is the largest permitted difference between the outputs of the module and of the exported model.
    """

    name: str
    input_names: tuple[str, ...] = ()
    output_names: tuple[str, ...] = ()
    max_batch_size: int = 0
    tolerance: float = TOLERANCE


class RecordedRuns(NamedTuple):
    """The runs of the module, and the signature that fits all of them."""

    signature: Signature
    runs: tuple[ForwardRun, ...]


class Comparison(NamedTuple):
    """The result of a comparison: the signature, the largest difference, and the runs that were compared."""

    signature: Signature
    difference: float
    runs: tuple[ForwardRun, ...]


def record_runs(
    module: Forward, examples: Sequence[Sequence[Value]], options: ExportOptions, arguments: Sequence[str]
) -> RecordedRuns:
    """Run the module on all inputs; check that rows are independent and no state is kept. Raises ExportError.

    `arguments` are the argument names of forward(), which Triton accepts as input names.
    """
    with torch.random.fork_rng(devices=[]):  # Does not change the program's random state.
        return _record_runs(module, examples, options, arguments)


def _record_runs(
    module: Forward, examples: Sequence[Sequence[Value]], options: ExportOptions, arguments: Sequence[str]
) -> RecordedRuns:
    for each in examples:
        read_values(tuple(each), "an example has")
    unused = copy_unused(module)
    on_examples = [record_run(module, each) for each in examples]
    if not on_examples[0].outputs:
        raise ExportError("forward() returned no output; Triton needs at least one, so return a tensor")
    inputs = choose_input_names(arguments, options.input_names, len(on_examples[0].arguments))
    names = choose_output_names(options.output_names, len(on_examples[0].outputs))
    if any(len(each.outputs) != len(names) for each in on_examples):
        raise ExportError("forward() returns more outputs for one example than for another")
    if options.max_batch_size:
        for run in on_examples:
            check_row_counts(run, names)
        check_twice(module, on_examples[0], names)
    generated = list(_generated_runs(module, examples, options.max_batch_size))
    shown = [*on_examples[:1], *generated[:1], *generated[1:][-1:]]
    check_state(module, unused, shown, names, options.tolerance)
    runs = [*on_examples, *generated]
    if options.max_batch_size:
        for run in generated:
            check_row_counts(run, names)
        if options.max_batch_size > 1:
            runs += check_rows(
                module, runs, names, for_another_order(module, options.tolerance), options.max_batch_size
            )
    batched = options.max_batch_size > 0
    signature = Signature(
        inputs=read_tensors(inputs, [each.arguments for each in on_examples], batched=batched),
        outputs=read_tensors(names, [each.outputs for each in runs], batched=batched),
        max_batch_size=options.max_batch_size,
    )
    return RecordedRuns(signature, tuple(runs))


def compare(recorded: RecordedRuns, compiled: Forward, options: ExportOptions) -> float:
    """Return the largest difference between the recorded outputs and those of `compiled`; raises ExportError."""
    return max(_compare(each, compiled, options.tolerance) for each in recorded.runs)


def _generated_runs(module: Forward, examples: Sequence[Sequence[Value]], max_batch_size: int) -> Iterator[ForwardRun]:
    """Run the module on generated values and batch sizes; inputs that the module rejects are skipped.

    Generated numbers may be invalid, for example as an index. This is not an error of the exported form.
    """
    source = generator()
    batches = [min(size, max_batch_size) for size in _BATCHES] if max_batch_size else [0] * _SAME_SHAPE
    for example in examples:
        for rows in batches:
            generated = drawn_arguments(example, rows, source)
            for arguments in (generated, uniform_arguments(generated, source)) if not rows else (generated,):
                try:
                    yield record_run(module, arguments)
                except ExportError:
                    continue


def _compare(run: ForwardRun, compiled: Forward, tolerance: float) -> float:
    """Compare one run with the same number of rows; raises ExportError."""
    try:
        outputs = call_forward(compiled, run.arguments, "the compiled module returned")
    except ExportError as error:
        message = "the compiled module fails for an input that the module accepts"
        raise ExportError(f"{message}: {str(error).partition(': ')[2] or error}{_advice(compiled)}") from error
    furthest = difference(run.outputs, outputs)
    if not furthest <= tolerance:
        raise ExportError(
            f"the outputs of the compiled module differ by {furthest:g}, and {tolerance:g} is allowed. "
            "Tracing keeps one path through `if` and `for`; random numbers differ from call to call"
        )
    return furthest


def _advice(compiled: Forward) -> str:
    is_scripted = isinstance(compiled, torch.jit.ScriptModule) and not isinstance(compiled, TopLevelTracedModule)
    return "; if no `if` depends on values, use trace=True, which records one run" if is_scripted else ""
