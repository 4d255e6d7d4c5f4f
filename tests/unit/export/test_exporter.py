"""Export of a module to a file with its signature: the written files, and rejected modules with advice."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from triton_operator.export import ExportError, export_torchscript
from triton_operator.export.exporter import deprecation_known, load
from triton_operator.triton.model_file.archive import FileType, read_file_type, read_signature
from triton_operator.triton.model_file.signature import Signature, TensorSpec

IMAGES = torch.zeros(2, 1, 28, 28)


class Digits(nn.Module):
    """[batch, 1, 28, 28] -> [batch, 10]."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Linear(784, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.dense(images.flatten(1))  # type: ignore[no-any-return]


class Words(nn.Module):
    """Any number of texts and flags -> the same, and the length of each text."""

    def forward(self, texts: list[str], flags: torch.Tensor) -> tuple[list[str], torch.Tensor, torch.Tensor]:
        return texts, flags, torch.tensor([len(text) for text in texts])


class Function(nn.Module):
    """Any function of one tensor."""

    def __init__(self, function: Callable[[torch.Tensor], Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> Any:
        return self.function(x)


def test_the_file_has_the_signature_inside(tmp_path: Path) -> None:
    """Triton finds the archive, it contains the signature, and it returns the outputs of the module."""
    module = Digits()
    exported = export_torchscript(module, (IMAGES,), tmp_path, name="digits", max_batch_size=64)
    assert exported.path == tmp_path / "digits" / "1" / "model.pt"
    expected = Signature((TensorSpec("INPUT__0", "FP32", (1, 28, 28)),), (TensorSpec("OUTPUT__0", "FP32", (10,)),), 64)
    assert exported.signature == read_signature(exported.path) == expected
    assert exported.difference <= 1e-5
    with exported.path.open("rb") as file:
        assert read_file_type(file) is FileType.TORCHSCRIPT
    pictures = torch.rand(3, 1, 28, 28)
    assert torch.allclose(load(exported.path)(pictures), module(pictures), atol=1e-5)
    assert sorted(entry.name for entry in tmp_path.rglob("*") if entry.is_file()) == ["README.md", "model.pt"]


def test_torch_finds_the_signature_where_it_puts_extra_files_itself(tmp_path: Path) -> None:
    exported = export_torchscript(Digits(), IMAGES, tmp_path, name="digits", max_batch_size=64)
    extra = {"triton_signature.json": ""}
    with deprecation_known():
        torch.jit.load(exported.path, _extra_files=extra)  # type: ignore[no-untyped-call]
    assert '"maxBatchSize":64' in str(extra["triton_signature.json"])
    by_torch = tmp_path / "archive.pt"
    with deprecation_known():
        torch.jit.script(Digits()).save(str(by_torch), _extra_files=extra)  # type: ignore[no-untyped-call]
    assert read_signature(by_torch) == exported.signature


def test_sizes_that_differ_between_examples_are_any_size(tmp_path: Path) -> None:
    """Texts, booleans and integers, without a batch; with the argument names of forward()."""
    first = (["a", "bc"], torch.tensor([True, False]))
    other = (["", "b", "c"], torch.tensor([True, False, True]))
    exported = export_torchscript(
        Words(), first, tmp_path, name="words", input_names=("texts", "flags"), other_examples=[other], version=3
    )
    assert exported.path == tmp_path / "words" / "3" / "model.pt"
    assert exported.signature == Signature(
        (TensorSpec("texts", "STRING", (-1,)), TensorSpec("flags", "BOOL", (-1,))),
        (
            TensorSpec("OUTPUT__0", "STRING", (-1,)),
            TensorSpec("OUTPUT__1", "BOOL", (-1,)),
            TensorSpec("OUTPUT__2", "INT64", (-1,)),
        ),
    )


def test_one_value_in_each_row_has_no_dimensions(tmp_path: Path) -> None:
    exported = export_torchscript(
        Function(lambda x: x.sum(1)), torch.ones(2, 3), tmp_path, name="sum", max_batch_size=4, trace=True
    )
    assert exported.signature.outputs == (TensorSpec("OUTPUT__0", "FP32", ()),)


def test_the_same_module_becomes_the_same_bytes(tmp_path: Path) -> None:
    """They contain no information about the machine."""
    module = Digits()
    paths = [export_torchscript(module, IMAGES, tmp_path / name, name="digits").path for name in ("a", "b")]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert str(Path(__file__).parent).encode() not in paths[0].read_bytes()
    with zipfile.ZipFile(paths[0]) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def _branch(x: torch.Tensor) -> torch.Tensor:
    return x if bool(x.sum() > 0) else -x


def test_a_module_that_fails_only_when_compiled_is_advised_to_trace(tmp_path: Path) -> None:
    """torch.jit.script accepts a parametrized layer, whose call then raises an error."""
    module = nn.utils.parametrizations.weight_norm(nn.Linear(2, 2))
    with pytest.raises(ExportError, match=r"compiled module fails for an input that the module accepts: .* trace=True"):
        export_torchscript(module, torch.ones(1, 2), tmp_path, name="norm")
    assert export_torchscript(module, torch.ones(1, 2), tmp_path, name="norm", trace=True).difference < 1e-5


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize(
    ("module", "example", "options", "words"),
    [
        (Digits(), IMAGES[:, 0], {"max_batch_size": 8, "name": "../digits"}, "cannot be the name of a model"),
        (Digits(), torch.zeros(2, 5), {}, "fails for the example"),
        (Digits(), IMAGES, {"input_names": ("pictures",)}, "forward()'s own argument names (images)"),
        (Digits(), IMAGES, {"input_names": ("a", "b")}, "there are 1 inputs and 2 names"),
        (Digits(), IMAGES, {"output_names": ("OUT__1",)}, "must be __0, __1"),
        (Words(), (["a"], torch.ones(2)), {"max_batch_size": 8}, "the first dimension of every input and output"),
        (Function(lambda x: x), torch.ones(2), {}, "cannot be scripted; if no `if` depends on values, use trace=True"),
        (Function(lambda x: {"y": x}), torch.ones(2), {"trace": True}, "forward() returned a dict (y)"),
        (
            Function(lambda x: x.bfloat16()),
            torch.ones(2),
            {"trace": True},
            "torch.bfloat16, which Triton does not support",
        ),
        (Function(lambda x: x.sum()), torch.ones(2), {"trace": True}, "has no dimensions"),
        (Function(lambda _: ()), torch.ones(2), {"max_batch_size": 8}, "forward() returned no output"),
        (Function(lambda x: x.mean(0)), torch.ones(2, 2), {"trace": True, "max_batch_size": 8}, "twice the rows"),
        (
            Function(_branch),
            torch.ones(2),
            {"trace": True, "other_examples": [-torch.ones(2)]},
            "differ by 2",
        ),
    ],
)
def test_modules_that_cannot_be_exported_are_rejected(
    tmp_path: Path, module: nn.Module, example: Any, options: dict[str, Any], words: str
) -> None:
    """The message says what to change, and nothing is written."""
    with pytest.raises(ExportError) as caught:
        export_torchscript(module, example, tmp_path, **{"name": "digits", **options})
    assert words in str(caught.value)
    assert list(tmp_path.rglob("*")) == []


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.tuples(st.lists(st.integers(1, 4), min_size=1, max_size=3), st.booleans()), min_size=1, max_size=3),
    st.integers(0, 8),
)
def test_a_signature_has_the_shapes_of_the_examples(shapes: list[tuple[list[int], bool]], batch: int) -> None:
    """Each input is returned: outputs have the same dimensions, with and without a batch."""
    import tempfile

    rows = [2] if batch else []
    examples = [torch.zeros(*rows, *dims, dtype=torch.int32 if whole else torch.float64) for dims, whole in shapes]

    class Echo(nn.Module):
        def forward(self, *args: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return tuple(each + 0 for each in args)

    with tempfile.TemporaryDirectory() as folder:
        exported = export_torchscript(Echo(), examples, folder, name="echo", max_batch_size=batch, trace=True)
    kinds = ["INT32" if whole else "FP64" for _, whole in shapes]
    assert [(each.data_type, each.dims) for each in exported.signature.inputs] == [
        (kind, tuple(dims)) for kind, (dims, _) in zip(kinds, shapes, strict=True)
    ]
    assert [each.dims for each in exported.signature.outputs] == [each.dims for each in exported.signature.inputs]


def test_without_torch_the_extra_is_named(tmp_path: Path) -> None:
    """The package can be imported without torch, and reports the missing extra when it is used."""
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "from triton_operator.export import ExportError, export_torchscript\n"
        "try: export_torchscript(None, (), '.', name='x')\n"
        "except ExportError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": ":".join(sys.path)},
        cwd=tmp_path,
    )
    assert done.stdout == "exporting needs the package torch: pip install '.[export]'\n"
