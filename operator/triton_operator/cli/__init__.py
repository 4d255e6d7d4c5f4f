"""The command `tritonctl`, also `kubectl triton`: inspect, test and deploy ModelDeployments.

Input: a command line. Output: an exit status that scripts can rely on:

0  success
1  failed or not Ready: no such object, the model rejected the request, permission denied
2  usage or input error: the command line, a file or a field is invalid
3  the cluster or the server is unreachable

Results go to standard output, everything else to standard error. Needs the extra `cli`.
"""

from __future__ import annotations

import sys

__all__ = ["complete_plugin", "main", "plugin"]

INTERRUPTED = 130


def main() -> None:
    """Run `tritonctl` and exit; the entry point of the console script."""
    _run("tritonctl")


def plugin() -> None:
    """Run as `kubectl triton`: kubectl runs any program on the PATH that is named `kubectl-triton`."""
    _run("kubectl triton")


def complete_plugin() -> None:
    """Print completions for `kubectl triton`; kubectl runs `kubectl_complete-triton` to get them."""
    from triton_operator.cli.kubectl_completion import complete_for_kubectl

    complete_for_kubectl(sys.argv[1:])


def _run(program: str) -> None:
    try:
        from triton_operator.cli.app import run
    except ModuleNotFoundError as error:
        sys.stderr.write(f"error: the Python package {error.name} is not installed; run: pip install '.[cli]'\n")
        sys.exit(2)
    try:
        sys.exit(run(program))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # As in `tritonctl … | head`.
        sys.stderr.close()
        sys.exit(1)
