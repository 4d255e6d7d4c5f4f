"""`tritonctl export`: write a Python file's module or a TorchScript file to a model folder."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest
import torch

from tests.archives import SIGNATURE
from tests.tritonctl import tritonctl
from triton_operator.export.exporter import deprecation_known, load
from triton_operator.triton.model_file.archive import read_signature
from triton_operator.triton.model_file.signature import Signature, TensorSpec
from triton_operator.triton.text.parser import parse

MODULE = """
import torch

class Digits(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.dense = torch.nn.Linear(784, 10)

    def forward(self, images):
        return self.dense(images.flatten(1))

class Sums(torch.nn.Module):
    def forward(self, x):
        return x.sum(1)

class Ends(torch.nn.Module):
    def forward(self, x):
        raise SystemExit(3)

def ends():
    raise SystemExit("--size is missing")

class Words(torch.nn.Module):
    def forward(self, texts: list[str], flags: torch.Tensor) -> tuple[list[str], torch.Tensor]:
        return texts, flags

def build():
    torch.manual_seed(1)
    return Digits()

ready = build()
nothing = 5
"""


@pytest.fixture
def net(tmp_path: Path) -> Path:
    """A user's Python file."""
    path = tmp_path / "net.py"
    path.write_text(MODULE)
    return path


@pytest.mark.parametrize("name", ["Digits", "build", "ready"])
def test_a_module_of_a_python_file(net: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    """A class, a function that returns a module, or a module."""
    folder = net.parent / "repository"
    arguments = ("--input", "FP32:1,28,28", "--max-batch-size", 64, "--name", "digits", "--to", folder)
    outcome = tritonctl(capsys, "export", f"{net}:{name}", *arguments)
    path = folder / "digits" / "1" / "model.pt"
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines() == [
        f"{path}: outputs within 0 of the module's",
        "  input INPUT__0: FP32 [1,28,28]",
        "  output OUTPUT__0: FP32 [10]",
        "  batches up to 64",
    ]
    assert read_signature(path) == SIGNATURE
    assert tritonctl(capsys, "lint", folder).code == 0


def test_one_value_per_row_is_reported_as_a_column(net: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Triton has no tensors of shape [batch], so clients get [batch,1]."""
    options = ("-i", "FP32:3", "--max-batch-size", 4, "--name", "sums", "--to", net.parent)
    outcome = tritonctl(capsys, "export", f"{net}:Sums", *options)
    message = "one value in each row, which Triton sends as [batch,1]"
    assert f"  output OUTPUT__0: FP32 [] ({message})" in outcome.out
    assert f"| out | `OUTPUT__0` | FP32 []; {message} |" in (net.parent / "sums" / "README.md").read_text()


def test_text_and_any_size(net: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a batch; with the argument names of forward(), and a config.pbtxt for use without the operator."""
    inputs = ("-i", "texts:STRING:-1", "-i", "flags:BOOL:-1", "--output-name", "same", "--output-name", "too")
    outcome = tritonctl(capsys, "export", f"{net}:Words", *inputs, "--to", net.parent, "--version", 3, "--with-config")
    assert outcome.code == 0, outcome.err
    expected = Signature(
        (TensorSpec("texts", "STRING", (-1,)), TensorSpec("flags", "BOOL", (-1,))),
        (TensorSpec("same", "STRING", (-1,)), TensorSpec("too", "BOOL", (-1,))),
    )
    assert read_signature(net.parent / "net" / "3" / "model.pt") == expected
    config = parse((net.parent / "net" / "config.pbtxt").read_text())
    assert config["name"] == ["net"]
    assert [tensor["name"] for tensor in config["input"] if isinstance(tensor, dict)] == [["texts"], ["flags"]]


def test_a_torchscript_file_gets_its_signature_and_stays_as_it_is(
    net: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also in its existing place; the inputs that it was traced with are not included."""
    os.chdir(net.parent)
    with deprecation_known():
        traced = torch.jit.trace(torch.nn.Linear(2, 1), torch.tensor([[12345.5, 2.0]]))  # type: ignore[no-untyped-call]
        traced.save("line.pt")
    with zipfile.ZipFile("line.pt") as archive:
        before = {name: archive.read(name) for name in archive.namelist()}
    assert any("traced_inputs" in name for name in before)
    for source in ("line.pt", "line/1/model.pt"):
        outcome = tritonctl(capsys, "export", source, "-i", "FP32:2", "--max-batch-size", 8, "--name", "line")
        assert outcome.code == 0, outcome.err
    path = net.parent / "line" / "1" / "model.pt"
    assert read_signature(path) == Signature(
        (TensorSpec("INPUT__0", "FP32", (2,)),), (TensorSpec("OUTPUT__0", "FP32", (1,)),), 8
    )
    with zipfile.ZipFile(path) as archive:
        after = {name: archive.read(name) for name in archive.namelist()}
    assert not any("traced_inputs" in name for name in after)
    assert {name for name in before if name.startswith("line/data/")} <= set(after)
    assert load(path)(torch.zeros(1, 2)).shape == (1, 1)


@pytest.mark.parametrize(
    ("source", "inputs", "words"),
    [
        ("{net}:Digits", "FP32:784x", "--input FP32:784x: must be [NAME:]TYPE:DIMS"),
        ("{net}:Digits", "BF16:784", "where TYPE is one of BOOL, FP16"),
        ("{net}:Digits", "FP32:5", "the module fails for the example"),
        ("{net}:Nothing", "FP32:1", "AttributeError: module 'net' has no attribute 'Nothing'"),
        ("{net}:nothing", "FP32:1", "TypeError: 'int' object is not callable"),
        ("{net}:ends", "FP32:1", "net.py:ends: it calls sys.exit('--size is missing'), but must only define"),
        ("{net}:Ends", "FP32:1", "the module fails for the example: forward() calls sys.exit()"),
        ("missing.py:Digits", "FP32:1", "there is no such Python file"),
        ("missing.pt", "FP32:1", "missing.pt: No such file or directory"),
        ("{weights}", "FP32:1", "is a pickle written by torch.save, not TorchScript; name the module instead"),
        ("{net}:Digits", "name me:FP32:1,28,28", "use forward()'s own argument names (images)"),
    ],
)
def test_what_cannot_be_exported(
    net: Path, capsys: pytest.CaptureFixture[str], source: str, inputs: str, words: str
) -> None:
    weights = net.parent / "weights.pt"
    torch.save({"a": torch.ones(1)}, weights)
    outcome = tritonctl(
        capsys, "export", source.format(net=net, weights=weights), "-i", inputs, "--name", "m", "--to", net.parent
    )
    assert outcome.code == 1
    assert words in outcome.err
    assert not (net.parent / "m").exists()


def test_a_file_called_model_is_no_name(net: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In a repository, the folder's name is used; elsewhere a name is required."""
    folder = net.parent / "digits" / "1"
    folder.mkdir(parents=True)
    net.rename(folder / "model.py")
    options = ("-i", "FP32:1,28,28", "--max-batch-size", 4, "--to", net.parent / "to")
    outcome = tritonctl(capsys, "export", f"{folder}/model.py:Digits", *options)
    assert (outcome.code, outcome.err) == (0, "")
    assert (net.parent / "to" / "digits" / "1" / "model.pt").is_file()
    (folder / "model.py").rename(net.parent / "model.py")
    outcome = tritonctl(capsys, "export", f"{net.parent}/model.py:Digits", *options)
    assert outcome.code == 1
    assert "the path does not contain a model name; pass --name NAME" in outcome.err
