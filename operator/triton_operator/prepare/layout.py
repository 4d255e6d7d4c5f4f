"""The tree that Triton reads: links into the source, one folder for each model.

The source is mounted at the same path in Triton's container, read-only, so a link is enough and costs nothing for a
model of ten gigabytes. A pod's init containers may run again (the kubelet says so after a node's restart), so an
earlier tree is taken away first; nothing but links and folders is ever removed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from triton_operator.api.conditions import Reason
from triton_operator.prepare.errors import PrepareError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from triton_operator.prepare.model import CheckedModel


def lay_out(models: Iterable[CheckedModel], target: Path) -> None:
    """Make `target` hold exactly these models; raises PrepareError when it holds what is not ours."""
    _clear(target)
    for model in models:
        folder = target / model.name
        folder.mkdir(mode=0o755)
        for entry in model.entries:
            (folder / entry).symlink_to(model.folder / entry)


def _clear(target: Path) -> None:
    for folder in target.iterdir():
        if folder.is_symlink() or not folder.is_dir():
            raise _in_the_way(folder)
        for link in folder.iterdir():
            if not link.is_symlink():
                raise _in_the_way(link)
            link.unlink()
        folder.rmdir()


def _in_the_way(path: Path) -> PrepareError:
    return PrepareError(Reason.PREPARE_FAILED, "", f"{path} is in the way and was not made by prepare")
