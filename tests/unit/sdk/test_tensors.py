"""KServe v2 JSON converts to arrays and back without loss, and every error names its field."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from triton_operator.sdk.errors import InvalidRequestError
from triton_operator.sdk.protocol_json import parse_request, to_json
from triton_operator.sdk.tensors import DATA_TYPES, data_type

_NUMBERS = [kind for name, kind in DATA_TYPES.items() if name != "BYTES"]


def body(**tensor: Any) -> bytes:
    """A request with one input, valid unless the test changes it."""
    return json.dumps(
        {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [9, 10], **tensor}]}
    ).encode()


@given(
    st.sampled_from(_NUMBERS).flatmap(
        lambda kind: arrays.arrays(
            kind,
            arrays.array_shapes(max_side=4),
            elements={"allow_nan": False, "allow_infinity": False}
            if kind in (np.float16, np.float32, np.float64)
            else None,
        )
    )
)
def test_numbers_survive_conversion_to_json_and_back(array: np.ndarray[Any, Any]) -> None:
    """With the same type and shape; JSON cannot represent infinity."""
    tensor = json.loads(json.dumps(to_json("x", array)))
    again = parse_request(json.dumps({"inputs": [tensor]}).encode()).inputs["x"]
    assert again.dtype == array.dtype
    assert np.array_equal(again, array)


@given(st.lists(st.text(), min_size=1, max_size=5))
def test_text_survives_conversion_to_json_and_back(texts: list[str]) -> None:
    """Including Chinese, empty strings and characters at the end of Unicode."""
    tensor = to_json("x", np.array(texts, dtype=object))
    again = parse_request(json.dumps({"inputs": [tensor]}).encode()).inputs["x"]
    assert [text.decode() for text in again.tolist()] == texts


def test_nested_data_is_read_like_flat_data() -> None:
    """The protocol allows both."""
    nested = parse_request(body(data=[[9, 10]])).inputs["x"]
    assert np.array_equal(nested, parse_request(body()).inputs["x"])


def test_outputs_and_model_are_read() -> None:
    """A request can name its outputs."""
    content = {"model_name": "m", "inputs": [], "outputs": [{"name": "y"}]}
    request = parse_request(json.dumps(content).encode())
    assert (request.model, request.outputs) == ("m", ("y",))


@pytest.mark.parametrize(
    ("tensor", "field"),
    [
        ({"datatype": "FP31"}, "inputs[0].datatype"),
        ({"datatype": "INT32", "data": [1.5, 2]}, "inputs[0].data"),
        ({"datatype": "BOOL", "data": ["no", "no"]}, "inputs[0].data"),
        ({"datatype": "BOOL", "data": [0, 1]}, "inputs[0].data"),
        ({"datatype": "UINT8", "data": [1, 256]}, "inputs[0].data"),
        ({"datatype": "BYTES", "data": ["a", 1]}, "inputs[0].data"),
        ({"data": ["a", "b"]}, "inputs[0].data"),
        ({"data": [[1], [2, 3]]}, "inputs[0].data"),
        ({"data": [None, 1]}, "inputs[0].data"),
        ({"shape": [3]}, "inputs[0].shape"),
        ({"shape": [-1, -2]}, "inputs[0].shape"),
        ({"shape": "12"}, "inputs[0].shape"),
        ({"name": 3}, "inputs[0].name"),
    ],
)
def test_an_invalid_request_is_rejected_with_its_field(tensor: dict[str, Any], field: str) -> None:
    """Nothing is truncated, rounded or guessed."""
    with pytest.raises(InvalidRequestError) as refusal:
        parse_request(body(**tensor))
    assert refusal.value.field == field


def test_types_that_triton_lacks_are_refused() -> None:
    """Dates and complex numbers have no name in the protocol."""
    with pytest.raises(InvalidRequestError, match="complex128 cannot be sent"):
        data_type(np.array([1j]), "x")
