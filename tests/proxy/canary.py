"""Requests with a word and a number in each part, and the forms in which a program would keep them.

Input: a Client, whose token may contain the word. Output: requests, and the texts to search for. The tests of the proxy
and those on a node use the same requests.
"""

from __future__ import annotations

import base64
import json
import struct
from contextlib import suppress
from http.client import HTTPSConnection
from pathlib import Path

import grpc

from tests.proxy.clients import Client, infer_request

WORD = "canary-7c1e5b"
NUMBER = 4711.0625
PATH = "/v2/models/linear_regression/infer"
HEADERS = {"X-Canary": WORD, "Cookie": WORD, "User-Agent": WORD, "Accept": WORD, "Forwarded": f"for={WORD}"}
BODY = json.dumps(
    {
        "id": WORD,
        "parameters": {"note": WORD},
        "inputs": [{"name": "INPUT__0", "datatype": "FP32", "shape": [1, 2], "data": [NUMBER, NUMBER]}],
    }
)
_SHORTEST_PART = 10


def send_canaries(client: Client, count: int) -> None:
    """Send `count` inferences, half over each protocol, and two requests that no server understands."""
    _send_over_http(client, count // 2)
    _send_over_grpc(client, count // 2)
    client.raw(f"GET /v2/{WORD} HTTP/1.1\r\n{WORD}: {WORD}\r\nHost: {WORD}\r\n{WORD}\r\n\r\n".encode())
    client.raw(f"{WORD} {WORD}\r\n\r\n".encode())


def _send_over_http(client: Client, count: int) -> None:
    """Inference with the word in each part of the request, on one connection."""
    headers = {**HEADERS, **client.authorization()}
    connection = HTTPSConnection("localhost", client.port, timeout=30, context=client.context())
    for _ in range(count):
        connection.request("POST", f"{PATH}?{WORD}={WORD}", BODY, headers)
        connection.getresponse().read()
    connection.close()


def _send_over_grpc(client: Client, count: int) -> None:
    """Inference with the word in the message and its metadata, on one channel."""
    request = infer_request()
    request.id = WORD
    request.parameters["note"].string_param = WORD
    request.inputs[0].contents.fp32_contents[:] = [NUMBER, NUMBER]
    metadata = [*client.metadata(), ("x-canary", WORD), ("x-canary-bin", WORD.encode())]
    with client.grpc() as stub:
        for _ in range(count):
            with suppress(grpc.RpcError):
                stub.ModelInfer(request, metadata=metadata, timeout=20)


def forms(word: str = WORD) -> list[str]:
    """A word as a log, a dump or an encoder would write it; in Base64, its form depends on its position."""
    encoded = (base64.b64encode(bytes(shift) + word.encode()).decode() for shift in range(3))
    inner = [text[(8 * shift + 5) // 6 : -4] for shift, text in enumerate(encoded)]
    return [word, *inner, word.encode().hex(), word.encode().hex().upper()]


def number_forms() -> list[str]:
    """The number as text, and the tensor of two numbers as bytes."""
    number = struct.pack("<f", NUMBER)
    return [str(NUMBER), number.hex() * 2, (number * 2).decode("latin-1")]


def token_forms(token: str) -> list[str]:
    """The claims and the signature of a token; tokens of one key have the same header."""
    parts = token.split(".")
    return [part for part in parts[1:] or parts if len(part) > _SHORTEST_PART]


def text_of(path: Path) -> str:
    """The bytes of a file as characters; "" if there is none."""
    return path.read_bytes().decode("latin-1") if path.exists() else ""
