"""`client.masked()`: the server sees tokens, and the caller sees the values."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from tests.inference_server import Backend, Model, grpc_server, http_server
from triton_operator.masking import PersonalDataKind
from triton_operator.sdk import AsyncClient, Client, InvalidRequestError, Prediction, Protocol
from triton_operator.sdk.conversation import Conversation
from triton_operator.sdk.tensors import Array

TEXT = "我是林晓东 tel 13912345678 <PHONE_1>"
SEEN = "我是<NAME_1> tel <PHONE_1> <TEXT_1>"


def backend() -> Backend:
    return Backend({"echo": Model({"x": ("BYTES", [-1, 1])})})


def texts(prediction: Prediction) -> list[str]:
    return [each.decode() for each in prediction.output.ravel()]


def test_the_response_contains_the_values_that_the_request_did_not() -> None:
    """The same call without `masked` is the control: the model then sees the text."""
    with http_server(backend()) as url, Client("echo", url=url) as client:
        sent = Conversation().mask([TEXT])
        assert texts(client.infer("echo", sent)) == [SEEN]
        with client.masked() as masked:
            assert texts(masked.infer("echo", [TEXT, "again 13912345678"])) == [TEXT, "again 13912345678"]
            assert masked.counts == {"NAME": 1, "PHONE": 2}


def test_an_action_that_cannot_be_reversed_stays_in_the_response() -> None:
    with http_server(backend()) as url, Client("echo", url=url) as client, client.masked("replace") as masked:
        assert texts(masked.infer("echo", "13912345678")) == ["<PHONE>"]
    with (
        http_server(backend()) as url,
        Client("echo", url=url) as client,
        client.masked({PersonalDataKind.NAME: "mask"}) as masked,  # type: ignore[dict-item]
    ):
        assert texts(masked.infer("echo", "我是林晓东 13912345678")) == ["我是*** 13912345678"]


async def test_asyncio_and_streams() -> None:
    """The server answers each request of a stream several times."""

    async def requests() -> AsyncIterator[list[str]]:
        yield [TEXT]
        yield ["13912345678"]

    with grpc_server(backend()) as url:
        async with AsyncClient("echo", url=url, protocol=Protocol.GRPC) as client, client.masked() as masked:
            assert texts(await masked.infer("echo", [TEXT])) == [TEXT]
            received = {text async for each in masked.stream("echo", requests()) for text in texts(each)}
    assert received == {TEXT, "13912345678"}


def test_a_stream_without_asyncio() -> None:
    with (
        grpc_server(backend()) as url,
        Client("echo", url=url, protocol=Protocol.GRPC) as client,
        client.masked() as masked,
    ):
        assert {text for each in masked.stream("echo", [[TEXT], ["a"]]) for text in texts(each)} == {TEXT, "a"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (TEXT, SEEN),
        (TEXT.encode(), SEEN.encode()),
        ({"a": [TEXT], "b": 5}, {"a": [SEEN], "b": 5}),
        ([[TEXT], [3.5]], [[SEEN], [3.5]]),
    ],
    ids=["text", "bytes", "mapping", "lists"],
)
def test_texts_in_values_of_each_form_are_masked(value: Any, expected: Any) -> None:
    assert Conversation().mask(value) == expected


@pytest.mark.parametrize("data_type", [np.object_, np.str_])
def test_texts_in_arrays_are_masked_and_numbers_are_kept(data_type: type) -> None:
    masked = Conversation().mask(np.array([[TEXT], ["b"]], dtype=data_type))
    assert masked.tolist() == [[SEEN], ["b"]]
    numbers = np.ones(3)
    assert Conversation().mask(numbers) is numbers


def test_output_that_is_not_utf_8_keeps_its_bytes() -> None:
    conversation = Conversation()
    conversation.mask("13912345678")
    output: Array = np.array([b"\xff <PHONE_1>", b"\xfe"], dtype=np.object_)
    prediction = Prediction("echo", "1", {"x": output, "n": np.zeros(2)}, 0.1)
    assert conversation.unmask(prediction).outputs["x"].tolist() == [b"\xff 13912345678", b"\xfe"]


def test_bytes_that_are_not_utf_8_are_not_sent() -> None:
    with pytest.raises(InvalidRequestError, match="bytes that are not UTF-8 cannot be masked"):
        Conversation().mask([b"\xff"])


@pytest.mark.parametrize(("action", "message"), [("hash", "needs at least 16"), ("erase", "'erase' is not a valid")])
def test_an_impossible_action_is_refused(action: str, message: str) -> None:
    with pytest.raises(InvalidRequestError, match=message):
        Conversation(action)


def test_the_values_are_forgotten_and_never_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with http_server(backend()) as url, Client("echo", url=url) as client:
        with client.masked() as masked:
            masked.infer("echo", [TEXT])
        assert texts(masked.infer("echo", ["13912345679"])) == ["13912345679"]
        assert "<PHONE_2>" not in texts(client.infer("echo", Conversation().mask(["13912345679"])))
    assert "1391234" not in caplog.text
    assert "林晓东" not in caplog.text
