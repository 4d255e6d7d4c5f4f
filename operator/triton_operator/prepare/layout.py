"""The tree that Triton reads: one folder for each model, with links into the source or copies of it.

The source is mounted at the same path in Triton's container, read-only, so a link is enough and costs nothing for a
model of ten gigabytes. Files are copied where somebody else could change them after their digest was compared. A pod's
init containers may run again (the kubelet says so after a node's restart), so an earlier tree is taken away first:
only one that `prepare` has marked as its own is ever removed.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from triton_operator.api.conditions import Reason
from triton_operator.prepare.copying import copy_files
from triton_operator.prepare.digest import model_digest, require_digest
from triton_operator.prepare.errors import PrepareError
from triton_operator.prepare.model import ResolvedModel
from triton_operator.triton.config.constants import CONFIG_NAME

MARK = ".prepared"
"""File that tells an earlier tree of ours; Triton looks at folders only."""


def lay_out(models: Iterable[ResolvedModel], target: Path) -> list[str]:
    """Make `target` hold exactly these models and return their digests, "" where none was made.

    Raises PrepareError when `target` holds what is not ours, when there is too little room, and for a wrong digest.
    """
    _clear(target)
    return [_lay_out(model, target / model.name) for model in models]


def _lay_out(model: ResolvedModel, folder: Path) -> str:
    folder.mkdir(mode=0o755)
    if model.request.copy:
        digest = copy_files(model, folder)
    else:
        _link(model, folder)
        digest = model_digest(model, budget=None) if model.request.digest else model_digest(model)
    require_digest(model, digest)
    for version in model.versions:
        (folder / version).mkdir(exist_ok=True)
    if model.config:
        (folder / CONFIG_NAME).unlink(missing_ok=True)
        (folder / CONFIG_NAME).write_text(model.config, encoding="utf-8")
    return digest


def _link(model: ResolvedModel, folder: Path) -> None:
    for entry in model.entries:
        (folder / entry).symlink_to(model.folder / entry)


def _clear(target: Path) -> None:
    """Nothing that a link points to is touched."""
    mark = target / MARK
    found = sorted(target.iterdir())
    if found and mark not in found:
        raise PrepareError(Reason.PREPARE_FAILED, "", f"{_first_file(found[0])} is in the way and not made by prepare")
    for entry in found:
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry != mark:
            entry.unlink()
    mark.touch()


def _first_file(path: Path) -> Path:
    """Something below a folder tells better than the folder what would have been lost."""
    return next((each for each in sorted(path.rglob("*")) if not each.is_dir()), path)
