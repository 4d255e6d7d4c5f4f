"""A file that cannot be served: one sentence with its name and the reason."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.triton_backend import load, save, serve

modules = load()
torchscript_file = modules["torchscript_file"]
LoadError = modules["archive"].LoadError
MODEL = torch.nn.Linear(2, 2)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The path of the file of version 1, which does not exist yet."""
    (tmp_path / "1").mkdir()
    return tmp_path / "1" / "model.pt"


def write(path: Path, kind: str) -> None:
    """Write a file of this kind."""
    match kind:
        case "weights":
            torch.save(MODEL.state_dict(), path)
        case "pickle":
            torch.save(MODEL.state_dict(), path, _use_new_zipfile_serialization=False)
        case "exported":
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("model/archive_format", "pt2")
        case "zip":
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("notes", "")
        case "cut":
            whole = save(MODEL, path.parent.parent).read_bytes()
            path.write_bytes(whole[: len(whole) // 2])
        case "text":
            path.write_text("version https://git-lfs.github.com/spec/v1\n")
        case "bytes":
            path.write_bytes(b"\x00\x01\x02\x03")
        case "empty":
            path.touch()


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("weights", "written by torch.save, not TorchScript: export it with torch.jit.script"),
        ("pickle", "a Python pickle, not TorchScript"),
        ("exported", r"an exported program \(torch.export\), not TorchScript"),
        ("zip", "a zip archive of something else, not TorchScript"),
        ("cut", r"an incomplete zip archive \(was copying interrupted\?\), not TorchScript"),
        ("text", "text, not TorchScript"),
        ("bytes", "a file of unknown format, not TorchScript"),
        ("empty", "empty"),
    ],
)
def test_another_kind_of_file_is_named_as_what_it_is(path: Path, kind: str, words: str) -> None:
    """Torch's message for most of these is a stack of C++ frames."""
    write(path, kind)
    with pytest.raises(LoadError, match=rf"^1/model\.pt is {words}"):
        torchscript_file.load(path)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("script", "is TorchScript, not compiled by AOTInductor: export it with tritonctl export"),
        ("exported", r"is an exported program \(torch.export\), not compiled"),
        ("weights", "is written by torch.save, not compiled"),
        ("broken", "cannot be loaded by torch .*: Failed to find wrapper metadata"),
        ("none", "does not exist: the version folder must contain this file, compiled by AOTInductor"),
    ],
)
def test_what_is_not_compiled_is_named_as_what_it_is(path: Path, kind: str, words: str) -> None:
    """The loader's message is a line in torch's sources."""
    path = path.with_suffix(".pt2")
    if kind == "script":
        save(MODEL, path.parent.parent).rename(path)
    elif kind == "broken":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("model/archive_format", "pt2")
            archive.writestr("model/data/aotinductor/model/code.wrapper.so", b"ELF")
    else:
        write(path, kind)
    with pytest.raises(LoadError, match=rf"^1/model\.pt2 {words}"):
        modules["aotinductor_file"].load(path)


def test_a_missing_file_and_an_unreadable_one_are_distinguished(path: Path) -> None:
    """The data is missing, or the permission."""
    with pytest.raises(LoadError, match=r"^1/model\.pt does not exist"):
        torchscript_file.load(path)
    path.mkdir()
    with pytest.raises(LoadError, match=r"^1/model\.pt cannot be read: Is a directory"):
        torchscript_file.load(path)


def test_an_operation_that_torch_does_not_know_is_named(path: Path) -> None:
    """The image has no custom operators; the last line of torch's message would be a caret."""
    whole = save(MODEL, path.parent.parent)
    with zipfile.ZipFile(whole) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content.replace(b"torch.linear(", b"ops.vision.nms("))
    with pytest.raises(LoadError, match=r"^1/model\.pt cannot be loaded by torch .*Unknown builtin op: vision::nms"):
        torchscript_file.load(path)


def test_triton_gets_the_sentence(path: Path) -> None:
    """It appends the exception's text to `failed to load 'digits' version 1:`."""
    config: dict[str, Any] = {"input": [], "output": []}
    with pytest.raises(Exception, match=r"^1/model\.pt does not exist") as caught:
        serve(modules["model"], path.parent.parent, config)
    assert type(caught.value).__name__ == "TritonModelException"


def test_a_long_reason_is_cut() -> None:
    """A kubelet keeps the last 2048 bytes of a container's log."""
    assert len(modules["archive"].reason_of(RuntimeError("x" * 5000))) == 300


def test_a_reason_of_several_lines_is_one_printable_line() -> None:
    """The first line of a message may be the one that says what is wrong."""
    trace = "The following operation failed.\nTraceback of TorchScript:\n  File x\n"
    reason = modules["archive"].reason_of(RuntimeError(f"{trace}builtins.ValueError: too long\nsend \x1b[31mless\n"))
    assert reason == "ValueError: too long send  [31mless"


def test_a_model_that_changes_itself_is_served_unfrozen(path: Path) -> None:
    """Freezing would remove its counter."""

    class Counter(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.count = 0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.count += 1
            return x + self.count

    module, _ = torchscript_file.load(save(Counter(), path.parent.parent))
    prepared = torchscript_file.prepare(module, optimized=True)
    assert [prepared(torch.zeros(1)).item() for _ in range(2)] == [1, 2]
