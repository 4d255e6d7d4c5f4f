"""Room on the volume, looked at before anything is written."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from triton_operator.api.conditions import Reason
from triton_operator.prepare.errors import PrepareError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def free_bytes(folder: Path) -> int:
    """What a user without privileges may still write there."""
    volume = os.statvfs(folder)
    return volume.f_bavail * volume.f_frsize


def make_sure_there_is_room(shown: str, folder: Path, needed: int) -> None:
    """Raise PrepareError when `needed` more bytes do not fit."""
    free = free_bytes(folder)
    if needed > free:
        raise out_of_space(shown, needed, free)


def out_of_space(shown: str, needed: int | None, free: int) -> PrepareError:
    """The volume is full; `needed` is what is still to be written, None when nobody knows."""
    amount = "more room" if needed is None else human(needed)
    message = f"{shown} needs {amount}, and the volume has {human(free)} free"
    return PrepareError(Reason.OUT_OF_SPACE, "", message)


def is_full(error: OSError) -> bool:
    """Whether a write failed for want of room."""
    return error.errno in _FULL


def human(count: int) -> str:
    """Bytes for a person: "1.5 GiB"."""
    size = float(count)
    for unit in ("bytes", "KiB", "MiB"):
        if size < 1024:  # noqa: PLR2004 -- what a KiB is
            return f"{count} bytes" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
