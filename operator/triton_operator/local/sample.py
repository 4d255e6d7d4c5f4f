"""A request to try a served model with, made of what the server says the model takes.

Input: the address of a server. Output: a text, or the JSON of a KServe v2 inference request with zeros in it.
"""

from __future__ import annotations

import http.client
import json
import math
from typing import Any

from triton_operator.local.ports import ADDRESS

WORD = "hello"
_SECONDS = 10


def metadata(port: int, model: str) -> dict[str, Any]:
    """What the server says of a loaded model; raises OSError when it does not answer."""
    connection = http.client.HTTPConnection(ADDRESS, port, timeout=_SECONDS)
    try:
        connection.request("GET", f"/v2/models/{model}")
        described: dict[str, Any] = json.loads(connection.getresponse().read())
        return described
    finally:
        connection.close()


def takes_a_text(described: dict[str, Any]) -> bool:
    """Whether texts are all that the model takes, one a row."""
    return [tensor["datatype"] for tensor in described.get("inputs", [])] == ["BYTES"]


def request(described: dict[str, Any]) -> dict[str, Any]:
    """One row of every input; an open dimension has one entry."""
    return {"model_name": described["name"], "inputs": [_tensor(tensor) for tensor in described.get("inputs", [])]}


def _tensor(tensor: dict[str, Any]) -> dict[str, Any]:
    shape = [max(1, int(size)) for size in tensor["shape"]]
    value: Any = {"BYTES": WORD, "BOOL": False}.get(tensor["datatype"], 0)
    count = math.prod(shape)
    return {"name": tensor["name"], "datatype": tensor["datatype"], "shape": shape, "data": [value] * count}
