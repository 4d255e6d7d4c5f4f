"""Prepare inference requests as files that a load generator sends, and count the inferences of a server.

Input: a model and one row of its input. Output: a Request for each protocol. Tensors are binary in both.
"""

from __future__ import annotations

import http.client
import re
import ssl
import struct
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.http
from numpy.typing import NDArray
from tritonclient.grpc import service_pb2
from tritonclient.utils import np_to_triton_dtype

from tests.benchmarks.h2load import Request

_INPUT, _OUTPUT = "INPUT__0", "OUTPUT__0"
_GRPC_PREFIX = ">BI"
"""Before a message: whether it is compressed, and its length."""


def over_http(folder: Path, model: str, row: NDArray[Any]) -> Request:
    """A request over HTTP/1.1; the response has a binary tensor."""
    tensor = tritonclient.http.InferInput(_INPUT, list(row.shape), np_to_triton_dtype(row.dtype))
    tensor.set_data_from_numpy(row)
    output = tritonclient.http.InferRequestedOutput(_OUTPUT)
    body, length = tritonclient.http.InferenceServerClient.generate_request_body([tensor], outputs=[output])
    file = folder / f"{model}.http"
    file.write_bytes(body)
    headers = ("content-type: application/octet-stream", f"inference-header-content-length: {length}")
    return Request(f"/v2/models/{model}/infer", headers, file, grpc=False)


def over_grpc(folder: Path, model: str, row: NDArray[Any]) -> Request:
    """A unary call of `ModelInfer`."""
    message = service_pb2.ModelInferRequest(model_name=model, raw_input_contents=[np.ascontiguousarray(row).tobytes()])
    message.inputs.add(name=_INPUT, datatype=np_to_triton_dtype(row.dtype), shape=row.shape)
    encoded = message.SerializeToString()
    file = folder / f"{model}.grpc"
    file.write_bytes(struct.pack(_GRPC_PREFIX, 0, len(encoded)) + encoded)
    return Request(
        "/inference.GRPCInferenceService/ModelInfer",
        ("content-type: application/grpc", "te: trailers"),
        file,
        grpc=True,
    )


def status_of(address: str, request: Request) -> int:
    """The HTTP status of one request to an `https://` address; the certificate of the server is not verified."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    headers = dict(header.split(": ", 1) for header in request.headers)
    connection = http.client.HTTPSConnection(address.removeprefix("https://"), timeout=10, context=context)
    with closing(connection):
        connection.request("POST", request.path, request.body.read_bytes(), headers)
        return connection.getresponse().status


def inference_count(metrics: str, model: str) -> int:
    """The number of successful requests for a model, from Triton's metrics."""
    with urllib.request.urlopen(f"http://{metrics}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    found = re.search(rf'^nv_inference_request_success{{model="{model}",.*}} (\d+)$', text, re.MULTILINE)
    assert found, text
    return int(found[1])
