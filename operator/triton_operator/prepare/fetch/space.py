"""Check the free space of a volume before writing."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from triton_operator.api.conditions import Reason
from triton_operator.prepare.errors import PrepareError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def free_bytes(folder: Path) -> int:
    """Space available to unprivileged users."""
    volume = os.statvfs(folder)
    return volume.f_bavail * volume.f_frsize


def require_space(shown: str, folder: Path, needed: int) -> None:
    """Raise PrepareError if `needed` more bytes do not fit."""
    free = free_bytes(folder)
    if needed > free:
        raise out_of_space(shown, needed, free)


def out_of_space(shown: str, needed: int | None, free: int) -> PrepareError:
    """The error for a full volume; `needed` is the number of remaining bytes, None if it is not known."""
    amount = "more space" if needed is None else human(needed)
    message = f"{shown} needs {amount}, but the volume has {human(free)} free"
    return PrepareError(Reason.OUT_OF_SPACE, "", message)


def is_full(error: OSError) -> bool:
    """Whether a write failed because the volume is full."""
    return error.errno in _FULL


def human(count: int) -> str:
    """A size in human-readable form: "1.5 GiB"."""
    size = float(count)
    for unit in ("bytes", "KiB", "MiB"):
        if size < 1024:  # noqa: PLR2004 -- bytes per KiB
            return f"{count} bytes" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
