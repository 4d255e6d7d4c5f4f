"""A model of Triton's Python backend that returns each input under its own name.

The end-to-end test of the SDK copies it to `identity/1/model.py` and `rows/1/model.py`.
"""

from __future__ import annotations

from typing import Any

import triton_python_backend_utils as pb


class TritonPythonModel:
    """One instance of the model, created by Triton."""

    def execute(self, requests: list[Any]) -> list[Any]:
        """Return the inputs that were sent, and no other."""
        return [
            pb.InferenceResponse([pb.Tensor(tensor.name(), tensor.as_numpy()) for tensor in request.inputs()])
            for request in requests
        ]
