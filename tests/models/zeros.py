"""A model of Triton's Python backend that returns zeros with the types and shapes of its configuration.

End-to-end tests copy it to `model.py` next to generated configurations.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import triton_python_backend_utils as pb


class TritonPythonModel:
    """One instance of the model, created by Triton."""

    def initialize(self, args: dict[str, str]) -> None:
        """Read the declared outputs."""
        config = json.loads(args["model_config"])
        self._batched = int(config["max_batch_size"]) > 0
        self._inputs = [entry["name"] for entry in config["input"]]
        self._outputs = [(entry["name"], entry["data_type"], _shape(entry)) for entry in config["output"]]
        states = config.get("sequence_batching", {}).get("state", [])
        self._outputs += [(entry["output_name"], entry["data_type"], _shape(entry)) for entry in states]

    def execute(self, requests: list[Any]) -> list[Any]:
        """Return zeros for each request."""
        return [pb.InferenceResponse(self._answer(self._rows(request))) for request in requests]

    def _rows(self, request: Any) -> tuple[int, ...]:
        """The batch dimension, if there is one."""
        sent = [pb.get_input_tensor_by_name(request, name) for name in self._inputs]
        return tuple(next(tensor for tensor in sent if tensor is not None).shape()[:1]) if self._batched else ()

    def _answer(self, rows: tuple[int, ...]) -> list[Any]:
        tensors = []
        for name, data_type, shape in self._outputs:
            content = np.zeros((*rows, *shape), dtype=pb.triton_string_to_numpy(data_type))
            tensors.append(pb.Tensor(name, content.astype(bytes) if data_type == "TYPE_STRING" else content))
        return tensors


def _shape(entry: dict[str, Any]) -> tuple[int, ...]:
    """The shape of the output, with 1 for any size."""
    dims = entry["reshape"].get("shape", []) if "reshape" in entry else entry["dims"]
    return tuple(max(int(size), 1) for size in dims)
