"""The SDK, JSON files, complete requests and CSV convert a value to the same array, or reject it with one error."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from PIL import Image

from triton_operator.cli.failures import UsageError
from triton_operator.cli.inputs.read import read_input
from triton_operator.sdk.errors import InvalidRequestError
from triton_operator.sdk.inputs import prepare_inputs
from triton_operator.sdk.interface import ModelInterface, TensorInterface
from triton_operator.sdk.tensors import Array


def model(datatype: str, *shape: int, max_batch_size: int | None = None) -> ModelInterface:
    """A model with one input `x`."""
    tensor = TensorInterface("x", datatype, shape)
    return ModelInterface("model", (tensor,), (tensor,), ("1",), max_batch_size)


def through_sdk(interface: ModelInterface, value: Any, _: Path) -> Array:
    """As a value from a program."""
    return prepare_inputs(interface, value)["x"]


def through_json(interface: ModelInterface, value: Any, folder: Path) -> Array:
    """As a file that contains only the values."""
    file = folder / "x.json"
    file.write_text(json.dumps(value))
    return read_input([file], [], lambda: interface).request.inputs["x"]


def through_request(interface: ModelInterface, value: Any, folder: Path) -> Array:
    """As a file with a complete request, which the client checks before it sends it."""
    (tensor,) = interface.inputs
    body = {"name": "x", "datatype": tensor.datatype, "shape": np.shape(value), "data": value}
    file = folder / "request.json"
    file.write_text(json.dumps({"inputs": [body]}))
    request = read_input([file], [], lambda: pytest.fail("a complete request needs no metadata")).request
    return prepare_inputs(interface, request.inputs)["x"]


ENTRIES = [through_sdk, through_json, through_request]
by_entry = pytest.mark.parametrize("entry", ENTRIES)
Entry = Callable[[ModelInterface, Any, Path], Array]


@by_entry
@pytest.mark.parametrize(
    ("interface", "value", "expected"),
    [
        (model("BF16", -1), [1.5, 2], np.array([1.5, 2], ml_dtypes.bfloat16)),
        (model("FP16", -1), [65504, 0.1], np.array([65504, 0.1], np.float16)),
        (model("FP32", -1, 2), [[0.1, 2]], np.array([[0.1, 2]], np.float32)),
        (model("INT8", -1), [-128, 127], np.array([-128, 127], np.int8)),
        (model("UINT64", -1), [2**64 - 1, 0], np.array([2**64 - 1, 0], np.uint64)),
        (model("BOOL", 2), [True, False], np.array([True, False])),
        (model("BYTES", -1), ["a", "你"], np.array([b"a", "你".encode()], object)),
        (model("FP32", -1), [], np.zeros(0, np.float32)),
        (model("INT64", -1, -1), [[1, 2], [3, 4]], np.array([[1, 2], [3, 4]])),
        (model("INT64"), 7, np.array(7)),
    ],
)  # fmt: skip
def test_values_become_the_same_array(
    tmp_path: Path, entry: Entry, interface: ModelInterface, value: Any, expected: Array
) -> None:
    """The array has the declared type and shape."""
    result = entry(interface, value, tmp_path)
    assert (result.dtype, result.shape) == (expected.dtype, expected.shape)
    assert result.tolist() == expected.tolist()


@by_entry
@pytest.mark.parametrize(
    ("interface", "value", "sentence"),
    [
        (model("BF16", -1), [1e39], "BF16: 1e+39 is out of range"),
        (model("FP16", -1), [1, 70000], "FP16: 70000 is out of range"),
        (model("FP32", -1), [1e300], "FP32: 1e+300 is out of range"),
        (model("FP64", -1), [0.5, 10**400], "is out of range"),
        (model("INT8", -1), [0, 128], "INT8: 128 is out of range"),
        (model("UINT8", -1), [-1], "UINT8: -1 is out of range"),
        (model("INT64", -1), [2**63], "INT64: 9223372036854775808 is out of range"),
        (model("INT32", -1), [1.0], "INT32, got values of type float"),
        (model("INT32", -1), [True, 1], "INT32, got values of type bool, int"),
        (model("FP32", -1), [True, 0.5], "FP32, got values of type bool, float"),
        (model("BOOL", -1), [1], "BOOL, got values of type int"),
        (model("BYTES", -1), ["a", 1], "BYTES, got values of type int"),
        (model("FP32", -1), [None], "FP32, got values of type NoneType"),
        (model("FP32", -1), [{}], "got dict"),
        (model("FP32", 2), [1.0, 2.0, 3.0], "got shape [3]"),
        (model("FP32", -1, 2, max_batch_size=4), np.zeros((0, 2)).tolist(), "got shape [0]"),
        (model("FP32", -1, max_batch_size=4), [], "has no rows"),
    ],
)  # fmt: skip
def test_values_are_rejected_with_the_same_error(
    tmp_path: Path, entry: Entry, interface: ModelInterface, value: Any, sentence: str
) -> None:
    """The error names the input, and the file if there is one."""
    with pytest.raises((InvalidRequestError, UsageError)) as error:
        entry(interface, value, tmp_path)
    assert sentence in re.sub(r" \[[-,\d]*\]", "", str(error.value), count=1)
    assert "inputs[" in str(error.value)


@pytest.mark.parametrize(
    ("interface", "value", "expected"),
    [
        (model("FP32", -1, 1), 0.5, [[0.5]]),
        (model("FP32", -1, 3, max_batch_size=4), [1, 2, 3], [[1, 2, 3]]),
        (model("FP32", -1, 3, max_batch_size=0), [1, 2, 3], [[1, 2, 3]]),
        (model("FP32", 3), [[1, 2, 3]], [1, 2, 3]),
        (model("FP32", -1, 2, 1), [5, 6], [[[5], [6]]]),
        (model("FP32", -1, 1), [5, 6], [[5], [6]]),
        (model("FP32", 1, 2), [5, 6], [[5, 6]]),
        (model("BYTES", -1, -1), "a", [[b"a"]]),
        (model("BYTES", -1, 1), ["a", "b"], [[b"a"], [b"b"]]),
    ],
)
def test_dimensions_of_size_1_are_added_and_dropped(
    tmp_path: Path, interface: ModelInterface, value: Any, expected: Any
) -> None:
    """For lists and single values from any source; arrays must match exactly."""
    assert through_sdk(interface, value, tmp_path).tolist() == expected
    assert through_json(interface, value, tmp_path).tolist() == expected


@pytest.mark.parametrize("value", [[[1.0], [1.0, 2.0]], [1.0, [2.0]], {"y": 1}, {"x": {}}, "a", None])
def test_a_file_adds_only_its_name_to_the_error(tmp_path: Path, value: Any) -> None:
    """The rest is the SDK's message."""
    interface = model("FP32", -1, -1)
    with pytest.raises(InvalidRequestError) as of_sdk:
        prepare_inputs(interface, value)
    with pytest.raises(UsageError) as of_file:
        through_json(interface, value, tmp_path)
    assert str(of_file.value) == f"{tmp_path / 'x.json'}: {of_sdk.value}"


@pytest.mark.parametrize("value", [None, 7])
def test_lists_that_are_nested_too_deeply_are_rejected(value: Any) -> None:
    """A program gets no RecursionError."""
    for _ in range(5000):
        value = [value]
    with pytest.raises(
        InvalidRequestError, match=r"inputs\['x'\]: expected FP32 \[-1\], got lists that are nested too"
    ):
        prepare_inputs(model("FP32", -1), value)


def test_an_input_that_may_be_optional_is_left_to_the_server(tmp_path: Path) -> None:
    """Unless the server reports that it is required."""
    file = tmp_path / "x.json"
    file.write_text('{"x": [1]}')
    for optional in (None, True, False):
        tensors = (TensorInterface("x", "FP32", (-1,)), TensorInterface("y", "FP32", (-1,), optional))
        interface = ModelInterface("model", tensors, ())
        if optional is False:
            with pytest.raises(UsageError, match=r"x\.json: inputs\['y'\]: is missing; model expects FP32 \[-1\]"):
                read_input([file], [], lambda: interface)  # noqa: B023 - called at once.
        else:
            assert set(read_input([file], [], lambda: interface).request.inputs) == {"x"}  # noqa: B023 - as above.


def test_a_table_without_a_column_for_an_optional_input(tmp_path: Path) -> None:
    """Several inputs need column names; a single input takes all columns, even if it is optional."""
    file = tmp_path / "x.csv"
    optional = TensorInterface("y", "FP32", (-1, 2), optional=True)
    inputs: tuple[TensorInterface, ...]
    for content, inputs, expected in (
        ("x,z\n1,2\n", (TensorInterface("x", "FP32", (-1, 1)), optional), {"x": [[1]]}),
        ("a,b\n1,2\n", (optional,), {"y": [[1, 2]]}),
    ):
        file.write_text(content)
        interface = ModelInterface("model", inputs, ())
        result = read_input([file], [], lambda: interface).request.inputs  # noqa: B023 - called at once.
        assert {name: array.tolist() for name, array in result.items()} == expected
    file.write_text("1,2\n")
    with pytest.raises(UsageError, match="the first line is not a header"):
        read_input([file], [], lambda: ModelInterface("model", (), ()))


@pytest.mark.parametrize(
    ("datatype", "cell", "value"),
    [
        ("FP32", "nan", float("nan")), ("FP32", "-inf", -float("inf")), ("FP16", "0.1", 0.1), ("BF16", "1e2", 1e2),
        ("FP32", "7", 7), ("INT8", "-128", -128), ("UINT64", str(2**64 - 1), 2**64 - 1), ("BOOL", "Yes", True),
        ("BYTES", "1", "1"),
    ],
)  # fmt: skip
def test_a_cell_becomes_the_array_of_its_value(tmp_path: Path, datatype: str, cell: str, value: Any) -> None:
    """CSV has no types; the model's type determines how the text is parsed."""
    file = tmp_path / "x.csv"
    file.write_text(f"x\n{cell}\n")
    array = read_input([file], [], lambda: model(datatype, -1, 1)).request.inputs["x"]
    expected = prepare_inputs(model(datatype, -1, 1), [[value]])["x"]
    assert (array.dtype, array.shape) == (expected.dtype, expected.shape)
    assert str(array.tolist()) == str(expected.tolist())


@pytest.mark.parametrize(
    ("datatype", "cell"),
    [
        ("FP32", "1e39"), ("FP32", "1e999"), ("FP16", "70000"), ("BF16", "1e39"), ("INT8", "128"), ("UINT8", "-1"),
        ("INT32", "1.0"), ("INT32", "true"), ("BOOL", "2"), ("FP32", "true"), ("FP32", ""),
    ],
)  # fmt: skip
def test_a_cell_that_does_not_fit_is_rejected_with_line_and_column(tmp_path: Path, datatype: str, cell: str) -> None:
    """Because of its text or of its value."""
    file = tmp_path / "x.csv"
    file.write_text(f'y,x\n0,0\n0,"{cell}"\n')
    with pytest.raises(UsageError, match=r"x\.csv: line 3, column x: .*"):
        read_input([file], [], lambda: model(datatype, -1, 1))


@pytest.mark.parametrize(
    ("datatype", "shape", "mode"),
    [
        ("FP32", (-1, 1, 5, 5), "L"), ("UINT8", (-1, 3, 5, 5), "RGB"), ("FP16", (-1, 5, 5, 3), "RGB"),
        ("FP32", (-1, 5, 5), "L"), ("FP32", (5, 5), "L"), ("UINT8", (-1, 25), "L"), ("FP64", (25,), "L"),
        ("FP32", (3, -1, -1), "RGB"), ("FP32", (-1, -1, 3), "RGB"), ("FP32", (-1, -1, -1, 1), "L"),
        ("UINT8", (1, 3, 5, 5), "RGB"), ("FP32", (-1, -1, 5), "L"),
    ],
)  # fmt: skip
def test_an_image_has_one_layout(tmp_path: Path, datatype: str, shape: tuple[int, ...], mode: str) -> None:
    """As a Pillow image and as a file: channels first, last or none; with a batch, without one, and flat."""
    pixels = np.arange(25 * len(mode), dtype=np.uint8).reshape(5, 5, -1)
    image = Image.fromarray(pixels.squeeze())
    image.save(tmp_path / "x.png")
    interface = model(datatype, *shape)
    of_file = read_input([tmp_path / "x.png"], [], lambda: interface).request.inputs["x"]
    of_sdk = prepare_inputs(interface, image)["x"]
    assert (of_file.dtype, of_file.shape) == (of_sdk.dtype, of_sdk.shape)
    assert np.array_equal(of_file, of_sdk)


@pytest.mark.parametrize("shape", [(-1, 7), (-1, -1), (7,), (5, 6, 7), ()])
def test_other_shapes_hold_no_image(tmp_path: Path, shape: tuple[int, ...]) -> None:
    """Rows of [-1,784] are flat images of 28x28; rows of other sizes are not images."""
    Image.new("L", (7, 2)).save(tmp_path / "x.png")
    with pytest.raises(InvalidRequestError, match="the shape cannot hold an image"):
        prepare_inputs(model("FP32", *shape), Image.new("L", (7, 2)))
    with pytest.raises(UsageError, match=r"x\.png: an image can be the value of a single input, .* suitable: none"):
        read_input([tmp_path / "x.png"], [], lambda: model("FP32", *shape))


def test_an_image_with_16_bits_keeps_its_shades(tmp_path: Path) -> None:
    """Pillow alone would convert every shade above 255 of 65535 to white."""
    Image.fromarray(np.array([[0, 13107], [32896, 65535]], np.uint16)).save(tmp_path / "x.png")
    array = read_input([tmp_path / "x.png"], [], lambda: model("UINT8", -1, 2, 2)).request.inputs["x"]
    assert array.tolist() == [[[0, 51], [128, 255]]]
