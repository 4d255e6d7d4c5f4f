"""Notes on automatic choices in an explanation: the method, unused options, and the explained output.

Input: the request, and what was chosen. Output: sentences that refer to options of the command line. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator

from triton_operator.explain.explanation_request import DEFAULT_SAMPLES, ExplanationRequest, kind_of
from triton_operator.explain.names import GRADIENTS, Method, RowKind
from triton_operator.explain.types import Array

_WITHOUT_BASELINE = frozenset({Method.SALIENCY, Method.SMOOTH_GRAD})


def notes_on_options(request: ExplanationRequest, row: Array | str, method: Method, *, drawn: bool) -> tuple[str, ...]:
    """Note each option that has no effect; `drawn` is whether random numbers were drawn with the seed."""
    return tuple(f"--{option} has no effect: {why}" for option, why in _unused(request, row, method, drawn=drawn))


def notes_on_target(request: ExplanationRequest, output: Array, target: tuple[int, ...]) -> tuple[str, ...]:
    """Note that the largest of several values was selected, if the request has no target."""
    if request.target is not None or output.size == 1:
        return ()
    return (f"output {','.join(map(str, target))} is the largest of {output.size:,}; --target chooses another",)


def _unused(request: ExplanationRequest, row: Array | str, method: Method, *, drawn: bool) -> Iterator[tuple[str, str]]:
    kind = kind_of(row)
    if request.samples != DEFAULT_SAMPLES and method in GRADIENTS:
        yield "samples", f"{method} uses gradients instead of samples"
    if request.seed and not drawn:
        exact = method is Method.KERNEL_SHAP
        yield "seed", "all combinations were evaluated" if exact else f"{method} does not use random numbers"
    if request.baseline is not None and method in _WITHOUT_BASELINE:
        yield "baseline", f"{method} has no baseline"
    if request.patch and method in GRADIENTS:
        yield "patch", f"{method} computes an attribution for each number separately"
    elif request.patch and kind is not RowKind.IMAGE:
        yield "patch", "the row is not an image"
    if len(request.names) and kind is RowKind.TEXT:
        yield "names", "the parts of a text are named by its own words or characters"
