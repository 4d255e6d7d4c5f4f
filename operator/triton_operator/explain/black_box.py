"""Explain a prediction by running the model with parts of the input masked: KernelSHAP and occlusion.

Input: a callable, a row, and an ExplanationRequest. Output: an Explanation. The callable receives at most `batch` rows
at a time. The SDK uses it for served models. Requires only numpy.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from triton_operator.explain.errors import ExplanationError
from triton_operator.explain.explanation import Explanation
from triton_operator.explain.explanation_request import (
    ExplanationRequest,
    baseline_of,
    choose_target,
    kind_of,
    masking_of,
)
from triton_operator.explain.kernel_shap import Values, least_samples, shapley
from triton_operator.explain.masking import Masking, Patches, Pieces
from triton_operator.explain.names import GRADIENTS, Method
from triton_operator.explain.notes import notes_on_options, notes_on_target
from triton_operator.explain.types import Array, Bools, Floats, Predict, Progress

DEFAULT_BATCH = 64
_ENDS = 2
"""Evaluations of the row itself and of the baseline."""


def explain(
    predict: Predict,
    row: Array | str,
    request: ExplanationRequest | None = None,
    *,
    batch: int = DEFAULT_BATCH,
    progress: Progress | None = None,
) -> Explanation:
    """Attribute the prediction to the parts of `row`; raises ExplanationError, and exceptions of `predict`.

    `row` is one row without the batch dimension, or one text. `predict` receives at most `batch` rows at a time, and at
    most `request.samples` in total.
    """
    settings = request or ExplanationRequest()
    started = time.perf_counter()
    baseline = baseline_of(row, settings)
    masking = masking_of(row, baseline, settings)
    moving = np.flatnonzero(masking.differs())
    method = _method(settings, len(moving))
    output = _outputs(predict, _as_rows(row))[0]
    target = choose_target(output, settings.target)
    game = _Game(predict, masking, moving, target, batch, progress)
    found = _shares(method, game, len(moving), settings)
    drawn = method is Method.KERNEL_SHAP and 2 ** len(moving) > settings.samples - 1
    _check(found.shares)
    shares = np.zeros(masking.count)
    shares[moving] = found.shares
    return Explanation(
        method=method,
        kind=kind_of(row),
        target=target,
        baseline=baseline.description,
        base_value=found.base,
        prediction=found.full,
        attributions=masking.spread(shares),
        row=_as_rows(row)[0] if isinstance(row, str) else row,
        evaluations=game.evaluations + 1,
        pieces=masking.pieces if isinstance(masking, Pieces) else tuple(settings.names),
        patch=masking.side if isinstance(masking, Patches) else 0,
        error=found.error,
        seed=settings.seed if drawn else None,
        seconds=time.perf_counter() - started,
        notes=(
            *_notes(method, settings, len(moving), found),
            *notes_on_target(settings, output, target),
            *notes_on_options(settings, row, method, drawn=drawn),
        ),
    )


def occlusion(game: _Game, players: int) -> Values:
    """Return the decrease of the output when one piece is masked; pieces that can replace each other get 0."""
    keep = np.concatenate([np.ones((1, players)), np.zeros((1, players)), 1 - np.eye(players)]).astype(np.bool_)
    values = game(keep)
    return Values(values[0] - values[_ENDS:], float(values[1]), float(values[0]), error=0.0)


@dataclass
class _Game:
    """The explained value for coalitions of the pieces in `moving`, evaluated in batches.

    Other pieces equal the baseline: their Shapley value is 0, which saves evaluations for images with an empty
    background.
    """

    predict: Predict
    masking: Masking
    moving: Array
    target: tuple[int, ...]
    batch: int
    progress: Progress | None
    evaluations: int = 0

    def __call__(self, keep: Bools) -> Floats:
        total = self.evaluations + len(keep)
        values: list[Floats] = []
        for start in range(0, len(keep), self.batch):
            chosen = np.zeros((len(keep[start : start + self.batch]), self.masking.count), dtype=np.bool_)
            chosen[:, self.moving] = keep[start : start + self.batch]
            outputs = _outputs(self.predict, self.masking.rows(chosen))
            values.append(np.array([output[self.target] for output in outputs]))
            self.evaluations += len(outputs)
            if self.progress:
                self.progress(self.evaluations, total)
        return np.concatenate(values)


def _shares(method: Method, game: _Game, players: int, request: ExplanationRequest) -> Values:
    budget = request.samples - 1  # One run selected the target.
    if method is Method.KERNEL_SHAP:
        return shapley(game, players, samples=budget, seed=request.seed)
    if players + _ENDS > budget:
        raise ExplanationError("samples", f"{players} pieces need {players + _ENDS + 1} evaluations")
    return occlusion(game, players)


def _method(request: ExplanationRequest, players: int) -> Method:
    if request.method in GRADIENTS:
        raise ExplanationError("method", f"{request.method} needs the model file; a served model returns only outputs")
    if not players:
        raise ExplanationError("row", "is the baseline itself: there is nothing to attribute")
    fits = _needed(players) <= request.samples
    if request.method is Method.AUTO:
        return Method.KERNEL_SHAP if fits else Method.OCCLUSION
    if request.method is Method.KERNEL_SHAP and not fits:
        raise ExplanationError(
            "samples",
            f"kernel-shap needs {_needed(players):,} samples for {players:,} pieces and may use {request.samples:,}; "
            "raise --samples, or use occlusion",
        )
    return request.method


def _needed(players: int) -> int:
    """Minimum number of samples for kernel-shap, including the run that selects the target."""
    return least_samples(players) + 1


def _notes(method: Method, request: ExplanationRequest, players: int, found: Values) -> tuple[str, ...]:
    notes = []
    change = found.full - found.base
    if method is Method.OCCLUSION and abs(change - found.shares.sum()) > abs(change) / 2:
        notes.append(
            "some pieces can replace each other, so masking one at a time explains little of the prediction; "
            "kernel-shap divides it among them"
        )
    if request.method is Method.AUTO and method is Method.OCCLUSION:
        notes.append(
            f"by occlusion, as kernel-shap needs {_needed(players):,} samples for {players:,} pieces "
            f"and may use {request.samples:,}; raise --samples to use it"
        )
    return tuple(notes)


def _as_rows(row: Array | str) -> Array:
    return np.array([row], dtype=np.object_) if isinstance(row, str) else row[None]


def _outputs(predict: Predict, rows: Array) -> Floats:
    """Return one output per row, as float64."""
    outputs = np.asarray(predict(rows))
    if outputs.ndim < 1 or len(outputs) != len(rows):
        raise ExplanationError("model", f"returned shape {list(outputs.shape)} for {len(rows)} rows")
    return outputs.astype(np.float64)


def _check(shares: Floats) -> None:
    if not np.isfinite(shares).all():
        raise ExplanationError("model", "returned values that are not finite, which cannot be attributed")
