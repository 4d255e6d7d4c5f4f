"""Explains a prediction by asking the model again with parts of the input taken away: KernelSHAP and occlusion.

Input: a callable that predicts, a row and a question. Output: an Explanation. The model may be anywhere; it is asked
`batch` rows at a time. Called by the SDK for a served model; needs numpy alone.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from triton_operator.explain.errors import ExplanationError
from triton_operator.explain.explanation import Explanation
from triton_operator.explain.kernel_shap import Values, least_samples, shapley
from triton_operator.explain.masking import Masking, Patches, Pieces
from triton_operator.explain.names import GRADIENTS, Method
from triton_operator.explain.notes import notes_on_options, notes_on_target
from triton_operator.explain.question import Question, baseline_of, choose_target, kind_of, masking_of
from triton_operator.explain.types import Array, Bools, Floats, Predict, Progress

DEFAULT_BATCH = 64
_ENDS = 2
"""Evaluations of the row itself and of the baseline alone."""


def explain(
    predict: Predict,
    row: Array | str,
    question: Question | None = None,
    *,
    batch: int = DEFAULT_BATCH,
    progress: Progress | None = None,
) -> Explanation:
    """Attribute the prediction to the parts of `row`; raises ExplanationError, and whatever `predict` raises.

    `row` is one row without the batch's dimension, or one text. `predict` gets `batch` rows at most, and not more than
    `question.samples` in all.
    """
    asked = question or Question()
    started = time.perf_counter()
    baseline = baseline_of(row, asked)
    masking = masking_of(row, baseline, asked)
    moving = np.flatnonzero(masking.differs())
    method = _method(asked, len(moving))
    answer = _answers(predict, _as_rows(row))[0]
    target = choose_target(answer, asked.target)
    game = _Game(predict, masking, moving, target, batch, progress)
    found = _shares(method, game, len(moving), asked)
    drawn = method is Method.KERNEL_SHAP and 2 ** len(moving) > asked.samples - 1
    _check(found.shares)
    shares = np.zeros(masking.count)
    shares[moving] = found.shares
    return Explanation(
        method=method,
        kind=kind_of(row),
        target=target,
        baseline=baseline.described,
        base_value=found.base,
        prediction=found.full,
        attributions=masking.spread(shares),
        row=_as_rows(row)[0] if isinstance(row, str) else row,
        evaluations=game.evaluations + 1,
        pieces=masking.pieces if isinstance(masking, Pieces) else tuple(asked.names),
        patch=masking.side if isinstance(masking, Patches) else 0,
        error=found.error,
        seed=asked.seed if drawn else None,
        seconds=time.perf_counter() - started,
        notes=(
            *_notes(method, asked, len(moving), found),
            *notes_on_target(asked, answer, target),
            *notes_on_options(asked, row, method, drawn=drawn),
        ),
    )


def occlusion(game: _Game, players: int) -> Values:
    """What the prediction loses when one piece is taken away; pieces that stand in for each other get nothing."""
    keep = np.concatenate([np.ones((1, players)), np.zeros((1, players)), 1 - np.eye(players)]).astype(np.bool_)
    values = game(keep)
    return Values(values[0] - values[_ENDS:], float(values[1]), float(values[0]), error=0.0)


@dataclass
class _Game:
    """The explained number for each coalition of the pieces numbered in `moving`, asked of the model in batches.

    The other pieces are the baseline's anyway: their Shapley value is 0, and a picture has much empty paper.
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
            answers = _answers(self.predict, self.masking.rows(chosen))
            values.append(np.array([answer[self.target] for answer in answers]))
            self.evaluations += len(answers)
            if self.progress:
                self.progress(self.evaluations, total)
        return np.concatenate(values)


def _shares(method: Method, game: _Game, players: int, question: Question) -> Values:
    budget = question.samples - 1  # The row has been asked once to choose the target.
    if method is Method.KERNEL_SHAP:
        return shapley(game, players, samples=budget, seed=question.seed)
    if players + _ENDS > budget:
        raise ExplanationError("samples", f"{players} pieces need {players + _ENDS + 1} evaluations")
    return occlusion(game, players)


def _method(question: Question, players: int) -> Method:
    if question.method in GRADIENTS:
        raise ExplanationError("method", f"{question.method} needs the model's file; a served model only answers")
    if not players:
        raise ExplanationError("row", "is the baseline itself: there is nothing to attribute a prediction to")
    fits = _needed(players) <= question.samples
    if question.method is Method.AUTO:
        return Method.KERNEL_SHAP if fits else Method.OCCLUSION
    if question.method is Method.KERNEL_SHAP and not fits:
        raise ExplanationError(
            "samples",
            f"kernel-shap needs {_needed(players):,} samples for {players:,} pieces and may ask {question.samples:,}; "
            "raise --samples, or use occlusion",
        )
    return question.method


def _needed(players: int) -> int:
    """The fewest samples that kernel-shap can do with, the question that chooses the target among them."""
    return least_samples(players) + 1


def _notes(method: Method, question: Question, players: int, found: Values) -> tuple[str, ...]:
    notes = []
    change = found.full - found.base
    if method is Method.OCCLUSION and abs(change - found.shares.sum()) > abs(change) / 2:
        notes.append(
            "pieces stand in for each other, so one at a time explains little of it; kernel-shap shares it out"
        )
    if question.method is Method.AUTO and method is Method.OCCLUSION:
        notes.append(
            f"by occlusion, as kernel-shap needs {_needed(players):,} samples for {players:,} pieces "
            f"and may ask {question.samples:,}; raise --samples to use it"
        )
    return tuple(notes)


def _as_rows(row: Array | str) -> Array:
    return np.array([row], dtype=np.object_) if isinstance(row, str) else row[None]


def _answers(predict: Predict, rows: Array) -> Floats:
    """One answer per row, as double precision numbers."""
    answers = np.asarray(predict(rows))
    if answers.ndim < 1 or len(answers) != len(rows):
        raise ExplanationError("model", f"gave an answer of shape {list(answers.shape)} to {len(rows)} rows")
    return answers.astype(np.float64)


def _check(shares: Floats) -> None:
    if not np.isfinite(shares).all():
        raise ExplanationError("model", "answered with numbers that are not finite; nothing can be attributed to those")
