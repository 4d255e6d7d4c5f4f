"""Save and load TorchScript files: the same model always becomes the same bytes.

`workflow` saves, `verify` and the tests load. Needs torch.
"""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path

import torch
from torch import nn

_NOT_THE_MODEL = (".debug_pkl", ".data/serialization_id")
"""Left out of the archive: the first name source files of the machine that saved it, the second is a hash of them."""

_DATE = (1980, 1, 1, 0, 0, 0)
"""The first day a zip archive can name; every entry carries it."""


def save(model: nn.Module, path: Path) -> None:
    """Compile a module by scripting and write it as TorchScript; parent folders are made.

    The module is saved in evaluation mode with its weights as they are, so that they can be read back.
    """
    buffer = io.BytesIO()
    with _deprecation_known():
        torch.jit.save(torch.jit.script(model.eval()), buffer)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_fixed_archive(buffer))


def load(path: Path) -> torch.jit.ScriptModule:
    """Read a TorchScript file onto the processor."""
    with _deprecation_known():
        module: torch.jit.ScriptModule = torch.jit.load(path, map_location="cpu")  # type: ignore[no-untyped-call]
    return module


def load_eager(build: Callable[[], nn.Module], path: Path) -> nn.Module:
    """Rebuild the ordinary Python module and give it the weights of a TorchScript file.

    Its answers come from PyTorch without TorchScript: what a served model is compared with.
    """
    model = build()
    model.load_state_dict(load(path).state_dict())
    return model.eval()


def _fixed_archive(source: io.BytesIO) -> bytes:
    """Copy the zip archive of `torch.jit.save` with its entries in order, uncompressed, and without what varies."""
    target = io.BytesIO()
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as new:
        for name in old.namelist():
            if not name.endswith(_NOT_THE_MODEL):
                content = _in_fixed_order(old.read(name)) if name.endswith(".py") else old.read(name)
                new.writestr(zipfile.ZipInfo(name, _DATE), content)
    return target.getvalue()


def _in_fixed_order(code: bytes) -> bytes:
    """Sort the constants of each class: torch keeps them in a set, whose order differs from process to process."""
    groups = groupby(code.splitlines(keepends=True), key=lambda line: b" : Final[" in line)
    return b"".join(line for constants, lines in groups for line in (sorted(lines) if constants else lines))


@contextmanager
def _deprecation_known() -> Iterator[None]:
    """Silence PyTorch's advice to leave TorchScript for torch.export (a FutureWarning since 2.10).

    Triton's PyTorch backend serves TorchScript, and on a processor nothing else. The advice would come once per layer.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"`torch\.jit\.\w+` is deprecated", category=FutureWarning)
        warnings.filterwarnings("ignore", message=r"`torch\.jit\.\w+` is deprecated", category=DeprecationWarning)
        yield
