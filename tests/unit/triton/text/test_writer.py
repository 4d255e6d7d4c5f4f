"""The writer of config.pbtxt, compared with its parser and with protobuf's parser."""

from __future__ import annotations

import pytest
from google.protobuf import text_format
from hypothesis import given, settings
from hypothesis import strategies as st
from tritonclient.grpc import model_config_pb2

from triton_operator.triton.text.parser import Identifier, Message, Value, parse
from triton_operator.triton.text.writer import write

WORDS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
SCALARS: st.SearchStrategy[Value] = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    WORDS.map(Identifier),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
)


def messages(values: st.SearchStrategy[Value]) -> st.SearchStrategy[Message]:
    """Generate messages whose fields have these values."""
    return st.dictionaries(WORDS, st.lists(values, max_size=3), max_size=4)


MESSAGES = messages(st.recursive(SCALARS, lambda inner: SCALARS | messages(inner), max_leaves=12))


@settings(deadline=None, max_examples=200)
@given(MESSAGES)
def test_any_message_is_read_back(message: Message) -> None:
    assert parse(write(message)) == message


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_triton_reads_any_text_as_it_was(text: str) -> None:
    written = write({"parameters": [{"key": [text], "value": [{"string_value": [text]}]}]})
    read = text_format.Parse(written, model_config_pb2.ModelConfig())
    assert {key: value.string_value for key, value in read.parameters.items()} == {text: text}


def test_what_a_person_cannot_see_is_escaped() -> None:
    text = 'tab\t "quote" back\\slash\r\n nul\0 bell\a next\x85 line\u2028 中文'
    expected = r'"tab\t \"quote\" back\\slash\r\n nul\000 bell\007 next\302\205 line\342\200\250 中文"'
    assert write({"name": [text]}) == f"name: {expected}\n"


def test_values_of_a_field_share_a_line_and_messages_are_blocks() -> None:
    message: Message = {"dims": [1, -1], "gpus": [], "all": [{}], "input": [{"name": ["a"]}, {"name": ["b"]}]}
    expected = 'dims: [1, -1]\ngpus: []\nall {}\ninput {\n  name: "a"\n}\ninput {\n  name: "b"\n}\n'
    assert write(message) == expected


def test_an_empty_shape_stays_for_triton_and_for_a_reader() -> None:
    """An empty shape reshapes each element of the batch to a scalar."""
    written = write(parse("input { name: 'a' dims: 1 reshape { shape: [] } } instance_group []"))
    assert "reshape {\n    shape: []\n  }" in written
    assert text_format.Parse(written, model_config_pb2.ModelConfig()).input[0].HasField("reshape")


@pytest.mark.parametrize(
    "message", [{"a b": [1]}, {"": [1]}, {"a": [Identifier("x: 1 b")]}, {"a\n": [1]}, {"name": ["\ud800"]}]
)
def test_what_the_format_cannot_hold_is_refused(message: Message) -> None:
    with pytest.raises(ValueError, match=r"."):
        write(message)
