"""What a reader of an explanation must know about the choices behind it: the method, the options, the output.

Input: the question, and what was chosen. Output: sentences, with the options of the command line in them. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator

from triton_operator.explain.names import GRADIENTS, Kind, Method
from triton_operator.explain.question import DEFAULT_SAMPLES, Question, kind_of
from triton_operator.explain.types import Array

_WITHOUT_BASELINE = frozenset({Method.SALIENCY, Method.SMOOTH_GRAD})


def notes_on_options(question: Question, row: Array | str, method: Method, *, drawn: bool) -> tuple[str, ...]:
    """Which of the options that differ from their defaults had no effect; `drawn` says whether the seed was used."""
    return tuple(f"--{option} has no effect: {why}" for option, why in _unused(question, row, method, drawn=drawn))


def notes_on_target(question: Question, answer: Array, target: tuple[int, ...]) -> tuple[str, ...]:
    """That the largest of several numbers was taken, where the caller named none."""
    if question.target is not None or answer.size == 1:
        return ()
    return (f"output {','.join(map(str, target))} is the largest of {answer.size:,}; --target chooses another",)


def _unused(question: Question, row: Array | str, method: Method, *, drawn: bool) -> Iterator[tuple[str, str]]:
    kind = kind_of(row)
    if question.samples != DEFAULT_SAMPLES and method in GRADIENTS:
        yield "samples", f"{method} follows the file's gradients and asks for no sample"
    if question.seed and not drawn:
        exact = method is Method.KERNEL_SHAP
        yield "seed", "every combination was asked" if exact else f"{method} draws nothing"
    if question.baseline is not None and method in _WITHOUT_BASELINE:
        yield "baseline", f"{method} compares with nothing"
    if question.patch and method in GRADIENTS:
        yield "patch", f"{method} attributes each number separately"
    elif question.patch and kind is not Kind.PICTURE:
        yield "patch", "the row is not an image"
    if len(question.names) and kind is Kind.TEXT:
        yield "names", "a text has pieces of its own"
