"""Export with AOTInductor: the checks, the signature, and errors for missing tools."""

from __future__ import annotations

import importlib.util
import shutil
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.triton_backend import Tensor as Sent
from tests.triton_backend import ask, load, put, serve
from tests.tritonctl import tritonctl
from triton_operator.export import ExportError, aotinductor, export_aotinductor
from triton_operator.export.aotinductor import CompiledPackage, row_major
from triton_operator.export.archive import write_archive
from triton_operator.export.equivalence_check import ExportOptions, record_runs
from triton_operator.export.exporter import argument_names
from triton_operator.export.folder import Exported
from triton_operator.triton.model_file.archive import FileType, read_file_type, read_signature
from triton_operator.triton.model_file.signature import Signature, TensorSpec
from triton_operator.triton.text.parser import parse

pytestmark = pytest.mark.training

backend = load()["model"]
CONFIG: dict[str, Any] = {
    "name": "gate",
    "backend": "aotinductor",
    "max_batch_size": 8,
    "input": [put("INPUT__0", "FP32", 3), put("INPUT__1", "BOOL", 1)],
    "output": [put("OUTPUT__0", "FP32", 2), put("OUTPUT__1", "FP32")],
}
ROWS = torch.arange(6, dtype=torch.float32).reshape(2, 3)


class Gate(nn.Module):
    """[batch, 3] and a mask of the rows to keep -> [batch, 2] and their sums."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Linear(3, 2)

    def forward(self, rows: torch.Tensor, kept: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        out = self.dense(rows) * kept
        return out, out.sum(1)


@pytest.fixture(scope="module")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create the folder that torch would share between the processes of a user."""
    return tmp_path_factory.mktemp("shared-cache")


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> tuple[Gate, Exported]:
    """Compiled once per session, which takes 15 s. The cache that processes share would be `shared_cache`."""
    if shutil.which("g++") is None or importlib.util.find_spec("setuptools") is None:
        pytest.skip("compiling a model needs g++ and setuptools")
    module, inputs = Gate().eval(), (ROWS, torch.tensor([[True], [False]]))
    folder = tmp_path_factory.mktemp("repository")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCHINDUCTOR_CACHE_DIR", str(shared_cache))
        return module, export_aotinductor(module, inputs, folder, name="gate", max_batch_size=8, with_config=True)


def test_compiling_shares_no_files_with_other_processes(gate: tuple[Gate, Exported], shared_cache: Path) -> None:
    """Two processes that compile the same module would write to the same paths."""
    assert gate[1].path.is_file()
    assert not list(shared_cache.rglob("*"))


def test_a_package_contains_a_complete_model(gate: tuple[Gate, Exported]) -> None:
    module, exported = gate
    folder = exported.path.parents[1]
    assert exported.path == folder / "1" / "model.pt2"
    expected = Signature(
        (TensorSpec("INPUT__0", "FP32", (3,)), TensorSpec("INPUT__1", "BOOL", (1,))),
        (TensorSpec("OUTPUT__0", "FP32", (2,)), TensorSpec("OUTPUT__1", "FP32", ())),
        8,
    )
    assert exported.signature == read_signature(exported.path) == expected
    assert exported.difference <= 1e-5
    with exported.path.open("rb") as file:
        assert read_file_type(file) is FileType.EXPORTED_PROGRAM
    with zipfile.ZipFile(exported.path) as archive:
        assert not [name for name in archive.namelist() if name.endswith(".cpp")]
    kept = torch.ones(5, 1, dtype=torch.bool)
    rows = torch.rand(3, 5).T  # The compiled code assumes other strides, so the values must be copied.
    answer = CompiledPackage(exported.path)(rows, kept)
    assert isinstance(answer, tuple)
    assert all(torch.allclose(*pair, atol=1e-5) for pair in zip(answer, module(rows, kept), strict=True))
    assert parse((folder / "config.pbtxt").read_text())["platform"] == ["torch_aoti"]
    assert "AOTInductor in `1/model.pt2`" in (folder / "README.md").read_text()


def test_the_cpu_backend_returns_the_outputs_of_the_module(gate: tuple[Gate, Exported]) -> None:
    """For two requests in one batch, one of which has a single row."""
    module, exported = gate
    model = serve(backend, exported.path.parents[1], CONFIG)
    questions = [(ROWS[:1], torch.tensor([[True]])), (torch.rand(3, 3), torch.tensor([[True], [False], [True]]))]
    answers = ask(model, *([Sent("INPUT__0", values=rows), Sent("INPUT__1", values=kept)] for rows, kept in questions))
    for answer, question in zip(answers, questions, strict=True):
        for name, expected in zip(("OUTPUT__0", "OUTPUT__1"), module(*question), strict=True):
            assert answer.values(name) == pytest.approx(expected.detach().numpy(), abs=1e-5)


def test_a_configuration_with_too_few_inputs_does_not_load(gate: tuple[Gate, Exported]) -> None:
    config = CONFIG | {"input": CONFIG["input"][:1]}
    with pytest.raises(Exception, match=r"declares 1 input\(s\) \(INPUT__0\), but the model's forward\(\) accepts"):
        serve(backend, gate[1].path.parents[1], config)


def test_a_file_for_a_processor_with_more_instructions_does_not_load(
    gate: tuple[Gate, Exported], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An instruction that this processor lacks would end the server's process."""
    if not torch.cpu.get_capabilities().get("avx2"):
        pytest.skip("this processor has no optional instruction sets")
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": False, "avx512_f": False})
    with pytest.raises(Exception, match=r"compiled for a processor with avx\w+, which this one lacks"):
        serve(backend, gate[1].path.parents[1], CONFIG)


def test_a_tensor_gets_row_major_strides_even_if_torch_considers_it_contiguous() -> None:
    """Compiled code assumes the strides of its example without checking."""
    pictures = torch.arange(8.0).reshape(2, 2, 2)[:, None]
    odd = pictures.as_strided(pictures.shape, (4, 1, 2, 1))
    assert odd.is_contiguous()
    assert row_major(odd).stride() == (4, 4, 2, 1)
    assert torch.equal(row_major(odd), pictures)
    assert row_major(pictures.clone(memory_format=torch.contiguous_format)).stride() == (4, 4, 2, 1)
    assert row_major(torch.tensor(1.0)).shape == ()


def test_missing_tools_are_reported_before_anything_is_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(ExportError, match=r"there is no g\+\+: install one \(Debian: apt-get install g\+\+\)"):
        export_aotinductor(nn.Linear(3, 2), ROWS, tmp_path, name="line")
    monkeypatch.setenv("CXX", sys.executable)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ExportError, match=r"needs setuptools.*pip install setuptools"):
        export_aotinductor(nn.Linear(3, 2), ROWS, tmp_path, name="line")


def test_tensor_names_follow_the_rules_of_torchscript(gate: tuple[Gate, Exported], tmp_path: Path) -> None:
    """Clients do not change with the format; the backend passes such inputs in the order of the file."""
    module, exported = gate
    names = tuple(argument_names(module))
    assert names == ("rows", "kept")
    runs = record_runs(module, [(ROWS, torch.tensor([[True], [False]]))], ExportOptions("gate", names, (), 8), names)
    folder = tmp_path / "1"
    folder.mkdir()
    write_archive(exported.path, folder / "model.pt2", runs.signature)
    tensors = runs.signature.inputs
    config = CONFIG | {"input": [put(each.name, each.data_type, *each.dims) for each in tensors]}
    (answer,) = ask(
        serve(backend, tmp_path, config), [Sent("rows", values=ROWS), Sent("kept", values=torch.ones(2, 1) > 0)]
    )
    expected, _ = module(ROWS, torch.ones(2, 1))
    assert answer.values("OUTPUT__0") == pytest.approx(expected.detach().numpy(), abs=1e-5)


@pytest.mark.parametrize("names", [("row", "kept"), ("kept", "rows"), ("rows__1", "kept__0")])
def test_an_invalid_name_is_rejected_before_anything_is_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: tuple[str, str]
) -> None:
    monkeypatch.setenv("CXX", sys.executable)
    monkeypatch.setattr(aotinductor, "_record", lambda *_: pytest.fail("compiled"))
    example = (ROWS, torch.tensor([[True], [False]]))
    words = r"input names \w+, \w+(: use forward\(\)'s own argument names| end in numbers)"
    with pytest.raises(ExportError, match=words):
        export_aotinductor(Gate(), example, tmp_path, name="gate", input_names=names, max_batch_size=8)


def test_dependent_rows_are_rejected_before_anything_is_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", sys.executable)
    monkeypatch.setattr(aotinductor, "_record", lambda *_: pytest.fail("compiled"))
    with pytest.raises(ExportError, match="influence each other"):
        export_aotinductor(nn.Softmax(0), ROWS, tmp_path, name="softmax", max_batch_size=8)


def test_text_inputs_are_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", sys.executable)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    with pytest.raises(ExportError, match="AOTInductor accepts only tensors"):
        export_aotinductor(nn.Identity(), (["a"],), tmp_path, name="text")


def test_the_command_rejects_a_torchscript_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """AOTInductor needs the Python module."""
    (tmp_path / "line.pt").touch()
    outcome = tritonctl(capsys, "export", tmp_path / "line.pt", "-i", "FP32:3", "--format", "aotinductor")
    assert outcome.code == 1
    assert "AOTInductor is compiled from the module itself: FILE.py:NAME" in outcome.err
