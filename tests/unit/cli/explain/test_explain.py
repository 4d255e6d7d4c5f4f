"""`tritonctl explain`: images, texts, tables and requests, for served models and model files, and its errors."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.inference_server import Backend, Model, grpc_server, http_server
from tests.tritonctl import Outcome, tritonctl
from training import REPOSITORY
from training.digits_data import unseen_digits
from triton_operator.triton.model_file.signature import EXTRA_FILE, Signature, TensorSpec, encode

SERVERS = {"http": http_server, "grpc": grpc_server}
LINEAR = REPOSITORY / "linear_regression" / "1" / "model.pt"
DIGITS = REPOSITORY / "digits" / "1" / "model.pt"


def backend() -> Backend:
    """Echoes: the explained output is the largest input."""
    tensors: dict[str, Any] = {
        "table": {"x": ("FP32", [-1, 3])},
        "picture": {"x": ("FP32", [-1, 1, 8, 8])},
        "whole": {"x": ("FP32", [3])},
        "words": {"x": ("BYTES", [-1, 1])},
        "parts": {"age": ("FP32", [-1, 1]), "blood": ("FP32", [-1, 2]), "name": ("BYTES", [-1, 1])},
    }
    return Backend(models={name: Model(each) for name, each in tensors.items()} | {"broken": Model()})


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with http_server(backend()) as address:
        yield address


@pytest.fixture
def table(tmp_path: Path) -> Path:
    file = tmp_path / "patients.csv"
    file.write_text("age, 身高, weight\n1,2,3\n7,4,5\n")
    return file


def explained(outcome: Outcome) -> dict[str, Any]:
    assert outcome.code == 0, outcome.err
    explanation: dict[str, Any] = json.loads(outcome.out)
    return explanation


@pytest.mark.parametrize("protocol", SERVERS)
def test_a_row_of_a_table_over_both_protocols(capsys: pytest.CaptureFixture[str], table: Path, protocol: str) -> None:
    """The names come from the file's first line."""
    with SERVERS[protocol](backend()) as url:
        outcome = tritonctl(
            capsys, "explain", "table", "--csv", table, "--row", 2, "-p", protocol, "--url", url, "-o", "json"
        )
    data = explained(outcome)
    assert (data["model"], data["method"], data["target"]["index"]) == ("table", "kernel-shap", [0])
    assert data["pieces"] == ["age", "身高", "weight"]
    assert np.allclose(data["attributions"]["data"], [7, 0, 0])
    assert (data["prediction"], data["baseValue"], data["evaluations"]) == (7, 0, 9)
    assert data["gap"] == pytest.approx(0)


NAMED = {
    "commas": ("age,weight,height\n7,4,5\n", ["age", "weight", "height"]),
    "semicolons": ("age;weight;height\n7;4;5\n", ["age", "weight", "height"]),
    "tabs": ("age, in years\tweight\theight\n7\t4\t5\n", ["age, in years", "weight", "height"]),
    "quoted": ('"age, in years","""dry"" weight",height\r\n"7",4,5\r\n', ["age, in years", '"dry" weight', "height"]),
    "quoted; semicolons": ('"age, in years";weight;height\n7;4;5\n', ["age, in years", "weight", "height"]),
    "of two lines": ('"age\nin years",weight,height\n7,4,5\n', ["age\nin years", "weight", "height"]),
    "empty lines first": ("\n\nage,weight,height\n7,4,5\n", ["age", "weight", "height"]),
    "no names": ("7,4,5\n", []),
}


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "BOM"])
@pytest.mark.parametrize("source", ["-", "T.CSV", "t.data"])
@pytest.mark.parametrize("table", NAMED)
def test_columns_keep_the_names_of_the_first_line_of_any_table(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    url: str,
    table: str,
    source: str,
    mark: bytes,
) -> None:
    """Also from a pipe, and from a file of any name, in both output formats."""
    text, names = NAMED[table]
    content = mark + text.encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    if source != "-":
        (tmp_path / source).write_bytes(content)
    file = source if source == "-" else tmp_path / source
    data = explained(tritonctl(capsys, "explain", "table", "--input", file, "--url", url, "-o", "json"))
    assert data["pieces"] == names
    assert np.allclose(data["attributions"]["data"], [7, 0, 0])


@pytest.mark.parametrize(("explained_input", "names"), [("age", ["age"]), ("blood", ["blood", "blood"])])
def test_columns_of_one_of_several_inputs_keep_their_names(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, url: str, explained_input: str, names: list[str]
) -> None:
    """The table has more columns than the explained input."""
    (tmp_path / "t.csv").write_text("name,blood,age,blood\nLi,2,3,4\n")
    outcome = tritonctl(
        capsys, "explain", "parts", "--csv", tmp_path / "t.csv", "--input-name", explained_input,
        "--output-name", explained_input, "--url", url, "-o", "json",
    )  # fmt: skip
    assert explained(outcome)["pieces"] == names


def test_a_file_is_explained_with_the_names_from_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"width;length\n9;10\n")))
    outcome = tritonctl(capsys, "explain", "linear", "--input", "-", "--model-file", LINEAR, "-o", "json")
    assert explained(outcome)["pieces"] == ["width", "length"]


def test_a_note_names_the_explained_output_and_its_option(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, url: str
) -> None:
    """In text and JSON output; not if the output was selected by an option."""
    (tmp_path / "t.csv").write_text("name,blood,age,blood\nLi,2,3,4\n")
    question = ("explain", "parts", "--csv", tmp_path / "t.csv", "--input-name", "blood", "--url", url)
    unnamed = tritonctl(capsys, *question)
    assert "parts: output 0 of age is 3, by" in unnamed.out, unnamed.err
    assert (
        "note: of the outputs age, blood, name the first numeric one, age, is explained; --output-name" in unnamed.out
    )
    data = explained(tritonctl(capsys, *question, "-o", "json"))
    assert data["output"] == {"name": "age", "all": ["age", "blood", "name"]}
    assert any("--output-name" in note for note in data["notes"])
    for output, shown in (("blood", "output 1 of blood is 4"), ("age", "output 0 of age is 3")):
        named = tritonctl(capsys, *question, "--output-name", output)
        assert f"parts: {shown}, by kernel-shap" in named.out, named.err
        assert "--output-name" not in named.out


def test_an_option_without_effect_is_reported(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, table: Path, url: str
) -> None:
    """For example, options of a server with a model file, or of images with a table."""
    (tmp_path / "rows.csv").write_text("9,10\n")
    question = ("explain", "linear", "--csv", tmp_path / "rows.csv", "--model-file", LINEAR, "-o", "json")
    options = ("--url", url, "--timeout", 5, "--protocol", "grpc", "--model", "m", "--samples", 60, "--patch", 2)
    notes = explained(tritonctl(capsys, *question, *options, "--font", "some.ttf", "--invert"))["notes"]
    for option in ("url", "timeout", "protocol", "model", "samples", "patch", "font", "invert"):
        assert any(note.startswith(f"--{option} has no effect") for note in notes), (option, notes)
    assert explained(tritonctl(capsys, *question))["notes"] == []


def test_a_file_has_the_outputs_that_its_signature_says(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("9,10\n")
    question = ("explain", "linear", "--csv", tmp_path / "rows.csv", "--model-file", LINEAR, "-o", "json")
    outcome = tritonctl(capsys, *question, "--output-name", "nothing")
    assert outcome.code == 2
    assert "--output-name nothing: " in outcome.err
    assert "has the outputs OUTPUT__0" in outcome.err
    assert explained(tritonctl(capsys, *question, "--output-name", "OUTPUT__0"))["output"]["name"] == "OUTPUT__0"


def test_the_text_output_has_sorted_numbers(capsys: pytest.CaptureFixture[str], table: Path, url: str) -> None:
    """Without colours, because standard output is not a terminal."""
    outcome = tritonctl(capsys, "explain", "table", "--csv", table, "--url", url, "--names", "a,b,c", "--target", 1)
    assert outcome.code == 0, outcome.err
    assert "table: output 1 is 2, by kernel-shap" in outcome.out
    assert outcome.out.splitlines()[3].split() == ["b", "2", "+2"]
    assert "\033" not in outcome.out


def test_the_mean_of_the_files_rows_is_a_baseline(capsys: pytest.CaptureFixture[str], table: Path, url: str) -> None:
    options = ("--url", url, "--baseline", "mean", "--target", "2", "-o", "json")
    data = explained(tritonctl(capsys, "explain", "table", "-i", table, *options))
    assert data["baseline"] == "the mean of 2 rows"
    assert np.allclose(data["attributions"]["data"], [0, 0, 3 - 4], atol=1e-6)


def test_a_picture_is_drawn(capsys: pytest.CaptureFixture[str], tmp_path: Path, url: str) -> None:
    pixels = np.zeros((8, 8), np.uint8)
    pixels[2, 3] = 255
    Image.fromarray(pixels).save(tmp_path / "in.png")
    outcome = tritonctl(
        capsys, "explain", "picture", "--image", tmp_path / "in.png", "--patch", 4, "--url", url,
        "--png", tmp_path / "why.png", "--method", "occlusion",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert "output 0,2,3 is 1" in outcome.out
    assert "  +1.00      .\n      .      .\n" in outcome.out
    assert outcome.err == f"saved {tmp_path / 'why.png'}\n"
    assert (tmp_path / "why.png").read_bytes().startswith(b"\x89PNG")


def test_a_request_of_a_model_without_a_batch(capsys: pytest.CaptureFixture[str], tmp_path: Path, url: str) -> None:
    file = tmp_path / "request.json"
    file.write_text(json.dumps({"inputs": [{"name": "x", "shape": [3], "datatype": "FP32", "data": [1, 2, 3]}]}))
    data = explained(tritonctl(capsys, "explain", "whole", "--input", file, "--url", url, "-o", "json"))
    assert np.allclose(data["attributions"]["data"], [0, 0, 3])


def test_a_model_file_is_explained_without_a_server(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The signature in the file describes the input."""
    file = tmp_path / "rows.csv"
    file.write_text("9,10\n")
    data = explained(
        tritonctl(capsys, "explain", "linear-regression", "--csv", file, "--model-file", LINEAR, "-o", "json")
    )
    assert (data["method"], data["model"]) == ("integrated-gradients", "linear-regression")
    assert sum(data["attributions"]["data"]) == pytest.approx(data["prediction"] - data["baseValue"], abs=1e-6)


class Doubled(torch.nn.Module):
    """Doubles its input."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Any shape."""
        return x * 2


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
@pytest.mark.parametrize(("dims", "batch", "code"), [((3,), 0, 2), ((3,), 8, 0), ((-1, 3), 0, 0), ((1, 3), 0, 0)])
def test_a_file_without_a_batch_dimension_is_rejected(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, dims: tuple[int, ...], batch: int, code: int
) -> None:
    """Otherwise its first dimension would be interpreted as rows."""
    tensor = TensorSpec("x", "FP32", dims)
    file, rows = tmp_path / "model.pt", tmp_path / "rows.csv"
    extra = {EXTRA_FILE: encode(Signature((tensor,), (tensor,), batch))}
    torch.jit.save(torch.jit.script(Doubled()), file, _extra_files=extra)
    rows.write_text("a,b,c\n1,2,3\n")
    outcome = tritonctl(capsys, "explain", "x", "--csv", rows, "--model-file", file)
    assert outcome.code == code, outcome.err
    assert ("x (FP32 [3]) has no batch dimension, which gradients need" in outcome.err) == bool(code)


@pytest.mark.parametrize("method", ["saliency", "smooth-grad"])
def test_a_digit_is_explained_by_gradients(capsys: pytest.CaptureFixture[str], tmp_path: Path, method: str) -> None:
    picture, digit = unseen_digits(1).inputs[0, 0], unseen_digits(1).targets[0]
    Image.fromarray((picture * 255).astype(np.uint8)).save(tmp_path / "digit.png")
    outcome = tritonctl(
        capsys, "explain", "digits", "--image", tmp_path / "digit.png", "--model-file", DIGITS, "--method", method
    )
    assert outcome.code == 0, outcome.err
    assert f"digits: output {digit} is" in outcome.out
    assert "do not add up to the prediction" in outcome.out


def test_a_file_with_several_inputs_explains_the_one_that_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """BERT's mask accompanies its tokens; the signature maps each input to an argument."""
    bert, file = REPOSITORY / "bert_texts_model" / "1" / "model.pt", tmp_path / "request.json"
    rows = {"INPUT__1": [1] * 4 + [0] * 20, "INPUT__0": [2, 5, 9, 3] + [0] * 20}
    inputs = [{"name": name, "shape": [1, 24], "datatype": "INT64", "data": row} for name, row in rows.items()]
    file.write_text(json.dumps({"inputs": inputs}))
    question = ("explain", "bert", "--input", file, "--model-file", bert)
    data = explained(tritonctl(capsys, *question, "--input-name", "INPUT__0", "-o", "json"))
    assert data["method"] == "embedding-gradients"
    assert [bool(value) for value in data["attributions"]["data"]] == [True] * 4 + [False] * 20
    outcome = tritonctl(capsys, *question)
    assert (outcome.code, outcome.err) == (2, "error: --input-name: select the input to explain: INPUT__1, INPUT__0\n")


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["table"], 2, "--input, --text: pass either files"),
        (["table", "-i", "TABLE", "--row", "3"], 2, "--row 3: the input has 2 rows"),
        (["table", "-i", "TABLE", "--names", "a,b"], 2, "--names: expected 3 names, one per value of a row, got 2"),
        (["table", "-i", "TABLE", "--target", "9"], 2, "target: 9 is not in the model's output, which is 3"),
        (["table", "-i", "TABLE", "--target", "cat"], 2, "target: 'cat' is a label"),
        (["table", "-i", "TABLE", "--samples", "5"], 2, "samples: 3 pieces need 6 evaluations"),
        (["table", "-i", "TABLE", "--input-name", "y"], 2, "--input-name: select the input to explain: x"),
        (["table", "-i", "TABLE", "--method", "saliency"], 2, "--method saliency needs --model-file"),
        (["table", "-i", "TABLE", "--output-name", "y"], 2, "output: table has the outputs x"),
        (["words", "--text", "我爱你"], 2, "output: words has the outputs x (BYTES [-1,1]); none is numeric"),
        (["table", "-i", "TABLE", "--model-file", "TABLE"], 2, "--model-file "),
        (["table", "-i", "TABLE", "--model-file", str(LINEAR)], 2, "has 3 columns, but a row of INPUT__0"),
        (
            ["table", "-i", "TABLE", "--png", "/nowhere/why.png"],
            2,
            "--png /nowhere/why.png: the folder /nowhere does not exist",
        ),
        (["table", "-i", "TABLE", "--url", "127.0.0.1:1", "--timeout", "3"], 3, "127.0.0.1:1"),
        (["missing", "-i", "TABLE"], 1, "unknown model: 'missing'"),
    ],
)
def test_an_invalid_explanation_ends_with_a_message(
    capsys: pytest.CaptureFixture[str], table: Path, url: str, arguments: list[str], code: int, complaint: str
) -> None:
    """There is no traceback, and a usage error is exit status 2."""
    words = [str(table) if argument == "TABLE" else argument for argument in arguments]
    outcome = tritonctl(capsys, "explain", *(["--url", url] if "--url" not in words else []), *words)
    assert outcome.code == code, outcome.err
    assert complaint in outcome.err
    assert "Traceback" not in outcome.err
