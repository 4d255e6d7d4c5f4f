"""Detect the format of an input file. Pure.

Input: the content and the name of a file. Output: its format. Images are detected by content or extension; other files
by extension, or by content if the extension is unknown or the data comes from a pipe, which has no name.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from enum import Enum, auto
from pathlib import Path

_IMAGES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"RIFF", b"II*\0", b"MM\0*")
_IMAGE_EXTENSIONS = {".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff"}
_TABLE_EXTENSIONS = {".csv", ".tsv"}


class InputFormat(Enum):
    """What a file holds."""

    IMAGE = auto()
    JSON = auto()
    TABLE = auto()
    TEXT = auto()


def detect_format(content: bytes, file: Path) -> InputFormat:
    """Return the file's format. If the content decides, numbers in the last line mean a table, anything else text."""
    extension = file.suffix.lower()
    if content.startswith(_IMAGES) or extension in _IMAGE_EXTENSIONS:
        return InputFormat.IMAGE
    if extension in _TABLE_EXTENSIONS:
        return InputFormat.TABLE
    if extension == ".txt":
        return InputFormat.TEXT
    start = content.lstrip()[:1]
    if extension == ".json" or start in {b"{", b"["}:
        return InputFormat.JSON
    return InputFormat.TABLE if _last_line_is_numbers(content) else InputFormat.TEXT


def are_numbers(cells: Sequence[str]) -> bool:
    """Whether cells are numbers, and not the names of columns."""
    try:
        return bool([float(cell) for cell in cells])
    except ValueError:
        return False


def _last_line_is_numbers(content: bytes) -> bool:
    """Whether the last line has numbers between delimiters, quoted or not; the first line can have names."""
    lines = content.decode("utf-8-sig", errors="replace").strip().splitlines()[-1:]
    return are_numbers(next(csv.reader(line.replace(";", ",").replace("\t", ",") for line in lines), []))
