"""The command `tritonctl`, also `kubectl triton`: see what a file would become, how a deployment is, and ask it.

Input: a command line. Output: an exit status that scripts can rely on:

0  done, and what was asked about is so
1  done, and it is not so (not Ready, no such object, the model refused); or the cluster did not allow it
2  the command line, a file or a field cannot be used
3  the cluster or the server cannot be reached

Answers go to standard output, everything else to standard error. Needs the extra `cli`.
"""

from __future__ import annotations

import sys

__all__ = ["complete_plugin", "main", "plugin"]

INTERRUPTED = 130


def main() -> None:
    """Run `tritonctl` and end the process; the console script calls it."""
    _run("tritonctl")


def plugin() -> None:
    """Run as `kubectl triton`: kubectl starts any program of its PATH that is called `kubectl-triton`."""
    _run("kubectl triton")


def complete_plugin() -> None:
    """Print how a command line of `kubectl triton` may go on; kubectl asks `kubectl_complete-triton` for that."""
    from triton_operator.cli.kubectl_completion import complete_for_kubectl

    complete_for_kubectl(sys.argv[1:])


def _run(program: str) -> None:
    try:
        from triton_operator.cli.app import run
    except ModuleNotFoundError as error:
        sys.stderr.write(f"error: {error.name} is missing; pip install '.[cli]'\n")
        sys.exit(2)
    try:
        sys.exit(run(program))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # `tritonctl … | head` closed its end.
        sys.stderr.close()
        sys.exit(1)
