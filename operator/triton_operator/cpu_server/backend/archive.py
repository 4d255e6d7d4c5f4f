"""Detect the kind of a model file before torch opens it, and write a clear message for load errors.

Input: a path. Output: its kind, or `LoadError`, a sentence that Triton writes to its log and the kubelet to the pod's
status. `torchscript_file` and `aotinductor_file` call it.
"""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

TORCHSCRIPT = "TorchScript"
COMPILED = "compiled by AOTInductor"
_PICKLE = b"\x80"
_CAUSES = ("RuntimeError: ", "builtins.")
_MOST_CHARACTERS = 300  # The kubelet keeps 2048 bytes of the whole log.


class LoadError(Exception):
    """The file cannot be served; the message names it as `<version>/<file>` and states the reason."""


def detect_kind(path: Path, expected: str) -> str:
    """Detect the kind from the content. Raises `LoadError` if the file is missing, empty or unreadable."""
    name = name_of(path)
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except FileNotFoundError:
        raise LoadError(f"{name} does not exist: the version folder must contain this file, {expected}") from None
    except OSError as error:
        raise LoadError(f"{name} cannot be read: {error.strerror}") from None
    if not start:
        raise LoadError(f"{name} is empty")
    if not zipfile.is_zipfile(path):
        return _kind_by_start(start)
    with zipfile.ZipFile(path) as archive:
        return _kind_by_members({entry.partition("/")[2] for entry in archive.namelist()})


def name_of(path: Path) -> str:
    """The file's name with its version folder."""
    return f"{path.parent.name}/{path.name}"


def reason_of(error: BaseException, line: int = -1) -> str:
    """Extract the cause from torch's message, which also contains a trace of the model's code or advice.

    The result is one printable line: what follows the last name of an exception, or else the line at index `line`.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    chosen = next(
        (line for line in lines if "Unknown builtin op" in line), lines[line] if lines else type(error).__name__
    )
    named = [index for index, each in enumerate(lines) if each.startswith(_CAUSES)]
    if named and "Unknown builtin op" not in chosen:
        chosen = " ".join(lines[named[-1] :])
    for prefix in _CAUSES:
        chosen = chosen.removeprefix(prefix)
    chosen = "".join(letter if letter.isprintable() else " " for letter in chosen)
    return chosen if len(chosen) <= _MOST_CHARACTERS else chosen[: _MOST_CHARACTERS - 1] + "…"


def _kind_by_members(inside: set[str]) -> str:
    if any(entry.startswith("code/") for entry in inside):
        return TORCHSCRIPT
    if "archive_format" in inside:
        compiled = any(entry.startswith("data/aotinductor/") for entry in inside)
        return COMPILED if compiled else "an exported program (torch.export)"
    return "written by torch.save" if "data.pkl" in inside else "a zip archive of something else"


def _kind_by_start(start: bytes) -> str:
    if start == b"PK\x03\x04":
        return "an incomplete zip archive (was copying interrupted?)"
    if start[:1] == _PICKLE:
        return "a Python pickle"
    return "text" if all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in start) else "a file of unknown format"  # noqa: PLR2004
