"""Everything in the folder of a model, without following links.

Input: a folder. Output: paths and entries. Signing, encryption and decryption decide what they accept.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

SIGNATURE_FILE = "model.sig"
"""The cryptographic signature of a model, in its folder."""


def walk(folder: Path, prefix: str = "") -> Iterator[tuple[str, os.DirEntry[str]]]:
    """The path and the entry of everything that is not itself a folder, sorted within each folder; raises OSError."""
    with os.scandir(folder) as scanned:
        entries = sorted(scanned, key=lambda each: each.name)
    for entry in entries:
        path = f"{prefix}{entry.name}"
        if entry.is_dir(follow_symlinks=False):
            yield from walk(Path(entry.path), f"{path}/")
        else:
            yield path, entry


def is_file(entry: os.DirEntry[str]) -> bool:
    """Whether it is a file, and not a link, a pipe or a device."""
    return entry.is_file(follow_symlinks=False)
