"""Integrated gradients of tokens: numbers of words have no gradient, their embeddings have.

Input: a TorchScript module whose embedding looks up the row's integers. Output: one attribution per integer. Captum's
own way to an inner layer is a hook, and TorchScript refuses those. So the embedding's table gets further rows: for
each step and place, the point on the way from the baseline's embedding to the token's, under a number of its own; the
gradient of these rows is what is integrated. Called by `gradients`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from triton_operator.explain.errors import ExplanationError
from triton_operator.explain.gradient_result import STEPS, Gradients
from triton_operator.explain.types import Array

_SAME = 1e-5
"""How far the answer may be off when a token is looked up under another number; beyond, the model reads the number."""
_INSTEAD = "ask the served model with kernel-shap instead"


def attribute(module: Any, row: Array, baseline: Array, target: tuple[int, ...]) -> Gradients:
    """Attribute the explained number to the integers of `row`; raises ExplanationError without an embedding.

    Integers that are the baseline's, such as the padding behind a text, keep their number and get nothing.
    """
    import torch

    table = _table(module, max(row.max(), baseline.max()))
    words = table.weight.detach()
    there, absent = torch.from_numpy(row).long(), torch.from_numpy(baseline).long()
    alphas = torch.cat([torch.tensor([0.0, 1.0]), (torch.arange(STEPS) + 0.5) / STEPS])
    way = words[there] - words[absent]
    points = words[absent] + alphas.reshape(-1, *[1] * way.ndim) * way
    numbers = len(words) + torch.arange(points[..., 0].numel()).reshape(points.shape[:-1])
    numbers = torch.where(there == absent, there, numbers).to(torch.from_numpy(row).dtype)
    table.weight = torch.nn.Parameter(torch.cat([words, points.reshape(-1, words.shape[1])]))
    answers = _ask(module, numbers)[(slice(None), *target)]
    (gradient,) = torch.autograd.grad(answers[2:].sum(), table.weight)
    table.weight = torch.nn.Parameter(words)
    with torch.no_grad():
        plain = float(module(torch.from_numpy(row[None]))[(0, *target)])
    base, prediction = answers[:2].tolist()
    if abs(plain - prediction) > _SAME:
        raise ExplanationError("method", f"the model uses the token ids outside its embedding; {_INSTEAD}")
    slope = gradient[len(words) :].reshape(points.shape)[2:].mean(dim=0)
    found = (slope * way).sum(dim=-1).numpy().astype(np.float64)
    return Gradients(found, prediction, base, len(alphas) + 1)


def _table(module: Any, largest: int) -> Any:
    """The embedding of the words: the one with most rows, as positions and segments have fewer."""
    tables = [each for each in module.modules() if getattr(each, "original_name", "") == "Embedding"]
    if not tables:
        raise ExplanationError(
            "method", f"the model takes integers and has no embedding to follow them into; {_INSTEAD}"
        )
    table = max(tables, key=lambda each: len(each.weight))
    if largest >= len(table.weight):
        raise ExplanationError("baseline", f"has the token {largest}; the embedding knows {len(table.weight)}")
    return table


def _ask(module: Any, numbers: Any) -> Any:
    try:
        return module(numbers)
    except (RuntimeError, IndexError) as error:
        said = str(error).strip().splitlines()[-1]
        raise ExplanationError(
            "method", f"the model does not take its tokens under other numbers: {said}; {_INSTEAD}"
        ) from error
