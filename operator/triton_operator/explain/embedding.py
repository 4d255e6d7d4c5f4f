"""Integrated gradients for tokens: token ids have no gradient, but their embeddings do.

Input: a TorchScript module that looks up the integers of a row in an embedding. Output: one attribution per integer.
Captum's method for inner layers uses hooks, which TorchScript does not support. Instead, rows are added to the
embedding table: for each step and position, the point on the path from the baseline's embedding to the token's, with an
id of its own. The gradient of these rows is integrated. `gradients` calls it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from triton_operator.explain.errors import ExplanationError
from triton_operator.explain.gradient_result import STEPS, Gradients
from triton_operator.explain.types import Array

_SAME = 1e-5
"""Maximum change of the output when tokens get other ids; a larger change shows that the model uses the ids."""
_INSTEAD = "use kernel-shap on the served model instead"


def attribute(module: Any, row: Array, baseline: Array, target: tuple[int, ...]) -> Gradients:
    """Attribute the explained value to the integers of `row`; raises ExplanationError without an embedding.

    Integers that equal the baseline, such as padding, keep their id and get the attribution 0.
    """
    import torch

    table = _table(module, max(row.max(), baseline.max()))
    words = table.weight.detach()
    tokens, baseline_tokens = torch.from_numpy(row).long(), torch.from_numpy(baseline).long()
    alphas = torch.cat([torch.tensor([0.0, 1.0]), (torch.arange(STEPS) + 0.5) / STEPS])
    path = words[tokens] - words[baseline_tokens]
    points = words[baseline_tokens] + alphas.reshape(-1, *[1] * path.ndim) * path
    ids = len(words) + torch.arange(points[..., 0].numel()).reshape(points.shape[:-1])
    ids = torch.where(tokens == baseline_tokens, tokens, ids).to(torch.from_numpy(row).dtype)
    table.weight = torch.nn.Parameter(torch.cat([words, points.reshape(-1, words.shape[1])]))
    outputs = _run(module, ids)[(slice(None), *target)]
    (gradient,) = torch.autograd.grad(outputs[2:].sum(), table.weight)
    table.weight = torch.nn.Parameter(words)
    with torch.no_grad():
        plain = float(module(torch.from_numpy(row[None]))[(0, *target)])
    base, prediction = outputs[:2].tolist()
    if abs(plain - prediction) > _SAME:
        raise ExplanationError("method", f"the model uses the token ids outside its embedding; {_INSTEAD}")
    slope = gradient[len(words) :].reshape(points.shape)[2:].mean(dim=0)
    found = (slope * path).sum(dim=-1).numpy().astype(np.float64)
    return Gradients(found, prediction, base, len(alphas) + 1)


def _table(module: Any, largest: int) -> Any:
    """Return the embedding of tokens: the one with most rows, because those of positions and segments have fewer."""
    tables = [each for each in module.modules() if getattr(each, "original_name", "") == "Embedding"]
    if not tables:
        raise ExplanationError("method", f"the model takes integers and has no embedding; {_INSTEAD}")
    table = max(tables, key=lambda each: len(each.weight))
    if largest >= len(table.weight):
        raise ExplanationError(
            "baseline", f"has the token {largest}; the embedding has only {len(table.weight)} tokens"
        )
    return table


def _run(module: Any, ids: Any) -> Any:
    try:
        return module(ids)
    except (RuntimeError, IndexError) as error:
        reason = str(error).strip().splitlines()[-1]
        raise ExplanationError("method", f"the model rejects additional token ids: {reason}; {_INSTEAD}") from error
