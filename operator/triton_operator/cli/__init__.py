"""The command `tritonctl`: what a file would become, how a deployment is, and predictions from it.

Enters: a command line. Leaves: an exit status that scripts can rely on:

0  done, and what was asked about is so
1  done, and it is not so (not Ready, no such object, the model refused); or the cluster did not allow it
2  the command line, a file or a field cannot be used
3  the cluster or the server cannot be reached

Answers go to standard output, everything else to standard error. Needs the extra `triton-operator[cli]`.
"""

from __future__ import annotations

import sys

__all__ = ["main"]

INTERRUPTED = 130


def main() -> None:
    """Run `tritonctl` and end the process; the console script calls it."""
    try:
        from triton_operator.cli.app import run
    except ModuleNotFoundError as error:
        sys.stderr.write(f"error: {error.name} is missing; install triton-operator[cli]\n")
        sys.exit(2)
    try:
        sys.exit(run())
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # `tritonctl … | head` closed its end.
        sys.stderr.close()
        sys.exit(1)
