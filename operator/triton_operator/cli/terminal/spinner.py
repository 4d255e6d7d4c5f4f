"""Show what a command is waiting for.

Input: a description. Output: a line on standard error after two seconds, only on a terminal, cleared at the end.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

PATIENCE_SECONDS = 2.0
"""How long a command may be silent."""

_CLEAR = "\r\033[K"


@contextmanager
def spinner(what: str) -> Iterator[None]:
    """Show `what` while the block runs, if it takes longer than PATIENCE_SECONDS."""
    if not sys.stderr.isatty():
        yield
        return
    ended, shown = threading.Event(), threading.Event()

    def show() -> None:
        if not ended.wait(PATIENCE_SECONDS):
            shown.set()
            sys.stderr.write(f"{what} …")
            sys.stderr.flush()

    thread = threading.Thread(target=show, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        if shown.is_set():
            sys.stderr.write(_CLEAR)
            sys.stderr.flush()
