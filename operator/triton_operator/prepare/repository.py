"""An untrusted model repository: paths and links in it may lead outside.

`find_folder` finds a model's folder, and `check_links` checks everything that Triton can reach from it. Both reject
paths that leave the repository, because Triton would otherwise serve files of the pod itself.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from triton_operator.prepare.errors import not_found

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SHOWN_ENTRIES = 10
"""Number of names that a message lists."""

MAX_ENTRIES = 20_000
"""Maximum number of files and folders of one model, counted once for each path to it.

A larger number means a wrong folder, or links that multiply: seven folders with five links each are 97,656 paths, and
Triton follows each of them.
"""


class Repository:
    """The part of a mounted source that contains the models."""

    def __init__(self, source: Path, path: str) -> None:
        """Use `path` inside the mount point `source`; raises PrepareError if it is not a folder."""
        self._top = source.resolve()
        self.root = self._walk(self._top, path, model="")

    def find_folder(self, model: str, path: str) -> Path:
        """The folder of `model`; raises PrepareError, which lists the existing folders."""
        return self._walk(self.root, path, model)

    def has_folder(self, path: str) -> bool:
        """Whether the path of a model exists."""
        return self.root.joinpath(*_segments(path, "")).exists()

    def check_links(self, model: str, folder: Path, names: Iterable[str]) -> None:
        """Check the entries `names` of `folder` and everything below them.

        Raises PrepareError for a link out of the repository, for special files, and if there are too many entries.
        """
        reached = (entry for name in names for entry in entries(folder / name))
        for count, entry in enumerate(reached):
            if count == MAX_ENTRIES:
                shown = self.shown(folder)
                raise not_found(
                    model,
                    f"{shown} has more than {MAX_ENTRIES} entries, links followed; check whether the folder is correct",
                )
            self._check_entry(model, *entry)

    def contains(self, path: Path) -> bool:
        """Whether a path is inside the source after all links are resolved."""
        # Not Path.resolve: until Python 3.13 it raises on a link to itself.
        return Path(os.path.realpath(path)).is_relative_to(self._top)

    def shown(self, path: Path) -> str:
        """A path relative to the repository, for messages."""
        return f"/{path.relative_to(self._top)}" if path != self._top else "/"

    def listing(self, folder: Path) -> str:
        """The content of a folder, for messages."""
        names = _names(folder)
        if not names:
            return "nothing"
        more = f" and {len(names) - SHOWN_ENTRIES} more" if len(names) > SHOWN_ENTRIES else ""
        return ", ".join(names[:SHOWN_ENTRIES]) + more

    def _walk(self, start: Path, path: str, model: str) -> Path:
        """Descend one segment at a time, so that messages can name the first wrong segment."""
        current = start
        for segment in _segments(path, model):
            current = self._step(current, segment, path, model)
        return current

    def _step(self, folder: Path, segment: str, path: str, model: str) -> Path:
        if segment not in _names(folder):
            raise not_found(model, self._nothing_there(folder, segment, path))
        child = folder / segment
        if not self.contains(child):
            raise not_found(model, f'"{path}": {self.shown(child)} is a link that leaves the repository')
        if not child.is_dir():
            raise not_found(model, f'"{path}": {self.shown(child)} is not a folder')
        return child

    def _nothing_there(self, folder: Path, segment: str, path: str) -> str:
        import difflib  # Needed for a message only.

        close = difflib.get_close_matches(segment, _names(folder), n=1, cutoff=0.7)
        guess = f' Did you mean "{close[0]}"?' if close else ""
        return (
            f'the repository has no folder "{path}": no "{segment}" in {self.shown(folder)}, '
            f"which contains {self.listing(folder)}.{guess}"
        )

    def _check_entry(self, model: str, path: Path, real: Path) -> None:
        if not real.is_relative_to(self._top):
            raise not_found(model, f"{self._shown_link(path)}, which is outside the repository")
        try:
            mode = real.stat().st_mode
        except PermissionError:
            raise
        except OSError as error:  # It was just listed, so it is a dangling or circular link.
            raise not_found(model, f"{self._shown_link(path)}, which does not exist") from error
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise not_found(model, f"{self.shown(path)} is neither a file nor a folder")

    def _shown_link(self, entry: Path) -> str:
        return f"{self.shown(entry)} is a link to {entry.readlink()}"


class TreeEntry(NamedTuple):
    """A file or folder by one of its paths; `real` is the path after all links are resolved."""

    path: Path
    real: Path


def entries(start: Path) -> Iterator[TreeEntry]:
    """`start` and everything below it by every path, as Triton walks it; a link to a parent folder is not followed.

    A folder is listed only when the next path is requested, so a caller that rejects a link never follows it.
    """
    waiting: list[tuple[TreeEntry, frozenset[Path]]] = [(TreeEntry(start, Path(os.path.realpath(start))), frozenset())]
    while waiting:
        entry, above = waiting.pop()
        yield entry
        if entry.real not in above and entry.real.is_dir():
            waiting.extend((child, above | {entry.real}) for child in _children(entry))


def _children(folder: TreeEntry) -> Iterator[TreeEntry]:
    """Resolve only each child's own link: the folder's path is resolved already, and chains of links are slow."""
    with os.scandir(folder.real) as children:
        for child in children:
            real = os.path.realpath(child.path) if child.is_symlink() else child.path
            yield TreeEntry(folder.path / child.name, Path(real))


def _names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def _segments(path: str, model: str) -> list[str]:
    """Segments of a path relative to the repository; a leading slash is the repository's root."""
    segments = [part for part in path.split("/") if part not in {"", "."}]
    if ".." in segments:
        raise not_found(model, f'the path "{path}" leaves the repository; write it without ".."')
    return segments
