"""Build one layer of an image: a folder of files and its tar archive, cached under the layer's key.

Input: a planned layer, the layers below it and the build contexts. Output: `Layer`, from the cache if it exists there.
`builder` calls it. Archives are reproducible: sorted, owned by root, with a fixed modification time. They are not
compressed, because containerd imports them fastest.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import stat
import tarfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, cast

from hack.cache import cache_dir, ensure_folder
from hack.images.containerfile import Copy
from hack.images.failures import ImageError
from hack.images.plan import PlannedLayer, context_of
from hack.images.sandbox import run_in_image

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hack.images.contexts import Context

LONG_AGO = 315532800  # 1980-01-01 UTC in seconds, the earliest time that zip files can represent.


@dataclass(frozen=True)
class Layer:
    """A finished layer: its files below `folder`, and its archive with digest (`sha256:...`) and size in bytes."""

    folder: Path
    archive: Path
    digest: str
    size: int


def layer_folder(key: str) -> Path:
    """The cache folder of the layer with this key, whether or not it exists."""
    return cache_dir() / "images" / "layers" / key[:32]


def ensure_layer(
    planned: PlannedLayer, below: Sequence[Layer], contexts: Mapping[str, Context], base: Context | None
) -> Layer:
    """Find or build the layer; a partially built layer is built again."""
    place = layer_folder(planned.key)

    def create(draft: Path) -> None:
        files = draft / "files"
        files.mkdir()
        _fill(files, draft / "work", planned, below, contexts, base)
        _describe(draft)

    ensure_folder(place, create)
    described = json.loads((place / "layer.json").read_text())
    return Layer(place / "files", place / "layer.tar", described["digest"], described["size"])


def _fill(
    files: Path,
    work: Path,
    planned: PlannedLayer,
    below: Sequence[Layer],
    contexts: Mapping[str, Context],
    base: Context | None,
) -> None:
    if planned.step is None:
        if base is None:
            raise ImageError("the image requires a base, but none was provided")
        shutil.copytree(base.local_path("."), files, symlinks=True, dirs_exist_ok=True)
    elif isinstance(planned.step.action, Copy):
        copy_files(context_of(planned.step.action.origin, contexts), planned.step.action, files)
    else:
        binds = [
            (context_of(mount.origin, contexts).local_path(mount.source), mount.target)
            for mount in planned.step.action.mounts
        ]
        run_in_image(planned.step, [layer.folder for layer in below], files, work, binds)


def copy_files(context: Context, action: Copy, into: Path) -> None:
    """Copy the instruction's sources below `into`, with permissions that do not depend on the machine's umask."""
    to_folder = action.target.endswith("/") or len(action.sources) > 1
    for source in action.sources:
        for name, file in context.files(source):
            below = PurePosixPath(action.target.strip("/"))
            inside = below / name if name else (below / file.name if to_folder else below)
            _copy(file, into / inside)


def _copy(file: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, target, follow_symlinks=False)
    if not file.is_symlink():
        target.chmod(0o755 if file.stat().st_mode & 0o111 else 0o644)


def _describe(draft: Path) -> None:
    with (draft / "layer.tar").open("wb") as output:
        writer = HashingWriter(output)
        with tarfile.open(
            fileobj=cast("IO[bytes]", writer), mode="w|", format=tarfile.GNU_FORMAT, bufsize=1 << 20
        ) as archive:
            for path in sorted((draft / "files").rglob("*")):
                add_file(archive, path, str(path.relative_to(draft / "files")))
    described = {"digest": f"sha256:{writer.digest.hexdigest()}", "size": writer.size}
    (draft / "layer.json").write_text(json.dumps(described))


class HashingWriter:
    """Writes bytes to a file and hashes them; implements the part of a file object that streamed archives need."""

    def __init__(self, output: IO[bytes]) -> None:
        self._output = output
        self.digest = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> int:
        """Write and hash the data; returns the number of bytes."""
        self.digest.update(data)
        self.size += len(data)
        return self._output.write(data)


def add_file(archive: tarfile.TarFile, path: Path, name: str) -> None:
    """Add one file, folder or link as `name`. Raises `ImageError` for other file types."""
    status = path.lstat()
    entry = tarfile.TarInfo(name)
    entry.mode, entry.mtime = stat.S_IMODE(status.st_mode), LONG_AGO
    if stat.S_ISDIR(status.st_mode):
        entry.type = tarfile.DIRTYPE
        archive.addfile(entry)
    elif stat.S_ISLNK(status.st_mode):
        entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, str(path.readlink()), 0o777
        archive.addfile(entry)
    elif stat.S_ISREG(status.st_mode):
        entry.size = status.st_size
        with path.open("rb") as content:
            archive.addfile(entry, content)
    else:  # overlayfs represents a removed file by a device node.
        raise ImageError(f"/{name} was removed by a RUN, or is not a regular file; RUN may only add and change files")
