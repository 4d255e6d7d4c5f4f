"""Copy a model's files and hash them during the copy, so that the hashed bytes are the served bytes.

Input: a resolved model and an empty folder. Output: the files in it and their digest. `layout` calls it for sources
that others could change between the check and the start of the server. Memory use is one piece per thread.
"""

from __future__ import annotations

import errno
import hashlib
import shutil
from pathlib import Path

from triton_operator.api.conditions import Reason
from triton_operator.prepare.digest import digest_of, file_names
from triton_operator.prepare.errors import PrepareError
from triton_operator.prepare.model import ResolvedModel

_PIECE = 1 << 20


def copy_files(model: ResolvedModel, target: Path) -> str:
    """Copy the served files of the model into the folder `target` and return their digest.

    Raises PrepareError if there is not enough space.
    """
    return copy_names(model.name, model.folder, target, file_names(model))


def copy_names(model: str, folder: Path, target: Path, names: list[str]) -> str:
    """Copy these files of `folder` into the folder `target` and return the digest of the copied bytes.

    Raises PrepareError if there is not enough space.
    """
    needed = sum((folder / name).stat().st_size for name in names)
    had = shutil.disk_usage(target).free
    if needed > had:
        raise _out_of_space(model, needed, had)
    try:
        return digest_of(names, lambda name: _copy(folder / name, target / name))
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise _out_of_space(model, needed, had) from error
        raise


def _copy(source: Path, target: Path) -> str:
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with source.open("rb") as read, target.open("xb") as write:
        while piece := read.read(_PIECE):
            digest.update(piece)
            write.write(piece)
    return digest.hexdigest()


def _out_of_space(model: str, needed: int, had: int) -> PrepareError:
    return PrepareError(
        Reason.OUT_OF_SPACE,
        model,
        f"a copy of the model needs {needed / 2**20:,.0f} MiB, but the disk had {had / 2**20:,.0f} MiB free; "
        "free space on the node, or serve the model from an image, which needs no copy",
    )
