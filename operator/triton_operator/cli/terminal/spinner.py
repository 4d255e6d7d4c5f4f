"""A word on what is being waited for, when it takes longer than one expects.

Input: what is done. Output: a line on standard error after two seconds, only on a terminal, taken away at the end.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

PATIENCE_SECONDS = 2.0
"""As long as nobody wonders whether something happens."""

_CLEAR = "\r\033[K"


@contextmanager
def spinner(what: str) -> Iterator[None]:
    """Say `what` while the block runs, from the third second on."""
    if not sys.stderr.isatty():
        yield
        return
    ended, said = threading.Event(), threading.Event()

    def speak() -> None:
        if not ended.wait(PATIENCE_SECONDS):
            said.set()
            sys.stderr.write(f"{what} …")
            sys.stderr.flush()

    speaker = threading.Thread(target=speak, daemon=True)
    speaker.start()
    try:
        yield
    finally:
        ended.set()
        speaker.join()
        if said.is_set():
            sys.stderr.write(_CLEAR)
            sys.stderr.flush()
