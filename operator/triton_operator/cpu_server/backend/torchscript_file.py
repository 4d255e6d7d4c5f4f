"""Load a TorchScript file, and say in one sentence why one cannot be loaded.

In: a path. Out: the module and the arguments of its forward(), or `LoadError`, whose sentence Triton repeats in its
log and the kubelet in the pod's status. Called by `model`.
"""

from __future__ import annotations

import warnings
import zipfile
from typing import TYPE_CHECKING, Any

import torch
from interface import Argument

if TYPE_CHECKING:
    from pathlib import Path

_EXPORT = "export it with torch.jit.script(model.eval()).save('model.pt')"
_PICKLE = b"\x80"
_LONGEST = 300  # characters; a kubelet keeps 2048 of a whole log


class LoadError(Exception):
    """The file cannot be served; the message names it as `<version>/<file>` and says why."""


def load(path: Path) -> tuple[Any, list[Argument]]:
    """Load for the CPU, whatever device it was saved from. Raises `LoadError`."""
    name = f"{path.parent.name}/{path.name}"
    explain_unusable(path, name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # "torch.jit.load is deprecated", at each start
            module = torch.jit.load(str(path), map_location="cpu").eval()  # type: ignore[no-untyped-call]
        forward = [
            Argument(argument.name, str(argument.type), argument.has_default_value())
            for argument in module.forward.schema.arguments[1:]
        ]
    except (RuntimeError, ValueError, AttributeError, OSError) as error:
        raise LoadError(f"{name} cannot be loaded by torch {torch.__version__}: {reason_of(error)}") from error
    return module, forward


def explain_unusable(path: Path, name: str) -> None:
    """Raise `LoadError` for what can be told without running torch: missing, unreadable, another format."""
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except FileNotFoundError:
        raise LoadError(f"{name} does not exist: the version folder needs a TorchScript file of that name") from None
    except OSError as error:
        raise LoadError(f"{name} cannot be read: {error.strerror}") from None
    if not start:
        raise LoadError(f"{name} is empty")
    if not zipfile.is_zipfile(path):
        raise LoadError(f"{name} is {_kind_of(start)}, not TorchScript: {_EXPORT}")
    with zipfile.ZipFile(path) as archive:
        inside = {entry.partition("/")[2] for entry in archive.namelist()}
    if not any(entry.startswith("code/") for entry in inside):
        raise LoadError(f"{name} is {_kind_of_zip(inside)}, not TorchScript: {_EXPORT}")


def prepare(module: Any, *, optimized: bool) -> Any:
    """Freeze weights into the graph and, for convolutions, reorder them for the CPU (2.5 times the throughput).

    A module that cannot be frozen, because it changes its own attributes, is served as it is.
    """
    if not optimized:
        return module
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            frozen = torch.jit.freeze(module)
            return torch.jit.optimize_for_inference(frozen) if _has_convolution(frozen) else frozen
        except RuntimeError:
            return module


def reason_of(error: BaseException) -> str:
    """Pick the sentence out of torch's message, which holds a trace of the model's code around it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    chosen = next(
        (line for line in lines if "Unknown builtin op" in line), lines[-1] if lines else type(error).__name__
    )
    for prefix in ("RuntimeError: ", "builtins."):
        chosen = chosen.removeprefix(prefix)
    return chosen if len(chosen) <= _LONGEST else chosen[: _LONGEST - 1] + "…"


def _has_convolution(module: Any) -> bool:
    graph = str(module.inlined_graph)
    return "aten::conv" in graph or "aten::_conv" in graph


def _kind_of_zip(inside: set[str]) -> str:
    if "archive_format" in inside:
        return "an exported program (torch.export)"
    return "written by torch.save" if "data.pkl" in inside else "a zip archive of something else"


def _kind_of(start: bytes) -> str:
    if start == b"PK\x03\x04":
        return "an incomplete zip archive (was the copy cut short?)"
    if start[:1] == _PICKLE:
        return "a Python pickle"
    return "text" if all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in start) else "a file of unknown format"  # noqa: PLR2004
