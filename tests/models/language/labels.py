"""Last step of the ensemble `language`: convert scores to an answer.

Input: LOGITS FP32 [2]. Output: LABEL STRING [1] and PROBABILITY FP32 [1]. The end-to-end test copies it to
`labels/1/model.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import triton_python_backend_utils as pb

LABELS = np.array([b"English", b"Chinese"], dtype=np.object_)


class TritonPythonModel:
    """One instance of the model, created by Triton."""

    def execute(self, requests: list[Any]) -> list[Any]:
        """The more probable label of each row."""
        return [self._answer(pb.get_input_tensor_by_name(request, "LOGITS").as_numpy()) for request in requests]

    def _answer(self, logits: Any) -> Any:
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities = (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)
        best = probabilities.argmax(axis=1)
        chosen = probabilities[np.arange(len(best)), best].reshape(-1, 1)
        return pb.InferenceResponse([pb.Tensor("LABEL", LABELS[best].reshape(-1, 1)), pb.Tensor("PROBABILITY", chosen)])
