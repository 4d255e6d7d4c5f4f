"""Asks a module and what is served in its place the same questions: the examples, and others drawn from them.

Input: a module, what answers in its place, and examples. Output: the signature that all of them bear out, and by how
much the answers differ. `exporter` and `aotinductor` call it. Needs torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch

from triton_operator.export.asking import Ask, Question, answer, ask
from triton_operator.export.drawing import drawn_arguments, generator, uniform_arguments
from triton_operator.export.errors import ExportError
from triton_operator.export.naming import choose_input_names, choose_output_names
from triton_operator.export.rows import check_row_counts, check_rows, check_twice
from triton_operator.export.state import check_state
from triton_operator.export.tensors import Value, difference, read_tensors, read_values
from triton_operator.export.tolerance import TOLERANCE, for_another_order
from triton_operator.triton.model_file.signature import Signature

_BATCHES = (1, 3, 8)
"""Rows of the drawn questions, as far as the model takes as many: one alone, an odd number, a vector register full."""

_SAME_SHAPE = 2
"""Drawn questions for each example of a model without a batch."""


class Contract(NamedTuple):
    """What the user decides: the model's name, its tensors' names ("" by position), the largest batch (0: none).

    `tolerance` is the largest difference between the module's answers and those of what is exported.
    """

    name: str
    input_names: tuple[str, ...] = ()
    output_names: tuple[str, ...] = ()
    max_batch_size: int = 0
    tolerance: float = TOLERANCE


class Asked(NamedTuple):
    """What the module itself answered, and the signature that all of its answers bear out."""

    signature: Signature
    questions: tuple[Question, ...]


class Agreement(NamedTuple):
    """What the questions showed: the signature, the largest difference, and the questions themselves."""

    signature: Signature
    difference: float
    questions: tuple[Question, ...]


def agree(
    module: Ask, compiled: Ask, examples: Sequence[Sequence[Value]], contract: Contract, arguments: Sequence[str]
) -> Agreement:
    """Ask the module, then compare. `arguments` are the names by which Triton may pass inputs; raises ExportError."""
    asked = ask_module(module, examples, contract, arguments)
    return Agreement(asked.signature, compare(asked, compiled, contract), asked.questions)


def ask_module(module: Ask, examples: Sequence[Sequence[Value]], contract: Contract, arguments: Sequence[str]) -> Asked:
    """Every question, answered by the module: its rows are independent, and it keeps no state. Raises ExportError."""
    with torch.random.fork_rng(devices=[]):  # A module that draws numbers takes none of the program's own.
        return _ask_module(module, examples, contract, arguments)


def _ask_module(
    module: Ask, examples: Sequence[Sequence[Value]], contract: Contract, arguments: Sequence[str]
) -> Asked:
    for each in examples:
        read_values(tuple(each), "an example has")
    given = [ask(module, each) for each in examples]
    inputs = choose_input_names(arguments, contract.input_names, len(given[0].arguments))
    names = choose_output_names(contract.output_names, len(given[0].answer))
    if any(len(each.answer) != len(names) for each in given):
        raise ExportError("forward() returns more outputs for one example than for another")
    if contract.max_batch_size:
        for question in given:
            check_row_counts(question, names)
        check_twice(module, given[0], names)
    drawn = list(_drawn(module, examples, contract.max_batch_size))
    check_state(module, [*given[:1], *drawn[:1]], names, contract.tolerance)
    questions = [*given, *drawn]
    if contract.max_batch_size:
        for question in drawn:
            check_row_counts(question, names)
        if contract.max_batch_size > 1:
            questions += check_rows(
                module, questions, names, for_another_order(module, contract.tolerance), contract.max_batch_size
            )
    batched = contract.max_batch_size > 0
    signature = Signature(
        inputs=read_tensors(inputs, [each.arguments for each in given], batched=batched),
        outputs=read_tensors(names, [each.answer for each in questions], batched=batched),
        max_batch_size=contract.max_batch_size,
    )
    return Asked(signature, tuple(questions))


def compare(asked: Asked, compiled: Ask, contract: Contract) -> float:
    """The largest difference of what answers in the module's place; raises ExportError."""
    return max(_compare(each, compiled, contract.tolerance) for each in asked.questions)


def _drawn(module: Ask, examples: Sequence[Sequence[Value]], max_batch_size: int) -> Iterator[Question]:
    """Questions of other values and batch sizes, always the same ones; none that the module itself does not take.

    Drawn numbers may be nothing that it can take, an index for instance, which is no fault of the exported form.
    """
    source = generator()
    batches = [min(size, max_batch_size) for size in _BATCHES] if max_batch_size else [0] * _SAME_SHAPE
    for example in examples:
        for rows in batches:
            drawn = drawn_arguments(example, rows, source)
            for arguments in (drawn, uniform_arguments(drawn, source)) if not rows else (drawn,):
                try:
                    yield ask(module, arguments)
                except ExportError:
                    continue


def _compare(question: Question, compiled: Ask, tolerance: float) -> float:
    """Asked with as many rows as it is; raises ExportError."""
    furthest = difference(question.answer, answer(compiled, question.arguments, "the compiled module returned"))
    if not furthest <= tolerance:
        raise ExportError(
            f"the compiled module answers differently: by {furthest:g}, and {tolerance:g} is allowed. "
            "Tracing keeps one path through `if` and `for`; random numbers differ from call to call"
        )
    return furthest
