"""Explain a prediction by the gradients of a TorchScript file, with Captum.

Input: the file, a row, and an ExplanationRequest. Output: an Explanation. Requires the extra `explain`. No server is
used, so the caller must ensure that the file is the one being served; compare its digest with `status.models[].digest`.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from triton_operator.explain.embedding import attribute
from triton_operator.explain.errors import ExplanationError
from triton_operator.explain.explanation import Explanation
from triton_operator.explain.explanation_request import (
    Baseline,
    ExplanationRequest,
    baseline_of,
    choose_target,
    kind_of,
)
from triton_operator.explain.gradient_result import STEPS, Gradients
from triton_operator.explain.names import GRADIENTS, Method
from triton_operator.explain.notes import notes_on_options, notes_on_target
from triton_operator.explain.types import Array, Floats

if TYPE_CHECKING:
    import torch

NOISY = 32
"""Number of noisy copies for SmoothGrad (Smilkov et al., 2017, saw no improvement beyond 50)."""
_NOISE = 0.15
"""Standard deviation of the noise as a fraction of the row's range; the paper recommends 0.1 to 0.2."""


def explain_file(
    path: Path | str,
    row: Array | str,
    request: ExplanationRequest | None = None,
    *,
    others: Mapping[int, Array] | None = None,
) -> Explanation:
    """Attribute the prediction of a model file to the values of `row`; raises ExplanationError.

    `row` is one row without the batch dimension. If forward() has several arguments, `others` contains the rest by
    position, such as {1: mask}; they are not changed. The default is integrated gradients. For rows of integers, which
    have no gradient, gradients are computed in the model's embedding.
    """
    settings = request or ExplanationRequest()
    if isinstance(row, str):
        raise ExplanationError(
            "row", "is a text, and the file takes numbers: pass the token ids, or use the served model"
        )
    method = _method(settings.method, row)
    _require_captum()
    module = _SingleInputModule(load(Path(path)), others or {})
    started = time.perf_counter()
    baseline = baseline_of(row, settings)
    output = _output(module, row)
    target = choose_target(output, settings.target)
    found = _METHODS[method](module, row, baseline, target, settings.seed)
    return Explanation(
        method=method,
        kind=kind_of(row),
        target=target,
        baseline=baseline.description if found.base is not None else "none: the gradient at the row itself",
        base_value=found.base,
        prediction=found.prediction,
        attributions=found.attributions,
        row=row,
        evaluations=found.evaluations + 1,
        pieces=tuple(settings.names),
        seed=settings.seed if method is Method.SMOOTH_GRAD else None,
        seconds=time.perf_counter() - started,
        notes=(
            *found.notes,
            *notes_on_target(settings, output, target),
            *notes_on_options(settings, row, method, drawn=method is Method.SMOOTH_GRAD),
        ),
    )


class _SingleInputModule:
    """A module as a function of one of its arguments; the other arguments are repeated for each row."""

    def __init__(self, module: Any, others: Mapping[int, Array]) -> None:
        import torch

        if not set(others) < set(range(len(others) + 1)):
            raise ExplanationError(
                "others", f"are arguments {sorted(others)}; positions start at 0, and only that of the row is omitted"
            )
        self._module = module
        self._others = {place: torch.from_numpy(array) for place, array in others.items()}

    def __call__(self, rows: torch.Tensor) -> Any:
        arguments = (
            self._other(place, len(rows)) if place in self._others else rows for place in range(len(self._others) + 1)
        )
        return self._module(*arguments)

    def modules(self) -> Any:
        """Return the submodules."""
        return self._module.modules()

    def _other(self, place: int, rows: int) -> torch.Tensor:
        other = self._others[place]
        return other.expand(rows, *other.shape)


def load(path: Path) -> Any:
    """Load the TorchScript module onto the CPU; raises ExplanationError."""
    import torch

    try:
        with warnings.catch_warnings():
            # Advice to leave TorchScript for torch.export: Triton's PyTorch backend serves TorchScript.
            warnings.filterwarnings("ignore", message=r"`torch\.jit\.\w+` is deprecated")
            return torch.jit.load(path, map_location="cpu").eval()  # type: ignore[no-untyped-call]
    except (OSError, RuntimeError, ValueError) as error:
        raise ExplanationError(
            "model-file", f"{path} is not a TorchScript file: {str(error).splitlines()[0]}"
        ) from error


def _method(requested: Method, row: Array) -> Method:
    integers = row.dtype.kind != "f"
    if requested is Method.AUTO:
        return Method.EMBEDDING_GRADIENTS if integers else Method.INTEGRATED_GRADIENTS
    if requested not in GRADIENTS:
        raise ExplanationError(
            "method", f"{requested} needs a served model; with a file: {', '.join(sorted(GRADIENTS))}"
        )
    if integers and requested is not Method.EMBEDDING_GRADIENTS:
        raise ExplanationError(
            "method",
            f"{requested} needs numbers that can change a little, and the inputs of this model are {row.dtype}; "
            "use embedding-gradients, or kernel-shap on the served model",
        )
    return requested


def _require_captum() -> None:
    try:
        import captum.attr  # noqa: F401 - checks that it is installed.
    except ModuleNotFoundError as error:
        raise ExplanationError(
            "model-file",
            f"gradients need {error.name}: pip install '.[explain]'; or omit the file to use the served model",
        ) from error


def _output(module: Any, row: Array) -> Floats:
    import torch

    try:
        with torch.no_grad():
            output = module(torch.from_numpy(row[None]))
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise ExplanationError("row", f"the model does not take {row.dtype} {list(row.shape)}: {reason}") from error
    if not isinstance(output, torch.Tensor):
        raise ExplanationError(
            "model-file",
            f"returns {type(output).__name__}; only a single tensor can be explained. "
            "Omit the file, and select an output of the served model with --output-name",
        )
    return output[0].numpy().astype(np.float64)


def _number(module: Any, target: tuple[int, ...]) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return a function from rows to the explained value of each row, for Captum."""
    return lambda rows: module(rows)[(slice(None), *target)]


def _integrated(module: Any, row: Array, baseline: Baseline, target: tuple[int, ...], seed: int) -> Gradients:
    import torch
    from captum.attr import IntegratedGradients

    del seed
    number = _number(module, target)
    rows, base = torch.from_numpy(row[None]), torch.from_numpy(baseline.value[None])
    found = IntegratedGradients(number).attribute(rows, base, n_steps=STEPS)
    with torch.no_grad():
        ends = number(torch.cat([base, rows])).tolist()
    return Gradients(_one(found), ends[1], ends[0], STEPS + len(ends))


def _saliency(module: Any, row: Array, baseline: Baseline, target: tuple[int, ...], seed: int) -> Gradients:
    import torch
    from captum.attr import Saliency

    del baseline, seed
    number = _number(module, target)
    rows = torch.from_numpy(row[None]).requires_grad_()
    found = Saliency(number).attribute(rows, abs=False)
    return Gradients(_one(found), number(rows.detach()).item(), None, 2, (_NO_SUM,))


def _smooth(module: Any, row: Array, baseline: Baseline, target: tuple[int, ...], seed: int) -> Gradients:
    import torch
    from captum.attr import NoiseTunnel, Saliency

    del baseline
    number = _number(module, target)
    rows = torch.from_numpy(row[None]).requires_grad_()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        found = NoiseTunnel(Saliency(number)).attribute(
            rows, nt_type="smoothgrad", nt_samples=NOISY, stdevs=float(np.ptp(row)) * _NOISE, abs=False
        )
    return Gradients(_one(found), number(rows.detach()).item(), None, NOISY + 1, (_NO_SUM,))


def _embedding(module: Any, row: Array, baseline: Baseline, target: tuple[int, ...], seed: int) -> Gradients:
    del seed
    return attribute(module, row, baseline.value, target)


def _one(found: torch.Tensor) -> Floats:
    return found.detach()[0].numpy().astype(np.float64)


_NO_SUM = "gradients describe the effect of small changes; they do not add up to the prediction"
_METHODS: dict[Method, Callable[[Any, Array, Baseline, tuple[int, ...], int], Gradients]] = {
    Method.INTEGRATED_GRADIENTS: _integrated,
    Method.SALIENCY: _saliency,
    Method.SMOOTH_GRAD: _smooth,
    Method.EMBEDDING_GRADIENTS: _embedding,
}
