"""Copies of a model's files, hashed while they are copied: what was compared is what will be served.

A checked model and an empty folder go in, the files and their digest leave; `layout` calls it for sources that somebody
could write to between the check and the start of the server. Memory stays at a piece for each thread.
"""

from __future__ import annotations

import errno
import hashlib
import shutil
from pathlib import Path

from triton_operator.api.conditions import Reason
from triton_operator.prepare.digest import digest_of, file_names, size_of
from triton_operator.prepare.errors import PrepareError
from triton_operator.prepare.model import ResolvedModel

_PIECE = 1 << 20


def copy_files(model: ResolvedModel, target: Path) -> str:
    """Copy what is served of the model into the folder `target`; the digest of what was written.

    Raises PrepareError when there is not enough room.
    """
    names = file_names(model)
    needed = size_of(model, names)
    had = shutil.disk_usage(target).free
    if needed > had:
        raise _out_of_space(model, needed, had)
    try:
        return digest_of(names, lambda name: _copy(model.folder / name, target / name))
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


def _out_of_space(model: ResolvedModel, needed: int, had: int) -> PrepareError:
    return PrepareError(
        Reason.OUT_OF_SPACE,
        model.name,
        f"a copy of the model needs {needed / 2**20:,.0f} MiB, and the disk had {had / 2**20:,.0f} MiB free: "
        "free some room on the node, or serve from an image, which needs no copy",
    )
