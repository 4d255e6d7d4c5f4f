"""Files and texts are converted to tensors; an error names the file, line, column and tensor."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from triton_operator.cli.failures import UsageError
from triton_operator.cli.inputs.images import FORMATS, layout_of
from triton_operator.cli.inputs.input_format import InputFormat, detect_format
from triton_operator.cli.inputs.read import read_input
from triton_operator.sdk.errors import InvalidRequestError
from triton_operator.sdk.interface import ModelInterface, TensorInterface, fits
from triton_operator.sdk.tensors import DATA_TYPES, Array


def model(name: str, *inputs: tuple[str, str, tuple[int, ...]]) -> ModelInterface:
    """A model with these inputs: name, type and shape."""
    return ModelInterface(name, tuple(TensorInterface(*each, optional=False) for each in inputs), ())


DIGITS = model("digits", ("INPUT__0", "FP32", (-1, 1, 28, 28)))
COLOURED = model("photos", ("IMAGE", "FP32", (-1, 3, 4, 6)))
TEXTS = model("sentiment", ("TEXT", "BYTES", (-1, 1)))
PATIENTS = model("diabetes", ("INPUT__0", "FP32", (-1, 3)))
MIXED = model("mixed", ("age", "INT8", (-1, 1)), ("name", "BYTES", (-1, 1)), ("ok", "BOOL", (-1, 1)))


def read(model: ModelInterface, *files: Path, texts: tuple[str, ...] = (), invert: bool = False) -> dict[str, Array]:
    """Read these files or texts; BYTES as str."""
    inputs = read_input(files, texts, lambda: model, invert=invert).request.inputs
    return {name: as_text(each) if each.dtype == object else each for name, each in inputs.items()}


def as_text(array: Array) -> Array:
    """UTF-8 as str."""
    return np.array([each.decode() for each in array.reshape(-1)], object).reshape(array.shape)


def write(folder: Path, name: str, content: str | bytes) -> Path:
    """Write a file."""
    file = folder / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def picture(folder: Path, name: str, colour: Any = 255, *, mode: str = "L", size: tuple[int, int] = (28, 28)) -> Path:
    """Write an image of one color."""
    file = folder / name
    Image.new(mode, size, colour).save(file)
    return file


def test_an_image_has_the_declared_size_and_values_from_0_to_1(tmp_path: Path) -> None:
    """Also a JPEG, a color image and an image of another size."""
    file = picture(tmp_path, "a.jpg", (255, 255, 255), mode="RGB", size=(100, 60))
    array = read(DIGITS, file)["INPUT__0"]
    assert array.shape == (1, 1, 28, 28)
    assert array.dtype == np.float32
    assert array.min() == array.max() == 1.0
    assert read(DIGITS, file, invert=True)["INPUT__0"].max() == 0.0


def test_channels_have_the_position_that_the_model_declares(tmp_path: Path) -> None:
    """First or last; red is the first of the three."""
    file = picture(tmp_path, "red.png", (255, 0, 0), mode="RGB", size=(6, 4))
    first = read(COLOURED, file)["IMAGE"]
    last = read(model("m", ("x", "UINT8", (-1, -1, -1, 3))), file)["x"]
    assert first.shape == (1, 3, 4, 6)
    assert first[0, :, 0, 0].tolist() == [1, 0, 0]
    assert last.shape == (1, 4, 6, 3)
    assert last[0, 3, 5].tolist() == [255, 0, 0]


def test_several_images_are_a_batch_in_order(tmp_path: Path) -> None:
    """Their shades of gray show the order."""
    files = [picture(tmp_path, f"{grey}.png", grey) for grey in (0, 51, 255)]
    assert read(DIGITS, *files)["INPUT__0"][:, 0, 5, 5].tolist() == pytest.approx([0, 0.2, 1])


def test_transparent_pixels_are_white(tmp_path: Path) -> None:
    """As on white paper."""
    file = picture(tmp_path, "a.png", (0, 0, 0, 0), mode="RGBA")
    assert read(DIGITS, file)["INPUT__0"].min() == 1.0


@pytest.mark.parametrize("row", [(28, 28), (784,), (1, 28, 28), (28, 28, 1)])
def test_a_row_of_any_layout_takes_the_same_pixels(tmp_path: Path, row: tuple[int, ...]) -> None:
    """A flat row contains the pixels line by line."""
    pixels = np.arange(784, dtype=np.uint8).reshape(28, 28)
    file = tmp_path / "a.png"
    Image.fromarray(pixels).save(file)
    array = read(model("m", ("x", "UINT8", (-1, *row))), file)["x"]
    assert array.shape == (1, *row)
    assert array.reshape(28, 28).tolist() == pixels.tolist()


@pytest.mark.parametrize("row", [(), (10,), (2, 3, 4), (1, 2, 3, 4)])
def test_a_row_that_cannot_be_an_image_is_reported(row: tuple[int, ...]) -> None:
    """Ten values are not a square, and two channels are not colors."""
    assert layout_of(TensorInterface("x", "FP32", (-1, *row))) is None


def test_texts_become_rows() -> None:
    """In any script."""
    array = read(TEXTS, texts=("我爱你", "I hate it"))["TEXT"]
    assert array.tolist() == [["我爱你"], ["I hate it"]]


def test_each_line_of_a_text_file_is_a_text(tmp_path: Path) -> None:
    """A byte order mark and empty lines are ignored."""
    file = write(tmp_path, "a.txt", "\ufeff我爱你\r\n\r\n{ not JSON\n")
    assert read(TEXTS, file)["TEXT"].tolist() == [["我爱你"], ["{ not JSON"]]


def test_a_table_without_names_is_the_only_input(tmp_path: Path) -> None:
    """The columns keep their order."""
    assert read(PATIENTS, write(tmp_path, "a.csv", "1,2,3\n4,5,6.5\n"))["INPUT__0"].tolist() == [[1, 2, 3], [4, 5, 6.5]]
    assert read(PATIENTS, write(tmp_path, "b.csv", "age;sex;bmi\n1;2;3\n"))["INPUT__0"].tolist() == [[1, 2, 3]]


def test_columns_go_to_the_inputs_of_their_name(tmp_path: Path) -> None:
    """In any order, each converted to its input's type; other columns are ignored."""
    inputs = read(MIXED, write(tmp_path, "a.csv", 'ok,extra,name,age\ntrue,x,"Li, Na",41\nno,y,Bo,-3\n'))
    assert inputs["age"].tolist() == [[41], [-3]]
    assert inputs["age"].dtype == np.int8
    assert inputs["name"].tolist() == [["Li, Na"], ["Bo"]]
    assert inputs["ok"].tolist() == [[True], [False]]


def test_json_may_be_values_alone(tmp_path: Path) -> None:
    """One row or a batch; a list for a single input, or an object for several."""
    one = write(tmp_path, "a.json", "[1, 2, 3]")
    many = write(tmp_path, "b.json", "[[1, 2, 3], [4, 5, 6]]")
    named = write(tmp_path, "c.json", '{"age": [[4]], "name": [["x"]], "ok": [[true]]}')
    assert read(PATIENTS, one)["INPUT__0"].tolist() == [[1, 2, 3]]
    assert read(PATIENTS, many)["INPUT__0"].shape == (2, 3)
    assert {name: array.tolist() for name, array in read(MIXED, named).items()} == {
        "age": [[4]],
        "name": [["x"]],
        "ok": [[True]],
    }


def test_a_complete_request_needs_no_metadata(tmp_path: Path) -> None:
    """It can be read before a connection is opened."""
    body = {"inputs": [{"name": "x", "shape": [1], "datatype": "INT32", "data": [7]}], "model_name": "m"}
    file = write(tmp_path, "a.json", json.dumps(body))
    request = read_input([file], [], lambda: pytest.fail("asked for metadata")).request
    assert (request.model, request.inputs["x"].tolist()) == ("m", [7])


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"\x89PNG\r\n", InputFormat.IMAGE),
        (b" [[1]]", InputFormat.JSON),
        (b"1,2\n3,4", InputFormat.TABLE),
        (b"age,sex\n3,4", InputFormat.TABLE),
        ("我爱你".encode(), InputFormat.TEXT),
        (b"", InputFormat.TEXT),
    ],
)
def test_the_format_of_standard_input_is_detected_from_its_content(
    content: bytes, kind: InputFormat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe has no file name."""
    assert detect_format(content, Path("-")) is kind


def test_standard_input_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """As bytes."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"1,2,3\n")))
    assert read(PATIENTS, Path("-"))["INPUT__0"].tolist() == [[1, 2, 3]]


REFUSED: list[tuple[ModelInterface, str, str | bytes, str]] = [
    (PATIENTS, "a.csv", "age,sex,bmi\n1,2,3\n1,x,3\n", "a.csv: line 3, column sex: 'x' is not FP32 (for INPUT__0)"),
    (PATIENTS, "a.csv", "1,2\n", "a.csv: has 2 columns, but a row of INPUT__0 (FP32 [-1,3]) has 3 values"),
    (PATIENTS, "a.csv", "1,2,3\n1,2\n", "a.csv: line 2 has 2 columns, the first line has 3"),
    (PATIENTS, "a.csv", "age,sex,bmi\n", "a.csv: has a header line, but no rows"),
    (PATIENTS, "a.csv", "", "a.csv: is empty"),
    (PATIENTS, "a.csv", b"\xff\xfe1", "a.csv: is not UTF-8"),
    (PATIENTS, "a.csv", 'a,b,"c\n1,2,3\n', "is not CSV"),
    (MIXED, "a.csv", "age,name\n1,x\n", "each needs a column with its name, but the columns are age, name"),
    (
        MIXED,
        "a.csv",
        "age,name,ok\n200,x,true\n",
        "line 2, column age: inputs['age']: expected INT8 [-1,1]: 200 is out of range",
    ),
    (MIXED, "a.csv", "age,name,ok\n1,x,maybe\n", "line 2, column ok: 'maybe' is not BOOL (for ok)"),
    (PATIENTS, "a.json", "[1, 2]", "a.json: inputs['INPUT__0']: expected FP32 [-1,3] (or one row, [3]), got shape [2]"),
    (
        PATIENTS,
        "a.json",
        "[[1, 2, 3], [4]]",
        "a.json: inputs['INPUT__0']: expected FP32 [-1,3]: item 1 has shape [1], the first has [3]",
    ),
    (
        PATIENTS,
        "a.json",
        '["x", 2, 3]',
        "a.json: inputs['INPUT__0']: expected FP32 [-1,3], got values of type int, str",
    ),
    (PATIENTS, "a.json", "{", "a.json: is not JSON"),
    (PATIENTS, "a.json", '{"x": 1}', "a.json: inputs['x']: diabetes has no such input; it has INPUT__0"),
    (MIXED, "a.json", '{"age": [[1]]}', "a.json: inputs['name']: is missing; mixed expects BYTES [-1,1]"),
    (MIXED, "a.json", "[1]", "a.json: inputs: mixed has 3 (age, name, ok); pass each value with its name"),
    (DIGITS, "a.png", b"\x89PNG nothing", "a.png: is not a readable image"),
    (PATIENTS, "a.png", b"\x89PNG nothing", "a.png: an image can be the value of a single input, but diabetes takes"),
    (DIGITS, "a.txt", "hello", "a.txt: no input takes text (BYTES): digits takes INPUT__0 (FP32 [-1,1,28,28])"),
    (TEXTS, "a.txt", "\n\n", "a.txt: has no text"),
    (model("m", ("x", "FP8", (-1, 1))), "a.csv", "1\n", "inputs['x']: has the type FP8, which NumPy does not have"),
]


@pytest.mark.parametrize(("model", "name", "content", "says"), REFUSED, ids=lambda value: str(value)[:40])
def test_an_error_names_the_place_and_the_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: ModelInterface, name: str, content: str | bytes, says: str
) -> None:
    """The error has the file, line, column and tensor, and the expected value."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path, name, content)
    with pytest.raises(UsageError) as error:
        read(model, Path(name))
    assert says in str(error.value)


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    """Missing files and folders."""
    for file in (tmp_path / "absent.json", tmp_path):
        with pytest.raises(UsageError, match=str(file)):
            read(PATIENTS, file)


def test_files_or_texts_not_both_and_not_neither(tmp_path: Path) -> None:
    """The error names both options."""
    for files, texts in (([], []), ([tmp_path], ["x"])):
        with pytest.raises(UsageError, match="--input, --text"):
            read_input(files, texts, lambda: TEXTS)


def test_only_images_can_be_several_files(tmp_path: Path) -> None:
    """A file of another format can contain many rows."""
    files = [write(tmp_path, name, "1,2,3\n") for name in ("a.csv", "b.csv")]
    with pytest.raises(UsageError, match="only images"):
        read(PATIENTS, *files)


SHAPES = st.lists(st.sampled_from([-1, 1, 2, 3, 28]), max_size=4).map(tuple)
TENSORS = st.tuples(st.text("abc", min_size=1), st.sampled_from([*DATA_TYPES, "BF16"]), SHAPES)
MODELS = st.lists(TENSORS, max_size=3).map(lambda tensors: model("m", *tensors))


@given(MODELS, st.sampled_from(["a.csv", "a.json", "a.txt", "a.png", "a", "-.tsv"]), st.binary(max_size=200))
@example(PATIENTS, "a.json", b"[[[[[[[[[1]]]]]]]]]")
@example(PATIENTS, "a.json", b"[1e999, 1, 2]")
@example(MIXED, "a.csv", b"age,name,ok\n1_000,x,true")
@example(PATIENTS, "a.csv", b"1,2,3\n\x00,2,3")
@example(PATIENTS, "a.json", b"[" * 3000)
@example(PATIENTS, "a.csv", b";")
@example(MIXED, "a.tsv", b"\t\t\n,\n")
@example(PATIENTS, "a.csv", b'""')
def test_any_content_becomes_matching_tensors_or_an_error(
    tmp_path_factory: pytest.TempPathFactory, model: ModelInterface, name: str, content: bytes
) -> None:
    """Any other exception is a bug."""
    file = tmp_path_factory.mktemp("any") / name
    file.write_bytes(content)
    fit_or_are_refused(file, model)


def encoded(form: str) -> bytes:
    """A small image in this format."""
    file = io.BytesIO()
    Image.linear_gradient("L").resize((9, 7)).convert("RGB").save(file, form)
    return file.getvalue()


@given(st.data())
def test_a_damaged_image_becomes_a_tensor_or_an_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Truncated, or with a few bytes replaced: Pillow's readers can raise any exception."""
    content = bytearray(encoded(data.draw(st.sampled_from(FORMATS))))
    for at, byte in data.draw(
        st.dictionaries(st.integers(0, len(content) - 1), st.integers(0, 255), max_size=5)
    ).items():
        content[at] = byte
    file = tmp_path_factory.mktemp("any") / "a.png"
    file.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    fit_or_are_refused(file, COLOURED)


OTHER_FORMATS = {
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(%pipe%id) (w) file\n%%EOF\n",
    "dds": b"DDS |\0\0\0\x07\x10\0\0" + b"\xff" * 116,
    "avif": b"\0\0\0 ftypavif\0\0\0\0avifmif1miaf" + b"\0" * 40,
    "xbm": b"#define a_width 9999\n#define a_height 9999\nstatic char a_bits[] = {\n0x00};",
}


@pytest.mark.parametrize("form", OTHER_FORMATS)
def test_other_formats_are_not_opened_under_any_name(tmp_path: Path, form: str) -> None:
    """Some of Pillow's readers are less tested, and one starts another program."""
    with pytest.raises(UsageError, match=r"is not a readable image; the supported formats are PNG, JPEG"):
        read(DIGITS, write(tmp_path, "a.png", OTHER_FORMATS[form]))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abcinputs", max_size=6), inner, max_size=3),
    max_leaves=8,
)


@given(MODELS, JSON)
def test_any_json_becomes_matching_tensors_or_an_error(
    tmp_path_factory: pytest.TempPathFactory, model: ModelInterface, body: Any
) -> None:
    """Like the previous test, with well-formed JSON."""
    file = tmp_path_factory.mktemp("any") / "a.json"
    file.write_text(json.dumps(body))
    fit_or_are_refused(file, model)


def fit_or_are_refused(file: Path, model: ModelInterface) -> None:
    """Read the file; an error must name it."""
    sentence = ""
    try:
        inputs = read(model, file)
    except (UsageError, InvalidRequestError) as error:
        sentence = str(error)
    assert str(file) in sentence or all(fits(inputs[each.name].shape, each.shape) for each in model.inputs)
