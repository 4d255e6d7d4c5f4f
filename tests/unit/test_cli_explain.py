"""`tritonctl explain`: pictures, texts, tables and requests, of a served model and by a file, and how it can fail."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.inference_server import Backend, Model, grpc_server, http_server
from tests.tritonctl import Outcome, tritonctl
from training import REPOSITORY
from training.digits_data import unseen_digits

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
    found: dict[str, Any] = json.loads(outcome.out)
    return found


@pytest.mark.parametrize("protocol", SERVERS)
def test_a_row_of_a_table_over_both_protocols(capsys: pytest.CaptureFixture[str], table: Path, protocol: str) -> None:
    """The names are those of the file's first line."""
    with SERVERS[protocol](backend()) as url:
        outcome = tritonctl(
            capsys, "explain", "table", "--csv", table, "--row", 2, "-p", protocol, "--url", url, "-o", "json"
        )
    data = explained(outcome)
    assert (data["model"], data["method"], data["target"]["index"]) == ("table", "kernel-shap", [0])
    assert data["pieces"] == ["age", "身高", "weight"]
    assert np.allclose(data["attributions"]["data"], [7, 0, 0])
    assert (data["prediction"], data["baseValue"], data["evaluations"]) == (7, 0, 9)
    assert data["efficiencyGap"] == pytest.approx(0)


def test_people_get_sorted_numbers(capsys: pytest.CaptureFixture[str], table: Path, url: str) -> None:
    """Without colours, as this is no terminal."""
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
    assert outcome.err == f"drawn into {tmp_path / 'why.png'}\n"
    assert (tmp_path / "why.png").read_bytes().startswith(b"\x89PNG")


def test_a_request_of_a_model_without_a_batch(capsys: pytest.CaptureFixture[str], tmp_path: Path, url: str) -> None:
    file = tmp_path / "request.json"
    file.write_text(json.dumps({"inputs": [{"name": "x", "shape": [3], "datatype": "FP32", "data": [1, 2, 3]}]}))
    data = explained(tritonctl(capsys, "explain", "whole", "--input", file, "--url", url, "-o", "json"))
    assert np.allclose(data["attributions"]["data"], [0, 0, 3])


def test_a_file_explains_itself_without_a_server(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The signature in it says what it takes."""
    file = tmp_path / "rows.csv"
    file.write_text("9,10\n")
    data = explained(
        tritonctl(capsys, "explain", "linear-regression", "--csv", file, "--model-file", LINEAR, "-o", "json")
    )
    assert (data["method"], data["model"]) == ("integrated-gradients", "linear-regression")
    assert sum(data["attributions"]["data"]) == pytest.approx(data["prediction"] - data["baseValue"], abs=1e-6)


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
    """BERT's mask lies beside its tokens; the signature says which argument each is."""
    bert, file = REPOSITORY / "bert_texts_model" / "1" / "model.pt", tmp_path / "request.json"
    rows = {"INPUT__1": [1] * 4 + [0] * 20, "INPUT__0": [2, 5, 9, 3] + [0] * 20}
    inputs = [{"name": name, "shape": [1, 24], "datatype": "INT64", "data": row} for name, row in rows.items()]
    file.write_text(json.dumps({"inputs": inputs}))
    question = ("explain", "bert", "--input", file, "--model-file", bert)
    data = explained(tritonctl(capsys, *question, "--input-name", "INPUT__0", "-o", "json"))
    assert data["method"] == "embedding-gradients"
    assert [bool(value) for value in data["attributions"]["data"]] == [True] * 4 + [False] * 20
    outcome = tritonctl(capsys, *question)
    assert (outcome.code, outcome.err) == (2, "error: --input-name: name the input to explain: INPUT__1, INPUT__0\n")


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["table"], 2, "--input, --text: give one of them"),
        (["table", "-i", "TABLE", "--row", "3"], 2, "--row 3: there are 2"),
        (["table", "-i", "TABLE", "--names", "a,b"], 2, "--names: has 2, and a row has 3 values"),
        (["table", "-i", "TABLE", "--target", "9"], 2, "target: 9 is not in the model's answer, which is 3"),
        (["table", "-i", "TABLE", "--target", "cat"], 2, "target: 'cat' is a label"),
        (["table", "-i", "TABLE", "--samples", "5"], 2, "samples: 3 pieces need 6 evaluations"),
        (["table", "-i", "TABLE", "--input-name", "y"], 2, "--input-name: name the input to explain: x"),
        (["table", "-i", "TABLE", "--method", "saliency"], 2, "--method saliency needs --model-file"),
        (["table", "-i", "TABLE", "--output-name", "y"], 2, "output: table answers with x"),
        (["words", "--text", "我爱你"], 2, "output: words answers with x (BYTES [-1,1]); none has numbers"),
        (["table", "-i", "TABLE", "--model-file", "TABLE"], 2, "--model-file "),
        (["table", "-i", "TABLE", "--model-file", str(LINEAR)], 2, "has 3 columns, and the model takes INPUT__0"),
        (
            ["table", "-i", "TABLE", "--png", "/nowhere/why.png"],
            2,
            "--png /nowhere/why.png: there is no folder",
        ),
        (["table", "-i", "TABLE", "--url", "127.0.0.1:1", "--timeout", "3"], 3, "127.0.0.1:1"),
        (["missing", "-i", "TABLE"], 1, "unknown model: 'missing'"),
    ],
)
def test_what_cannot_be_explained_ends_with_a_sentence(
    capsys: pytest.CaptureFixture[str], table: Path, url: str, arguments: list[str], code: int, complaint: str
) -> None:
    """No traceback; a mistake of the command line is exit status 2."""
    given = [str(table) if argument == "TABLE" else argument for argument in arguments]
    outcome = tritonctl(capsys, "explain", *(["--url", url] if "--url" not in given else []), *given)
    assert outcome.code == code, outcome.err
    assert complaint in outcome.err
    assert "Traceback" not in outcome.err
