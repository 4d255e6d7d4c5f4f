"""Remove a folder after another process has ended, however it ended: also if it was killed.

    removal.py FOLDER

The other process holds the write end of the pipe on standard input, which the kernel closes with the process. This
program imports only the standard library, because it runs without the package. `plaintext` starts it.
"""

from __future__ import annotations

import os
import shutil
import sys
import time

_SECONDS = 60.0
_PAUSE_SECONDS = 0.1


def remove(folder: str) -> bool:
    """Remove the folder; a server that is still stopping may write to it meanwhile. Returns whether it is gone."""
    end = time.monotonic() + _SECONDS
    while True:
        shutil.rmtree(folder, ignore_errors=True)
        if not os.path.lexists(folder) or time.monotonic() > end:
            return not os.path.lexists(folder)
        time.sleep(_PAUSE_SECONDS)


if __name__ == "__main__":
    sys.stdin.buffer.read()
    sys.exit(0 if remove(sys.argv[1]) else 1)
