"""Build a sample request for a served model from the server's metadata.

Input: the port of a server. Output: a text, or the JSON of a KServe v2 inference request with zeros.
"""

from __future__ import annotations

import http.client
import json
import math
from typing import Any

from triton_operator.local.ports import ADDRESS

SAMPLE_TEXT = "hello"
_SECONDS = 10


def metadata(port: int, model: str) -> dict[str, Any]:
    """The server's metadata of a loaded model; raises OSError if the server does not respond."""
    connection = http.client.HTTPConnection(ADDRESS, port, timeout=_SECONDS)
    try:
        connection.request("GET", f"/v2/models/{model}")
        described: dict[str, Any] = json.loads(connection.getresponse().read())
        return described
    finally:
        connection.close()


def accepts_only_text(described: dict[str, Any]) -> bool:
    """Whether the model has exactly one input, of type BYTES."""
    return [tensor["datatype"] for tensor in described.get("inputs", [])] == ["BYTES"]


def sample_request(described: dict[str, Any]) -> dict[str, Any]:
    """A request with one row for every input; variable dimensions have size 1."""
    return {"model_name": described["name"], "inputs": [_tensor(tensor) for tensor in described.get("inputs", [])]}


def _tensor(tensor: dict[str, Any]) -> dict[str, Any]:
    shape = [max(1, int(size)) for size in tensor["shape"]]
    value: Any = {"BYTES": SAMPLE_TEXT, "BOOL": False}.get(tensor["datatype"], 0)
    count = math.prod(shape)
    return {"name": tensor["name"], "datatype": tensor["datatype"], "shape": shape, "data": [value] * count}
