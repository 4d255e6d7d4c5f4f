"""Copy a stream in pieces, so that memory use does not depend on the size of a file."""

from __future__ import annotations

from typing import Any

_PIECE = 1 << 20


def copy_stream(source: Any, target: Any) -> int:
    """Copy until the end and return the number of bytes; a raw stream may accept only a part of a piece."""
    copied = 0
    while piece := source.read(_PIECE):
        view = memoryview(piece)
        while view:
            view = view[target.write(view.tobytes() if len(view) != len(piece) else piece) :]
        copied += len(piece)
    return copied
