"""Example inputs: generated within ranges, or read from files."""

from __future__ import annotations

import io
import json
import resource
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.tritonctl import tritonctl
from triton_operator.export import ExportError
from triton_operator.export.example_files import read_example
from triton_operator.export.examples import make_examples
from triton_operator.export.inputs import read_input
from triton_operator.triton.model_file.archive import read_signature
from triton_operator.triton.model_file.signature import Signature, TensorSpec

MODULE = """
import torch
from pathlib import Path

Path(__file__).with_name("ran").touch()

class Tagger(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.words = torch.nn.Embedding(41, 4)

    def forward(self, ids, length):
        if bool((ids < 1).any()) or bool((length < 1).any()):
            raise ValueError("ids and lengths begin at 1")
        kept = torch.arange(ids.shape[1])[None] < length
        return (self.words(ids) * kept[:, :, None]).sum(1)

class Several(torch.nn.Module):
    def forward(self, a: list[torch.Tensor]):
        return a[0]

class Number(torch.nn.Module):
    def forward(self, x, count: int):
        return x * count

class Nothing(torch.nn.Module):
    def forward(self, x):
        return None

class Dictionary(torch.nn.Module):
    def forward(self, x):
        return {"boxes": x, "scores": x}

class Listed(torch.nn.Module):
    def forward(self, x):
        return [x, x]

class Wrong(torch.nn.Module):
    def forward(self, x):
        return torch.softmax(x, dim="rows") if x.numel() == 0 else x
"""
PASSES = "Triton passes tensors and lists of str"
IDS, LENGTHS = [[1, 40, 3], [7, 8, 9]], [[3], [1]]
LONGER = [[1, 2, 3, 4, 5]]


@pytest.fixture
def net(tmp_path: Path) -> Path:
    """A user's file, which creates a marker file when it is executed."""
    path = tmp_path / "net.py"
    path.write_text(MODULE)
    return path


def _write(path: Path, **values: Any) -> Path:
    match path.suffix:
        case ".npz":
            np.savez(path, **values)
        case ".json":
            path.write_text(json.dumps(values))
        case _:
            torch.save({name: torch.tensor(value) for name, value in values.items()}, path)
    return path


def test_whole_numbers_are_drawn_within_their_range(net: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inputs = ("-i", "ids:INT64:40@1..40", "-i", "length:INT64:1@1..40")
    outcome = tritonctl(capsys, "export", f"{net}:Tagger", *inputs, "--max-batch-size", 8, "--to", net.parent)
    assert outcome.code == 0, outcome.err
    expected = (TensorSpec("ids", "INT64", (40,)), TensorSpec("length", "INT64", (1,)))
    signature = read_signature(net.parent / "net" / "1" / "model.pt")
    assert isinstance(signature, Signature)
    assert signature.inputs == expected


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("INT64:500@1..40", 1, 40),
        ("INT8:500@-128..127", -128, 127),
        ("FP32:500@-0.5..255", -0.5, 255),
        ("UINT8:9@3..3", 3, 3),
        ("INT64:500@-9223372036854775808..9223372036854775807", -(2**63), 2**63 - 1),
        ("INT32:50", 0, 1),
    ],
)
def test_numbers_cover_their_range(text: str, low: float, high: float) -> None:
    (example,) = make_examples([read_input(text, 0)], batched=False)
    (value,) = example
    assert isinstance(value, torch.Tensor)
    assert low <= float(value.min()) <= float(value.max()) <= high
    assert len(set(value.tolist())) > min(20, int(high - low) // 2)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("INT8:4@0..300", "INT8 ranges from -128 to 127"),
        ("INT64:4@5..1", "the range ends before it begins"),
        ("INT64:4@0.5..1", "requires whole numbers"),
        ("BOOL:4@0..1", "BOOL does not support a range"),
        ("INT64:4@1", "must be [NAME:]TYPE:DIMS"),
        ("INT64:4@a..b", "must be [NAME:]TYPE:DIMS"),
        ("INT64:٣", "must be [NAME:]TYPE:DIMS"),
    ],
)
def test_invalid_ranges_are_rejected(text: str, words: str) -> None:
    with pytest.raises(ExportError) as caught:
        read_input(text, 0)
    assert words in str(caught.value)


@pytest.mark.parametrize("suffix", [".npz", ".pt", ".json"])
def test_examples_come_from_files(net: Path, capsys: pytest.CaptureFixture[str], suffix: str) -> None:
    """By the argument names of forward(), in any order; a size that differs in a second file is variable."""
    first = _write(net.parent / f"first{suffix}", length=LENGTHS, ids=IDS)
    second = _write(net.parent / f"second{suffix}", length=[[2]], ids=LONGER)
    options = ("--example", first, "--example", second, "--max-batch-size", 8, "--to", net.parent)
    outcome = tritonctl(capsys, "export", f"{net}:Tagger", *options)
    assert outcome.code == 0, outcome.err
    signature = read_signature(net.parent / "net" / "1" / "model.pt")
    assert isinstance(signature, Signature)
    assert signature.inputs == (TensorSpec("ids", "INT64", (-1,)), TensorSpec("length", "INT64", (1,)))


def test_json_takes_its_types_from_the_inputs(tmp_path: Path) -> None:
    declared = [
        TensorSpec("a", "FP64", (2,)),
        TensorSpec("b", "INT8", (-1,)),
        TensorSpec("c", "BOOL", (1,)),
        TensorSpec("d", "STRING", (-1,)),
    ]
    path = tmp_path / "x.json"
    path.write_text('[[1, 2], [3], [true], ["a"]]')
    values = read_example(path, declared, (), batched=False).values
    kinds = [each.dtype if isinstance(each, torch.Tensor) else each for each in values]
    assert kinds == [torch.float64, torch.int8, torch.bool, ["a"]]


def test_a_negative_number_is_none_without_a_sign(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text("[[-1]]")
    with pytest.raises(ExportError, match="numbers beyond UINT8"):
        read_example(path, [TensorSpec("x", "UINT8", (1,))], (), batched=False)


def test_a_tensor_alone_is_one_argument(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    torch.save(torch.ones(2, 3), path)
    (value,) = read_example(path, (), ("x",), batched=True).values
    assert torch.equal(torch.as_tensor(value), torch.ones(2, 3))


class Evil:
    """Executes code when it is unpickled."""

    def __reduce__(self) -> Any:
        return (Path.touch, (Path("owned"),))


def _evil_npz(path: Path) -> None:
    np.savez(path, x=np.array([Evil()], dtype=object))


@pytest.mark.parametrize(
    ("name", "write", "words"),
    [
        ("x.pt", lambda path: torch.save(Evil(), path), "cannot be read as an example"),
        ("x.pt", lambda path: path.write_bytes(b"nothing"), "cannot be read as an example"),
        ("x.npz", _evil_npz, "cannot be read as an example"),
        ("x.npz", lambda path: path.write_bytes(b"PK"), "cannot be read as an example"),
        ("x.json", lambda path: path.write_text("{"), "cannot be read as an example"),
        ("x.json", lambda path: path.write_bytes(b"\xff"), "cannot be read as an example"),
        ("x.json", lambda path: path.write_text("[" * 100_000), "cannot be read as an example"),
        (
            "x.json",
            lambda path: path.write_text('{"y": [1]}'),
            "has y; name its values after the arguments of forward() (x)",
        ),
        ("x.json", lambda path: path.write_text('{"x": [[1], [2, 3]]}'), "x: expected sequence of length 1"),
        ("x.json", lambda path: path.write_text('{"x": {"a": 1}}'), "x.json: x: "),
        ("x.json", lambda path: path.write_text("[[1], [2]]"), "has 2 values, and there are 1 --input options"),
        ("x.json", lambda path: path.write_text('{"x": [300]}'), "x: value cannot be converted to type int8"),
        ("x.json", lambda path: path.write_text('{"x": [1.5]}'), "x is FP32, and --input says INT8"),
        ("x.json", lambda path: path.write_text('{"x": [[1]]}'), "x has shape [1, 1], and --input says [-1]"),
        ("x.npz", lambda path: np.savez(path, x=np.ones(2, "uint16")), "x is "),
    ],
)
def test_invalid_example_files_are_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, write: Any, words: str
) -> None:
    """Files are untrusted: no code in them is executed."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / name)
    with pytest.raises(ExportError) as caught:
        read_example(tmp_path / name, [TensorSpec("x", "INT8", (-1,))], ("x",), batched=False)
    assert words in str(caught.value)
    assert name in str(caught.value)
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            ("-i", "FP32:4", "--max-batch-size", 8, "--output-name", "a", "--output-name", "a"),
            "names of outputs must differ",
        ),
        (("-i", "FP32:nonsense"), "must be [NAME:]TYPE:DIMS"),
        (("-i", "a__1:FP32:4"), "must be __0, __1 and so on"),
        ((), "the inputs of forward() are not set: pass --input"),
        (("-i", "FP32:4", "--name", "../a"), "cannot be the name of a model"),
        (("--example", "x.csv"), "--example x.csv: must end in .npz, .pt, .pth, .json"),
        (("--example", "missing.npz"), "missing.npz: No such file or directory"),
        (("-i", "a:STRING:-1", "--format", "aotinductor"), "AOTInductor accepts only tensors"),
        (("-i", "FP32:x", "--name", "../a"), "FP32:x: must be"),
        (("-i", "FP32:x", "--name", "../a"), '"../a" cannot be the name'),
    ],
)
def test_errors_are_reported_before_torch_is_imported_and_the_file_is_run(
    net: Path, options: tuple[object, ...], words: str
) -> None:
    """All at once."""
    program = "import sys; sys.modules['torch'] = None\nfrom triton_operator.cli import main\nmain()\n"
    done = subprocess.run(
        [sys.executable, "-c", program, "export", f"{net}:Tagger", *map(str, options)],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": ":".join(sys.path), "CXX": sys.executable},
        cwd=net.parent,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert words in done.stderr
    assert not (net.parent / "ran").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--sparsity", 2, "--method", "prune"), "sparsity 2: must be above 0 and below 1"),
        (("--evaluate", "missing.py:a", "--method", "int8"), "missing.py: there is no such Python file"),
        (("--weights", "missing.ckpt", "--method", "int8", "-i", "FP32:x"), "missing.ckpt: No such file or directory"),
        (("--weights", "missing.ckpt", "--method", "int8", "-i", "FP32:x"), "--input FP32:x: must be"),
    ],
)
def test_compress_reports_mistakes_early_too(
    net: Path, capsys: pytest.CaptureFixture[str], options: tuple[object, ...], words: str
) -> None:
    fixed = ("-i", "FP32:4", "--evaluate", f"{net}:Tagger")
    outcome = tritonctl(capsys, "compress", f"{net}:Tagger", *fixed, *options)
    assert outcome.code == 1
    assert words in outcome.err
    assert not (net.parent / "ran").exists()


@pytest.mark.parametrize(
    ("module", "inputs", "words"),
    [
        ("Several", ["FP32:4"], f"forward() takes a as list[torch.Tensor]; {PASSES}, so use one tensor"),
        ("Number", ["FP32:4", "INT64:1"], f"forward() takes count as int; {PASSES}, so use a tensor of one element"),
        ("Nothing", ["FP32:4"], f"forward() returned None; {PASSES}, so always return a tensor"),
        ("Dictionary", ["FP32:4"], f"forward() returned a dict (boxes, scores); {PASSES}, so make it a tuple"),
        ("Dictionary", ["FP32:4"], '(output["boxes"], output["scores"],)'),
        ("Listed", ["FP32:4"], f"forward() returned a list of Tensor; {PASSES}, so add its tensors"),
        ("Wrong", ["FP32:4"], "Expected a value of type 'int' for argument 'dim' but instead found type 'str'"),
        ("Wrong", ["FP32:4"], "net.py, line"),
        ("Wrong", ["FP32:4"], "scripted; if no `if` depends on values, use --trace"),
    ],
)  # fmt: skip
def test_values_that_triton_cannot_pass_are_explained(
    net: Path, capsys: pytest.CaptureFixture[str], module: str, inputs: list[str], words: str
) -> None:
    options = [part for each in inputs for part in ("-i", each)]
    outcome = tritonctl(capsys, "export", f"{net}:{module}", *options, "--to", net.parent / "to")
    assert outcome.code == 1
    assert words in outcome.err
    assert not (net.parent / "to").exists()


def test_the_command_names_its_options(net: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the library names its keyword arguments."""
    file = net.with_name("mixed.py")
    file.write_text(
        "import torch\n\nclass Mixed(torch.nn.Module):\n    def forward(self, x):\n        return x.softmax(0)\n"
    )
    options = ("-i", "FP32:4", "--max-batch-size", 8, "--to", net.parent / "to")
    outcome = tritonctl(capsys, "export", f"{file}:Mixed", *options)
    assert outcome.code == 1
    assert "Leave --max-batch-size out (0)" in outcome.err
    assert "max_batch_size" not in outcome.err


def an_array_file(header: str) -> bytes:
    """A .npz whose array `x` has this header, and no values."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("x.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode())
    return content.getvalue()


def a_bomb() -> bytes:
    """A .npz of 2 MB that unpacks to 2 GiB."""
    content = io.BytesIO()
    with (
        zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("x.npy", "w", force_zip64=True) as member,
    ):
        for _ in range(129):
            member.write(bytes(16 << 20))
    return content.getvalue()


def a_saved(tensor: torch.Tensor) -> bytes:
    content = io.BytesIO()
    torch.save({"x": tensor}, content)
    return content.getvalue()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("a.npz", lambda: an_array_file("{'descr':'<f4','fortran_order':False,'shape':(1000000000,1000000,4)}\n")),
        ("a.npz", lambda: an_array_file("(" * 9000)),
        ("a.npz", lambda: an_array_file("__import__('os').system('false')\n")),
        ("a.npz", a_bomb),
        ("a.pt", lambda: a_saved(torch.zeros(1).expand(1 << 40, 4))),
        ("a.pt", lambda: a_saved(torch.zeros(2, 4, device="meta"))),
        ("a.pt", lambda: a_saved(torch.zeros(2, 4).to_sparse())),
        ("a.pt", lambda: a_saved(torch.quantize_per_tensor(torch.zeros(2, 4), 1.0, 0, torch.quint8))),
        ("a.json", lambda: b"[" * 100_000),
    ],
    ids=["npz-huge", "npz-deep", "npz-code", "npz-bomb", "expanded", "meta", "sparse", "quantized", "json-deep"],
)
def test_hostile_example_files_are_rejected_in_bounded_memory(
    tmp_path: Path, name: str, make: Callable[[], bytes]
) -> None:
    path = tmp_path / name
    path.write_bytes(make())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ExportError, match=rf"{name}: "):
        read_example(path, [TensorSpec("x", "FP32", (4,))], ["x"], batched=True)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000
