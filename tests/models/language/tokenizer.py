"""First step of the ensemble `language`: convert text to numbers.

Input: TEXT STRING [1]. Output: IDS INT64 [16], padded with 0. The end-to-end test copies it to `tokenizer/1/model.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import triton_python_backend_utils as pb

LENGTH = 16


class TritonPythonModel:
    """One instance of the model, created by Triton."""

    def execute(self, requests: list[Any]) -> list[Any]:
        """The code points of each text."""
        return [self._answer(pb.get_input_tensor_by_name(request, "TEXT").as_numpy()) for request in requests]

    def _answer(self, texts: Any) -> Any:
        rows = [[ord(character) for character in text.decode()[:LENGTH]] for text in texts.reshape(-1)]
        ids = np.array([row + [0] * (LENGTH - len(row)) for row in rows], dtype=np.int64)
        return pb.InferenceResponse([pb.Tensor("IDS", ids)])
