"""Run a process that always ends with its parent. `coordinator` and `party` call `run`."""

from __future__ import annotations

import os
import sys
import threading
import traceback
from collections.abc import Callable, Sequence


def run(main: Callable[[Sequence[str]], None]) -> None:
    """Call `main` with the command-line arguments, and end the process even if threads of Flower are running.

    The process exits immediately when its standard input is closed, because the parent that holds the other end is
    gone.
    """
    threading.Thread(target=_end_with_input, daemon=True).start()
    try:
        main(sys.argv[1:])
    except BaseException:  # noqa: BLE001 - any error is reported and ends the process.
        traceback.print_exc()
        _end(1)
    _end(0)


def _end_with_input() -> None:
    os.read(sys.stdin.fileno(), 1)
    _end(1)


def _end(code: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
