"""Any value that can be converted without loss is a valid input; an error names the tensor and what it expects."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from triton_operator.sdk.batches import join_rows, split_rows
from triton_operator.sdk.errors import InvalidRequestError
from triton_operator.sdk.inputs import prepare_inputs, undeclared_inputs
from triton_operator.sdk.interface import ModelInterface, TensorInterface, read_interface
from triton_operator.sdk.tensors import DATA_TYPES, Array


def model(datatype: str, *shape: int, max_batch_size: int | None = None) -> ModelInterface:
    """A model that returns its one input `x`."""
    tensor = TensorInterface("x", datatype, shape)
    return ModelInterface("model", (tensor,), (tensor,), ("1",), max_batch_size)


def sent(interface: ModelInterface, value: Any, *, cast: bool = False) -> Array:
    """The array that is sent for `x`."""
    return prepare_inputs(interface, {"x": value}, cast=cast)["x"]


@pytest.mark.parametrize(
    ("interface", "value", "expected"),
    [
        (model("INT64", -1), [1, 2], np.array([1, 2], np.int64)),
        (model("UINT64", -1), [2**64 - 1, 0], np.array([2**64 - 1, 0], np.uint64)),
        (model("FP32", -1, 2), [[0.1, 2]], np.array([[0.1, 2]], np.float32)),
        (model("FP16", 2), [1.5, -2], np.array([1.5, -2], np.float16)),
        (model("BOOL", 2), [True, False], np.array([True, False])),
        (model("FP32", -1, 1), 0.5, np.array([[0.5]], np.float32)),
        (model("FP32", 2), np.array([1, 2], ">f4"), np.array([1, 2], np.float32)),
        (model("FP32", 2, 2), [np.ones(2, np.float32), np.ones(2, np.float32)], np.ones((2, 2), np.float32)),
        (model("FP32", -1, 3), torch.ones(2, 3, requires_grad=True), np.ones((2, 3), np.float32)),
        (model("INT64", -1, 2), [torch.tensor([1, 2]), torch.tensor([3, 4])], np.array([[1, 2], [3, 4]])),
        (model("INT32", -1), range_list := [1, -1], np.array(range_list, np.int32)),
    ],
)
def test_values_become_the_declared_type(interface: ModelInterface, value: Any, expected: Array) -> None:
    """Without loss, and in this machine's byte order."""
    array = sent(interface, value)
    assert array.dtype == expected.dtype
    assert array.dtype.isnative
    assert np.array_equal(array, expected)


@pytest.mark.parametrize(
    ("shape", "value", "expected"),
    [
        ((-1, 1), "我爱你", [["我爱你".encode()]]),
        ((-1, 1), ["a", "b", "c"], [[b"a"], [b"b"], [b"c"]]),
        ((-1,), ["a", b"\xff\x00"], [b"a", b"\xff\x00"]),
        ((-1, 2), [["a", "b"], ["c", "d"]], [[b"a", b"b"], [b"c", b"d"]]),
        ((-1,), np.array(["a", "你"]), [b"a", "你".encode()]),
        ((1,), b"a\x00", [b"a\x00"]),
        ((-1,), np.array([b"a", "b"], object), [b"a", b"b"]),
        ((-1,), [], []),
    ],
)
def test_texts_are_sent_as_utf_8(shape: tuple[int, ...], value: Any, expected: Any) -> None:
    """Bytes are unchanged; in a list of texts for [-1,1], each text is a row."""
    assert sent(model("BYTES", *shape), value).tolist() == expected


@pytest.mark.parametrize(
    ("interface", "value", "sentence"),
    [
        (model("FP32", -1, 2), np.zeros((1, 2)), r"expected FP32 \[-1,2\], got float64 .*; .*astype\(np.float32\)"),
        (model("INT64", -1), np.zeros(2, np.int32), r"expected INT64 \[-1\], got int32 \[2\]"),
        (model("FP32", -1, 2), np.zeros((1, 3), np.float32), r"or one row, \[2\]\), got shape \[1,3\]"),
        (model("FP32", 2), np.zeros((1, 2), np.float32), r"expected FP32 \[2\], got shape \[1,2\]"),
        (model("INT8", -1), [128], r"expected INT8 \[-1\]: .*128"),
        (model("INT8", -1), [1.0], "got values of type float"),
        (model("INT8", -1), [True], "got values of type bool"),
        (model("BOOL", -1), [1], "got values of type int"),
        (model("FP32", -1), ["1"], "got values of type str"),
        (model("FP32", -1), "1", "got values of type str"),
        (model("FP32", -1), [None], "got values of type NoneType"),
        (model("FP32", -1, -1), [[1.0], [1.0, 2.0]], "expected FP32"),
        (model("FP32", -1), [1e300], "expected FP32"),
        (model("BYTES", -1), ["\ud800"], "not valid Unicode"),
        (model("BYTES", -1), [1], "got values of type int"),
        (model("BYTES", -1), np.array([1]), "got int64"),
        (model("BYTES", -1), [["a"], ["b", "c"]], r"item 1 has shape \[2\], the first has \[1\]"),
        (model("FP32", -1), np.ma.masked_array(np.ones(2, np.float32), [True, False]), "masked"),
        (model("FP32", -1), object(), "got object"),
        (model("FP32", -1, 2), [np.zeros(2, np.float32), np.zeros(3, np.float32)], "different shapes"),
        (model("FP32", -1), torch.zeros(2, dtype=torch.bfloat16), "got a torch tensor of torch.bfloat16"),
        (model("FP32", -1), torch.zeros(2, dtype=torch.float64), "got float64"),
        (model("BF16", -1), np.zeros(2, np.float32), "BF16"),
        (model("FP32", -1, 2, max_batch_size=4), np.zeros((0, 2), np.float32), "has no rows"),
    ],
)  # fmt: skip
def test_what_would_be_lost_is_refused(interface: ModelInterface, value: Any, sentence: str) -> None:
    """The error has the tensor, the expected type and shape, and what it got."""
    with pytest.raises(InvalidRequestError, match=sentence) as refusal:
        sent(interface, value)
    assert refusal.value.field.startswith("inputs['x']")


def test_one_row_gets_its_batch_dimension() -> None:
    """Only if the first dimension counts rows."""
    row = np.zeros((3, 2), np.float32)
    assert sent(model("FP32", -1, 3, 2), row).shape == (1, 3, 2)
    assert sent(model("FP32", -1, 3, 2, max_batch_size=8), row).shape == (1, 3, 2)
    with pytest.raises(InvalidRequestError):
        sent(model("FP32", -1, 3, 2, max_batch_size=0), row)


def test_numbers_of_another_width_are_converted() -> None:
    """Fractions are rounded; other numbers are never changed, and fractions never become integers."""
    assert sent(model("FP32", -1), np.array([0.1]), cast=True).tolist() == [np.float32(0.1)]
    assert sent(model("INT8", -1), np.array([7, -7]), cast=True).tolist() == [7, -7]
    assert sent(model("FP32", -1), torch.tensor([0.1], dtype=torch.float64), cast=True).dtype == np.float32
    for interface, value in (
        (model("INT8", -1), np.array([300])),
        (model("UINT8", -1), np.array([-1])),
        (model("INT8", -1), np.array([1.0])),
        (model("FP16", -1), np.array([1e30])),
        (model("BOOL", -1), np.array([1])),
    ):
        with pytest.raises(InvalidRequestError):
            sent(interface, value, cast=True)


@pytest.mark.parametrize(
    ("interface", "mode", "shape"),
    [
        (model("FP32", -1, 1, 28, 20), "L", (1, 1, 28, 20)),
        (model("FP32", -1, 28, 20, 3), "RGB", (1, 28, 20, 3)),
        (model("FP32", 3, -1, -1), "L", (3, 28, 20)),
        (model("UINT8", -1, 28, 20), "1", (1, 28, 20)),
        (model("UINT8", 28, 20), "L", (28, 20)),
    ],
)
def test_an_image_is_converted_to_the_declared_layout(
    interface: ModelInterface, mode: str, shape: tuple[int, ...]
) -> None:
    """Floats are fractions of white; the image is 20 wide and 28 high."""
    array = sent(interface, Image.new(mode, (20, 28), "white"))
    assert array.shape == shape
    assert np.all(array == (255 if array.dtype == np.uint8 else 1))


def test_images_are_a_batch() -> None:
    """In their order."""
    pictures = [Image.new("L", (2, 2), shade) for shade in (0, 255)]
    array = sent(model("FP32", -1, 1, 2, 2), pictures)
    assert array.shape == (2, 1, 2, 2)
    assert array[:, 0, 0, 0].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("interface", "mode", "sentence"),
    [
        (model("FP32", -1, 1, 2, 2), "RGB", r"convert\('L'\)"),
        (model("FP32", -1, 1, 4, 3), "L", r"resize\(\(3, 4\)\)"),
        (model("INT64", -1, 1, 2, 2), "L", "got an image"),
        (model("FP32", 7), "L", "the shape cannot hold an image"),
    ],
)
def test_an_image_that_would_lose_data_is_rejected(interface: ModelInterface, mode: str, sentence: str) -> None:
    """The error contains a call that converts it."""
    with pytest.raises(InvalidRequestError, match=sentence):
        sent(interface, Image.new(mode, (2, 2)))


TWO = ModelInterface(
    "pair",
    (TensorInterface("text", "BYTES", (-1, 1), optional=False), TensorInterface("score", "FP32", (-1,), optional=True)),
    (TensorInterface("label", "BYTES", (-1, 1)),),
    max_batch_size=8,
)


def test_names_are_checked() -> None:
    """The error suggests a name, has the type of a missing input, and rejects one value for two inputs."""
    with pytest.raises(InvalidRequestError, match=r"inputs\['txet'\]: pair has no such input; did you mean text\?"):
        prepare_inputs(TWO, {"txet": "a"})
    with pytest.raises(InvalidRequestError, match=r"inputs\['text'\]: is missing; pair expects BYTES \[-1,1\]"):
        prepare_inputs(TWO, {"score": 1.0})
    with pytest.raises(InvalidRequestError, match=r"pair has 2 \(text, score\)"):
        prepare_inputs(TWO, "a")
    assert set(prepare_inputs(TWO, {"text": "a"})) == {"text"}
    assert sent(model("BYTES", -1, 1), "a").shape == (1, 1)
    assert prepare_inputs(model("BYTES", -1, 1), "a")["x"].shape == (1, 1)


def test_inputs_of_a_batch_have_the_same_rows() -> None:
    """The error names both."""
    with pytest.raises(InvalidRequestError, match=r"inputs\['score'\]: has 2 rows, but inputs\['text'\] has 3"):
        prepare_inputs(TWO, {"text": ["a", "b", "c"], "score": [1.0, 2.0]})


def test_without_metadata_only_arrays_are_accepted() -> None:
    """The type of any other value would be a guess."""
    assert undeclared_inputs({"x": np.zeros(2, np.int8)})["x"].dtype == np.int8
    for value in (np.zeros(2), {"x": [1]}):
        with pytest.raises(InvalidRequestError):
            undeclared_inputs(value)


def test_the_interface_is_read_from_both_protocols() -> None:
    """The JSON of gRPC writes sizes as texts; without a configuration, the batch is unknown."""
    metadata = {
        "name": "m", "versions": ["1"], "platform": "python",
        "inputs": [{"name": "x", "datatype": "FP32", "shape": ["-1", "2"]}], "outputs": [],
    }  # fmt: skip
    config = {"max_batch_size": 4, "input": [{"name": "x", "data_type": "TYPE_FP32", "optional": True}]}
    assert read_interface(metadata, None).inputs == (TensorInterface("x", "FP32", (-1, 2)),)
    assert read_interface(metadata, None).max_batch_size is None
    interface = read_interface(metadata, config)
    assert (interface.max_batch_size, interface.inputs[0].optional, interface.takes_rows) == (4, True, True)
    assert not read_interface(metadata, {"input": []}).takes_rows


@given(st.integers(0, 40), st.integers(1, 12))
def test_parts_joined_are_the_whole(rows: int, size: int) -> None:
    """For any number of rows and any batch size, in order."""
    whole = {"x": np.arange(rows * 2).reshape(rows, 2), "y": np.arange(rows)}
    parts = split_rows(whole, size)
    assert all(len(part["x"]) <= size for part in parts)
    if rows:
        joined = join_rows(parts)
        assert all(np.array_equal(joined[name], whole[name]) for name in whole)


@given(
    st.sampled_from([name for name in DATA_TYPES if name != "BYTES"]),
    hnp.arrays(
        st.one_of(hnp.scalar_dtypes(), hnp.unicode_string_dtypes(), hnp.byte_string_dtypes()),
        hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3),
    ),
    st.lists(st.sampled_from([-1, 0, 1, 2, 3]), max_size=4).map(tuple),
)
def test_an_array_leaves_unchanged_or_not_at_all(datatype: str, array: Array, shape: tuple[int, ...]) -> None:
    """It has the declared type and shape and the same bits, or an error names the tensor."""
    interface = model(datatype, *shape)
    declared = array.dtype.newbyteorder("=") == DATA_TYPES[datatype] and fits(array.shape, shape)
    row = interface.takes_rows and fits((1, *array.shape), shape)
    if not declared and not (row and array.dtype.newbyteorder("=") == DATA_TYPES[datatype]):
        with pytest.raises(InvalidRequestError, match=r"inputs\['x'\]: expected .*, got"):
            sent(interface, array)
        return
    result = sent(interface, array)
    assert result.dtype == DATA_TYPES[datatype]
    assert fits(result.shape, shape)
    assert result.size == array.size
    assert result.tobytes() == array.astype(array.dtype.newbyteorder("=")).tobytes()


def fits(shape: tuple[int, ...], declared: tuple[int, ...]) -> bool:
    """Whether a shape matches the declared one."""
    return len(shape) == len(declared) and all(want in {-1, have} for have, want in zip(shape, declared, strict=True))


def test_torch_and_pillow_are_never_imported_for_numpy() -> None:
    """Both are large, and an application may not have them."""
    code = (
        "import sys, numpy as np\n"
        "from triton_operator.sdk import Client\n"
        "from triton_operator.sdk.inputs import prepare_inputs\n"
        "from triton_operator.sdk.interface import ModelInterface, TensorInterface\n"
        "x = TensorInterface('x', 'FP32', (-1,))\n"
        "prepare_inputs(ModelInterface('m', (x,), (x,)), np.zeros(2, np.float32))\n"
        "print([name for name in ('torch', 'PIL', 'tritonclient', 'kubernetes', 'gevent') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_package_itself_imports_nothing() -> None:
    """The operator's image does not contain NumPy."""
    code = "import sys, triton_operator, triton_operator.sdk; print('numpy' in sys.modules, triton_operator.sdk.Client)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("False <class 'triton_operator.sdk.client.Client'")
