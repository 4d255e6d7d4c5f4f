"""Send the recorded inputs to a running Triton, and compare its outputs with the module's.

Input: HOST:PORT of Triton's HTTP endpoint, and the recorded runs. Output: the largest difference, or ExportError. The
server must serve the repository that was written: it polls the repository, or is started in the meantime.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from triton_operator.export.equivalence_check import Comparison, ExportOptions
from triton_operator.export.errors import ExportError
from triton_operator.export.forward_runs import ForwardRun
from triton_operator.export.tensors import Value, difference
from triton_operator.triton.model_file.signature import TensorSpec

_READY_SECONDS = 60.0
"""A server that polls its repository checks it every 15 s by default, and then loads the model."""

_POLL_SECONDS = 0.5


def compare_with_server(url: str, options: ExportOptions, comparison: Comparison, version: int) -> float:
    """Return the largest difference between the outputs of the server and of the module; raises ExportError."""
    try:
        from tritonclient import http
        from tritonclient.utils import InferenceServerException
    except ModuleNotFoundError as error:
        raise ExportError(f"comparing with a server needs {error.name}: pip install '.[sdk,export]'") from error
    try:
        with http.InferenceServerClient(url) as client:
            _wait_ready(client, options.name, str(version), url)
            furthest = max(_send(client, http, options, comparison, each, str(version)) for each in comparison.runs)
    except (InferenceServerException, OSError) as error:
        raise ExportError(f"inference with {options.name} at {url} failed: {error}") from error
    if not furthest <= options.tolerance:
        raise ExportError(
            f"the outputs of the server at {url} differ by {furthest:g}, and {options.tolerance:g} is allowed. "
            f"Check that it serves the {options.name} that was just written"
        )
    return furthest


def _wait_ready(client: Any, name: str, version: str, url: str) -> None:
    end = time.monotonic() + _READY_SECONDS
    while not client.is_model_ready(name, version):
        if time.monotonic() > end:
            raise ExportError(f"the server at {url} has no model {name} with version {version} after 60 s")
        time.sleep(_POLL_SECONDS)


def _send(
    client: Any, http: Any, options: ExportOptions, comparison: Comparison, run: ForwardRun, version: str
) -> float:
    """Send one request and compare its outputs."""
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
    """Return the input as configured: one value per row is sent with an additional dimension."""
    array = np.array(value, dtype=np.object_) if isinstance(value, list) else value.detach().cpu().numpy()
    return array.reshape(-1, 1) if batched and not tensor.dims else array


def _received(response: Any, outputs: Sequence[TensorSpec], expected: Sequence[Value]) -> list[Value]:
    received: list[Value] = []
    for tensor, own in zip(outputs, expected, strict=True):
        array = response.as_numpy(tensor.name)
        if isinstance(own, list):
            received.append([text.decode() for text in array.ravel()])
        else:
            actual = torch.from_numpy(np.array(array))
            same_count = actual.numel() == own.numel() and not tensor.dims
            received.append(actual.reshape(own.shape) if same_count else actual)
    return received
