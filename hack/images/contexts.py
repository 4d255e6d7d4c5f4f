"""Build contexts, the sources of an image's files: a folder of the repository, or a folder prepared on demand.

Input: paths. Output: for each context, a fingerprint that requires no preparation, so that an up-to-date image needs no
preparation; and a folder, prepared on first use. `plan` (fingerprints) and `layers` (folders) call it.
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
    """A source of files."""

    def fingerprint(self, path: str) -> str:
        """Hash of the content of `path`, without preparing anything."""

    def files(self, path: str) -> list[tuple[str, Path]]:
        """All files and links below `path` with their relative names ("" if `path` is a file itself)."""

    def local_path(self, path: str) -> Path:
        """Return the path on this machine; prepares the folder if needed."""


class Folder:
    """A source folder, hashed by names, types and content. Supports names, but not patterns, in `.dockerignore`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def fingerprint(self, path: str) -> str:
        """Hash of the files below `path`; raises `ImageError` if it does not exist."""
        digest = hashlib.sha256()
        for name, file in self.files(path):
            content = str(file.readlink()).encode() if file.is_symlink() else file.read_bytes()
            executable = not file.is_symlink() and file.stat().st_mode & 0o111
            digest.update(f"{name}\0{bool(executable)}\0{file.is_symlink()}\0{len(content)}\0".encode() + content)
        return digest.hexdigest()

    def files(self, path: str) -> list[tuple[str, Path]]:
        """All files below `path`, sorted."""
        start = self.local_path(path)
        if start.is_file():
            return [("", start)]
        if not start.is_dir():
            raise ImageError(f"{start} does not exist, but a Containerfile copies it")
        return sorted((str(file.relative_to(start)), file) for file in _walk(start, self._ignored))

    def local_path(self, path: str) -> Path:
        """The path itself, which needs no preparation."""
        return self.root / path

    @cached_property
    def _ignored(self) -> frozenset[Path]:
        listed = self.root / IGNORE_FILE
        lines = listed.read_text().split() if listed.exists() else []
        if any(set(line) & set("*?![#") for line in lines):
            raise ImageError(f"{listed}: patterns are not supported, only names")
        return frozenset(self.root / line for line in lines)


def _walk(folder: Path, ignored: frozenset[Path]) -> Iterable[Path]:
    for entry in folder.iterdir():
        if entry in ignored:
            continue
        if entry.is_dir() and not entry.is_symlink():
            # Hidden folders contain histories and caches of tools, which would change the tag and the image's size.
            if entry.name != COMPILED and not entry.name.startswith("."):
                yield from _walk(entry, ignored)
        else:
            yield entry


@dataclass(frozen=True)
class PreparedContext:
    """A folder that `make` creates; equal keys mean equal content."""

    key: str
    make: Callable[[], Path]

    def fingerprint(self, path: str) -> str:
        """Hash of key and path."""
        return hashlib.sha256(f"{self.key}\0{path}".encode()).hexdigest()

    def files(self, path: str) -> list[tuple[str, Path]]:
        """All files below `path` in the prepared folder, sorted."""
        return Folder(self.make()).files(path)

    def local_path(self, path: str) -> Path:
        """Prepare the folder and return the path in it."""
        return self.make() / path
