"""Write the tree that Triton reads: one folder per model, with links into the source or copies of its files.

The source is mounted read-only at the same path in Triton's container, so links are sufficient, also for large models.
Files are copied if others could change them after the comparison of their digest. The configuration of a decrypted
model is written to the volume in memory, because it has parts of the plaintext, and the tree is on a disk. A pod's init
containers may run again, for example after a restart of the node, so an earlier tree is removed first, but only if it
carries the mark of `prepare`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from triton_operator.api.conditions import Reason
from triton_operator.prepare.copying import copy_files
from triton_operator.prepare.digest import model_digest, require_digest
from triton_operator.prepare.errors import PlaintextTooLargeError, PrepareError
from triton_operator.prepare.fetch.space import is_full
from triton_operator.prepare.model import ResolvedModel
from triton_operator.triton.config.constants import CONFIG_NAME

MARK = ".prepared"
"""File that marks a tree of `prepare`; Triton reads folders only."""


def lay_out(models: Iterable[ResolvedModel], target: Path, plaintext: Path) -> list[str]:
    """Make `target` contain exactly these models, and return their digests, "" for a digest that was not computed.

    `plaintext` is the volume with decrypted models. Raises PrepareError if `target` contains other files,
    if there is not enough space, or for a wrong digest.
    """
    _clear(target)
    memory = plaintext.resolve()  # The folder of a resolved model has no links.
    return [_lay_out(model, target / model.name, memory) for model in models]


def _lay_out(model: ResolvedModel, folder: Path, plaintext: Path) -> str:
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
        if plaintext in model.folder.parents:
            (folder / CONFIG_NAME).symlink_to(_write_in_memory(model, plaintext))
        else:
            (folder / CONFIG_NAME).write_text(model.config, encoding="utf-8")
    return digest


def _write_in_memory(model: ResolvedModel, plaintext: Path) -> Path:
    """Replace the configuration of a decrypted model, which only this pod can change; returns the file."""
    file = model.folder / CONFIG_NAME
    try:
        file.write_text(model.config, encoding="utf-8")
    except OSError as error:
        if is_full(error):
            volume = os.statvfs(plaintext)
            size = volume.f_blocks * volume.f_frsize
            raise PlaintextTooLargeError(size + len(model.config.encode()), size) from error
        raise
    return file


def _link(model: ResolvedModel, folder: Path) -> None:
    for entry in model.entries:
        (folder / entry).symlink_to(model.folder / entry)


def _clear(target: Path) -> None:
    """Remove an earlier tree, without following links."""
    mark = target / MARK
    found = sorted(target.iterdir())
    if found and mark not in found:
        raise PrepareError(
            Reason.PREPARE_FAILED, "", f"{_first_file(found[0])} was not created by prepare; empty the volume"
        )
    empty_folder(target, keep=MARK)  # An interrupted run must leave the mark, or the next one refuses the folder.
    mark.touch()


def empty_folder(folder: Path, keep: str = "") -> None:
    """Remove everything but the file `keep` in a folder, which may be a mount point; links are not followed."""
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name != keep:
            entry.unlink()


def _first_file(path: Path) -> Path:
    """A file below a folder, which identifies the content better than the folder's name."""
    return next((each for each in sorted(path.rglob("*")) if not each.is_dir()), path)
