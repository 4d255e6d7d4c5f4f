"""What a model's file is before torch opens it, and why one cannot be served, in one sentence.

Input: a path. Output: its kind, or `LoadError`, whose sentence Triton repeats in its log and the kubelet in the pod's
status. Called by `torchscript_file` and `aotinductor_file`.
"""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

TORCHSCRIPT = "TorchScript"
COMPILED = "compiled by AOTInductor"
_PICKLE = b"\x80"
_LONGEST = 300  # characters; a kubelet keeps 2048 of a whole log


class LoadError(Exception):
    """The file cannot be served; the message names it as `<version>/<file>` and says why."""


def kind_of(path: Path, wanted: str) -> str:
    """Tell by content what it is. Raises `LoadError` for a file that is missing, empty or cannot be read."""
    name = name_of(path)
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except FileNotFoundError:
        raise LoadError(f"{name} does not exist: the version folder needs a file {wanted} of that name") from None
    except OSError as error:
        raise LoadError(f"{name} cannot be read: {error.strerror}") from None
    if not start:
        raise LoadError(f"{name} is empty")
    if not zipfile.is_zipfile(path):
        return _kind_by_start(start)
    with zipfile.ZipFile(path) as archive:
        return _kind_by_members({entry.partition("/")[2] for entry in archive.namelist()})


def name_of(path: Path) -> str:
    """Name a file as its user knows it."""
    return f"{path.parent.name}/{path.name}"


def reason_of(error: BaseException, line: int = -1) -> str:
    """Pick the sentence out of torch's message, which holds a trace of the model's code or advice around it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    chosen = next(
        (line for line in lines if "Unknown builtin op" in line), lines[line] if lines else type(error).__name__
    )
    for prefix in ("RuntimeError: ", "builtins."):
        chosen = chosen.removeprefix(prefix)
    return chosen if len(chosen) <= _LONGEST else chosen[: _LONGEST - 1] + "…"


def _kind_by_members(inside: set[str]) -> str:
    if any(entry.startswith("code/") for entry in inside):
        return TORCHSCRIPT
    if "archive_format" in inside:
        compiled = any(entry.startswith("data/aotinductor/") for entry in inside)
        return COMPILED if compiled else "an exported program (torch.export)"
    return "written by torch.save" if "data.pkl" in inside else "a zip archive of something else"


def _kind_by_start(start: bytes) -> str:
    if start == b"PK\x03\x04":
        return "an incomplete zip archive (was the copy cut short?)"
    if start[:1] == _PICKLE:
        return "a Python pickle"
    return "text" if all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in start) else "a file of unknown format"  # noqa: PLR2004
