"""Asks a running Triton the questions that the module has answered, and compares.

Input: HOST:PORT of Triton's HTTP interface and the questions. Output: the largest difference, or ExportError. The
server must read the repository that was written: one that serves a volume and polls it, or one started meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from triton_operator.export.equivalence_check import Comparison, ExportOptions
from triton_operator.export.errors import ExportError
from triton_operator.export.forward_runs import Run
from triton_operator.export.tensors import Value, difference
from triton_operator.triton.model_file.signature import TensorSpec

_READY_SECONDS = 60.0
"""A server that polls its repository looks every 15 s by default, and then loads the model."""

_POLL_SECONDS = 0.5


def compare_with_server(url: str, options: ExportOptions, comparison: Comparison, version: int) -> float:
    """The largest difference between the server's answers and the module's own; raises ExportError."""
    try:
        from tritonclient import http
        from tritonclient.utils import InferenceServerException
    except ModuleNotFoundError as error:
        raise ExportError(f"asking a server needs {error.name}: pip install '.[sdk,export]'") from error
    try:
        with http.InferenceServerClient(url) as client:
            _wait_ready(client, options.name, str(version), url)
            furthest = max(_send(client, http, options, comparison, each, str(version)) for each in comparison.runs)
    except (InferenceServerException, OSError) as error:
        raise ExportError(f"{url} does not answer for {options.name}: {error}") from error
    if not furthest <= options.tolerance:
        raise ExportError(
            f"the server at {url} answers differently: by {furthest:g}, and {options.tolerance:g} is allowed. "
            f"Does it serve the {options.name} that was written just now?"
        )
    return furthest


def _wait_ready(client: Any, name: str, version: str, url: str) -> None:
    end = time.monotonic() + _READY_SECONDS
    while not client.is_model_ready(name, version):
        if time.monotonic() > end:
            raise ExportError(f"the server at {url} has no model {name} with version {version} after 60 s")
        time.sleep(_POLL_SECONDS)


def _send(client: Any, http: Any, options: ExportOptions, comparison: Comparison, run: Run, version: str) -> float:
    """One question over the wire."""
    signature = comparison.signature
    batched = signature.max_batch_size > 0
    inputs = []
    for tensor, value in zip(signature.inputs, run.arguments, strict=True):
        array = _sent(value, tensor, batched=batched)
        kind = "BYTES" if tensor.data_type == "STRING" else tensor.data_type
        each = http.InferInput(tensor.name, list(array.shape), kind)
        each.set_data_from_numpy(array)
        inputs.append(each)
    outputs = [http.InferRequestedOutput(each.name) for each in signature.outputs]
    response = client.infer(options.name, inputs, model_version=version, outputs=outputs)
    return difference(run.outputs, _received(response, signature.outputs, run.outputs))


def _sent(value: Value, tensor: TensorSpec, *, batched: bool) -> np.ndarray[Any, Any]:
    """As the configuration has it: one value in each row travels with a dimension of its own."""
    array = np.array(value, dtype=np.object_) if isinstance(value, list) else value.detach().cpu().numpy()
    return array.reshape(-1, 1) if batched and not tensor.dims else array


def _received(response: Any, outputs: Sequence[TensorSpec], expected: Sequence[Value]) -> list[Value]:
    received: list[Value] = []
    for tensor, own in zip(outputs, expected, strict=True):
        array = response.as_numpy(tensor.name)
        if isinstance(own, list):
            received.append([text.decode() for text in array.ravel()])
        else:
            there = torch.from_numpy(np.array(array))
            same_count = there.numel() == own.numel() and not tensor.dims
            received.append(there.reshape(own.shape) if same_count else there)
    return received
