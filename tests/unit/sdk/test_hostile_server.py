"""A server that is no Triton, or a malicious one: each response is an error with a sentence, never a traceback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.web_server import Answer, Request, Web, web_server
from triton_operator.sdk import Client, InferenceError, InvalidRequestError, SdkError
from triton_operator.sdk.address import split_url

METADATA = {
    "name": "echo",
    "versions": ["1"],
    "platform": "pytorch",
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}],
    "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 1]}],
}
ROW = {"x": np.zeros((1, 4), dtype=np.float32)}
CLOSE = {"Connection": "close"}


def output(**fields: Any) -> bytes:
    """A response with one output."""
    return json.dumps({"model_name": "echo", "outputs": [{"name": "y", "datatype": "FP32", **fields}]}).encode()


@pytest.fixture
def web() -> Iterator[Web]:
    with web_server() as web:
        yield web


def client(web: Web) -> Client:
    return Client("echo", url=f"127.0.0.1:{web.port}", timeout=20)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>login</html>",
        b"null",
        b"[]",
        b'{"outputs":' + b"[" * 100_000,
        b'{"outputs": [null]}',
        b'{"outputs": []}',
        b'{"model_name": 5, "outputs": 5}',
        output(),
        output(shape=[1, 1]),
        output(shape=[1 << 40, 1 << 40], data=[]),
        output(shape=[-1, -1], data=[1]),
        output(shape=[1], data=["a"]),
        output(shape=[1], data=[[[[]]]]),
        output(shape=5, data=[1]),
        output(shape=[1], parameters={"binary_data_size": 1 << 60}),
        b"\xff\xfe",
    ],
)
def test_any_response_to_a_request_is_an_error_with_a_sentence(web: Web, body: bytes) -> None:
    def answer(request: Request) -> Answer:
        return Answer(200, body if request.path.endswith("/infer") else json.dumps(METADATA).encode(), CLOSE)

    web.answer = answer
    with client(web) as opened, pytest.raises(InferenceError) as raised:
        opened.infer("echo", ROW)
    assert "is not one of the v2 protocol" in str(raised.value) or body == b"\xff\xfe"


@pytest.mark.parametrize("length", ["-5", "999999999999", "x"])
def test_any_length_of_the_json_part_is_an_error_with_a_sentence(web: Web, length: str) -> None:
    headers = {**CLOSE, "Inference-Header-Content-Length": length}
    web.answer = lambda _: Answer(200, output(shape=[1], data=[1]), headers)
    with client(web) as opened, pytest.raises(SdkError):
        opened.infer("echo", ROW)


@pytest.mark.parametrize("body", [b"[" * 100_000, b"", b"<html>", b"\xff"])
def test_any_metadata_is_an_error_with_a_sentence(web: Web, body: bytes) -> None:
    web.answer = lambda _: Answer(200, body, CLOSE)
    with client(web) as opened, pytest.raises(InferenceError, match="is not one of the v2 protocol"):
        opened.interface("echo")


@pytest.mark.parametrize(
    "url",
    ["https://user:secret@127.0.0.1:1", "ftp://user:secret@h:1", "http://a@b:secret@h:x", "http://h:1?key=secret"],
)
def test_a_password_in_a_url_is_not_shown(url: str) -> None:
    with pytest.raises(SdkError) as refused:
        split_url(url)
    assert "secret" not in str(refused.value)
    assert isinstance(refused.value, InvalidRequestError) or url.startswith("ftp")
