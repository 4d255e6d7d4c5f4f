"""Asks a module and its compiled form the same questions: the examples, and others drawn from them.

Enters: a module, what answers in its place, and examples. Leaves: the signature that all of them bear out, and by how
much the answers differ. `exporter` and `aotinductor` call it. Needs torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch

from triton_operator.export.errors import ExportError
from triton_operator.export.naming import choose_input_names, choose_output_names
from triton_operator.export.tensors import Value, difference, joined, read_tensors, read_values, rows_of
from triton_operator.export.tolerance import TOLERANCE
from triton_operator.triton.signature import Signature

_BATCHES = (1, 3, 8)
"""Rows of the drawn questions, as far as the model takes as many: one alone, an odd number, a vector register full."""

_SAME_SHAPE = 2
"""Drawn questions for each example of a model without a batch."""

Ask = Callable[..., object]
"""Whatever takes the arguments of forward()."""


class Contract(NamedTuple):
    """What the user decides: the model's name, its tensors' names ("" by position), the largest batch (0: none).

    `tolerance` is the largest difference between the module's answers and those of what is exported.
    """

    name: str
    input_names: tuple[str, ...] = ()
    output_names: tuple[str, ...] = ()
    max_batch_size: int = 0
    tolerance: float = TOLERANCE


class Question(NamedTuple):
    """Arguments of forward() with what the module itself answered."""

    arguments: Sequence[Value]
    answer: Sequence[Value]


class Agreement(NamedTuple):
    """What the questions showed: the signature, the largest difference, and the questions themselves."""

    signature: Signature
    difference: float
    questions: tuple[Question, ...]


def agree(
    module: Ask, compiled: Ask, examples: Sequence[Sequence[Value]], contract: Contract, arguments: Sequence[str]
) -> Agreement:
    """Compare all answers. `arguments` are the names by which Triton may pass inputs; raises ExportError."""
    given = [_ask(module, each) for each in examples]
    drawn = list(_drawn(module, examples, contract.max_batch_size))
    furthest = 0.0
    for question in (*given, *drawn):
        answer = _answer(compiled, question.arguments, "the compiled module returned")
        furthest = max(furthest, _compare(question.answer, answer, contract.tolerance))
    if contract.max_batch_size:
        _check_batch(compiled, given[0])
    return Agreement(_signature(given, contract, arguments), furthest, (*given, *drawn))


def _signature(given: Sequence[Question], contract: Contract, arguments: Sequence[str]) -> Signature:
    inputs = choose_input_names(arguments, contract.input_names, len(given[0].arguments))
    outputs = choose_output_names(contract.output_names, len(given[0].answer))
    batched = contract.max_batch_size > 0
    sent = [read_values(tuple(each.arguments), "an example has") for each in given]
    return Signature(
        inputs=read_tensors(inputs, sent, batched=batched),
        outputs=read_tensors(outputs, [each.answer for each in given], batched=batched),
        max_batch_size=contract.max_batch_size,
    )


def _drawn(module: Ask, examples: Sequence[Sequence[Value]], max_batch_size: int) -> Iterator[Question]:
    """Questions of other values and batch sizes, always the same ones; none that the module itself does not take.

    Drawn numbers may be nothing that it can take, an index for instance, which is no fault of the exported form.
    """
    generator = torch.Generator().manual_seed(0)
    batches = [min(size, max_batch_size) for size in _BATCHES] if max_batch_size else [0] * _SAME_SHAPE
    for example in examples:
        for rows in batches:
            arguments = drawn_arguments(example, rows, generator)
            try:
                yield _ask(module, arguments)
            except ExportError:
                continue


def drawn_arguments(example: Sequence[Value], rows: int, generator: torch.Generator) -> list[Value]:
    """As many rows, the same of every argument because they belong together, with new numbers; `rows` 0 keeps them."""
    if rows:
        there = max(1, min(rows_of(each) for each in example))
        chosen = torch.randint(0, there, (rows,), generator=generator).tolist()
        example = [[each[row] for row in chosen] if isinstance(each, list) else each[chosen] for each in example]
    return [each if isinstance(each, list) else _redrawn(each, generator) for each in example]


def _redrawn(value: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Numbers moved by as much as they differ; others, which may mean something each, in another order."""
    if not value.dtype.is_floating_point:
        order = torch.randperm(value.numel(), generator=generator)
        return value.flatten()[order].reshape(value.shape)
    spread = float(value.double().std(correction=0)) if value.numel() else 0.0
    noise = torch.randn(value.shape, generator=generator, dtype=torch.float64)
    return (value + noise * (spread or 1.0)).to(value.dtype)


def _ask(module: Ask, arguments: Sequence[Value]) -> Question:
    return Question(arguments, _answer(module, arguments, "forward() returned"))


def _answer(module: Ask, arguments: Sequence[Value], who: str) -> list[Value]:
    try:
        with torch.inference_mode():
            result = module(*arguments)
    except Exception as error:
        raise ExportError(f"the module does not take the example: {sentence(error)}") from error
    return read_values(result, who)


def _compare(own: Sequence[Value], compiled: Sequence[Value], tolerance: float) -> float:
    furthest = difference(own, compiled)
    if not furthest <= tolerance:
        raise ExportError(
            f"the compiled module answers differently: by {furthest:g}, and {tolerance:g} is allowed. "
            "Tracing keeps one path through `if` and `for`; random numbers differ from call to call"
        )
    return furthest


def _check_batch(compiled: Ask, question: Question) -> None:
    """Two batches in one: a module that mixes its rows, or that knows one batch size alone, cannot be batched."""
    values = (*question.arguments, *question.answer)
    scalars = any(isinstance(each, torch.Tensor) and each.dim() == 0 for each in values)
    if scalars or len({rows_of(each) for each in values}) != 1:
        raise ExportError(
            "with max_batch_size the first dimension of every input and output is the batch, and here they differ; "
            "leave max_batch_size out for a model without a batch"
        )
    twice = _answer(compiled, [joined(each) for each in question.arguments], "the compiled module returned")
    if [len(each) for each in twice] != [2 * len(each) for each in question.answer]:
        raise ExportError("a batch of twice the size does not give twice the rows: the model cannot be batched")


def sentence(error: Exception) -> str:
    """The last line of torch's message that says something; what is before it is a trace of the model's code."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip(" ~<->.^\t")]
    return lines[0] if len(lines) == 1 else " | ".join(lines[:1] + lines[-1:]) if lines else type(error).__name__
