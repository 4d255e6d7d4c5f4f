"""Where files of an image come from: a folder of the repository, or one that is prepared when it is needed.

Input: paths. Output: for each origin a fingerprint, known without any preparation, so that an image that is up to date
costs nothing; and a folder, made on first use. Called by `plan` (fingerprints) and `layers` (folders).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from hack.images.failures import ImageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

COMPILED = "__pycache__"
IGNORE_FILE = ".dockerignore"


class Context(Protocol):
    """A named origin of files."""

    def fingerprint(self, path: str) -> str:
        """Hash of what `path` holds, without preparing anything."""

    def files(self, path: str) -> list[tuple[str, Path]]:
        """Every file and link below `path` with its name relative to it ("" when `path` is a file itself)."""

    def place(self, path: str) -> Path:
        """Where `path` is on this machine; prepares it."""


class Folder:
    """Sources in a folder; hashed by name, kind and content. Honours the plain names of a `.dockerignore`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def fingerprint(self, path: str) -> str:
        """Hash of the files below `path`; raises `ImageError` when there is nothing."""
        digest = hashlib.sha256()
        for name, file in self.files(path):
            content = str(file.readlink()).encode() if file.is_symlink() else file.read_bytes()
            executable = not file.is_symlink() and file.stat().st_mode & 0o111
            digest.update(f"{name}\0{bool(executable)}\0{file.is_symlink()}\0{len(content)}\0".encode() + content)
        return digest.hexdigest()

    def files(self, path: str) -> list[tuple[str, Path]]:
        """Every file below `path`, sorted."""
        start = self.place(path)
        if start.is_file():
            return [("", start)]
        if not start.is_dir():
            raise ImageError(f"{start} does not exist, but a Containerfile copies it")
        return sorted((str(file.relative_to(start)), file) for file in _walk(start, self._ignored))

    def place(self, path: str) -> Path:
        """The path itself; nothing has to be prepared."""
        return self.root / path

    @cached_property
    def _ignored(self) -> frozenset[Path]:
        listed = self.root / IGNORE_FILE
        lines = listed.read_text().split() if listed.exists() else []
        if any(set(line) & set("*?![#") for line in lines):
            raise ImageError(f"{listed}: only plain names are understood, no patterns")
        return frozenset(self.root / line for line in lines)


def _walk(folder: Path, ignored: frozenset[Path]) -> Iterable[Path]:
    for entry in folder.iterdir():
        if entry in ignored:
            continue
        if entry.is_dir() and not entry.is_symlink():
            # Hidden folders are the tools' own: histories and caches, which would change the tag and fill the image.
            if entry.name != COMPILED and not entry.name.startswith("."):
                yield from _walk(entry, ignored)
        else:
            yield entry


@dataclass(frozen=True)
class Prepared:
    """A folder made by `make` out of what `key` stands for: the same key, the same content."""

    key: str
    make: Callable[[], Path]

    def fingerprint(self, path: str) -> str:
        """Hash of key and path."""
        return hashlib.sha256(f"{self.key}\0{path}".encode()).hexdigest()

    def files(self, path: str) -> list[tuple[str, Path]]:
        """Every file below `path` of the prepared folder, sorted."""
        return Folder(self.make()).files(path)

    def place(self, path: str) -> Path:
        """Prepare the folder and give the path in it."""
        return self.make() / path
