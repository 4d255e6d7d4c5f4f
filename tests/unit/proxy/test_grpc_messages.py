"""The filter of gRPC messages, run in Lua 5.3: it decides as a parser of protobuf does, whatever the chunks are."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lupa.lua53 import LuaRuntime
from tritonclient.grpc import service_pb2

from triton_operator.proxy import scripts

LUA = LuaRuntime(encoding=None)
MESSAGES: Any = LUA.execute(Path(scripts.__file__).with_name("grpc_messages.lua").read_bytes())
NAMES = st.sampled_from(["digits", "linear", "digit", "digits2", "", "Digits", "digits:linear", "digits:"])
PERMITTED = ("digits", "linear")


def frame(content: bytes, flag: int = 0) -> bytes:
    return bytes([flag]) + len(content).to_bytes(4) + content


def verdict(*chunks: bytes, models: bytes | None = b":digits:linear:", limit: int = 1 << 20) -> str:
    """The problem that the filter finds, or ""."""
    reader = MESSAGES[b"new"](models, limit)
    for chunk in chunks:
        if problem := MESSAGES[b"read"](reader, chunk):
            return bytes(problem).decode()
    return ""


def split(content: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(content) + 1) for cut in cuts), len(content)]
    return [content[start:end] for start, end in itertools.pairwise(edges)]


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """Requests as protobuf writes them, or several of them as one, which is a request too."""
    parts = draw(st.lists(NAMES, min_size=1, max_size=3))
    content = b""
    for name in parts:
        request = service_pb2.ModelInferRequest(model_name=name, id=draw(st.text(max_size=5)))
        request.inputs.add(name="x", datatype="FP32", shape=[1, draw(st.integers(0, 1 << 40))])
        request.raw_input_contents.append(draw(st.binary(max_size=300)))
        request.parameters["p"].int64_param = draw(st.integers(-5, 5))
        content += request.SerializeToString()
    return content


@given(st.lists(messages(), min_size=1, max_size=3), st.lists(st.integers(0, 5000), max_size=8))
def test_only_permitted_models_pass_in_whatever_chunks(contents: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(frame(content) for content in contents)
    named = [service_pb2.ModelInferRequest.FromString(content).model_name for content in contents]
    found = verdict(*split(stream, cuts))
    assert found == verdict(stream)
    if not found:
        assert set(named) <= set(PERMITTED)
    if all(occurrences(content) <= set(PERMITTED) and occurrences(content) for content in contents):
        assert found == ""


def occurrences(content: bytes) -> set[str]:
    """Every name in a message of this file; an empty name is not written."""
    return {
        name
        for name in ("digits", "linear", "digit", "digits2", "Digits", "digits:linear", "digits:")
        if field(name) in content
    }


def field(name: str) -> bytes:
    return b"\x0a" + bytes([len(name)]) + name.encode()


@given(st.binary(max_size=60), st.lists(st.integers(0, 100), max_size=4))
def test_no_bytes_that_protobuf_reads_as_another_model_pass(content: bytes, cuts: list[int]) -> None:
    content = field("digits") + content
    try:
        name = service_pb2.ModelReadyRequest.FromString(content).name
    except Exception:  # noqa: BLE001 -- Triton refuses it, too
        return
    if verdict(*split(frame(content), cuts)) == "":
        assert name in PERMITTED


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (field("digits"), ""),
        (field("digits") + field("linear"), ""),
        (field("digits") + field("other"), "model not permitted"),
        (field("other") + field("digits"), "model not permitted"),
        (b"", "model not permitted"),
        (b"\x12\x011", "model not permitted"),
        (field("digits") + b"\x8a\x00" + b"\x05other", "model not permitted"),
        (field("digits") + b"\x8a\x80\x80\x80\x10" + b"\x05other", "malformed message"),
        (field("digits") + b"\x8a\x80\x80\x80\x80\x80\x80\x80\x80\x01" + b"\x05other", "malformed message"),
        (field("digits") + b"\x0b" + field("other") + b"\x0c", "malformed message"),
        (field("digits") + b"\x12\xff\xff\xff\xff\x0f", "malformed message"),
        (field("digits") + b"\x0a\x7f", "malformed message"),
        (b"\x0a\x86\x00digits", ""),
    ],
)
def test_fields_are_read_as_protobuf_does(content: bytes, problem: str) -> None:
    assert verdict(frame(content) + frame(field("digits"))) == problem
    assert verdict(*(bytes([byte]) for byte in frame(content) + frame(field("digits")))) == problem


def test_a_compressed_message_cannot_be_checked() -> None:
    assert verdict(frame(field("digits"), 1)) == "compressed message"
    assert verdict(frame(field("other"), 1), models=None) == ""


def test_the_limit_of_a_message_is_that_of_its_announced_length() -> None:
    assert verdict(frame(bytes(100)), models=None, limit=100) == ""
    assert verdict(frame(bytes(100)) + (101).to_bytes(5), models=None, limit=100) == "message too large"
