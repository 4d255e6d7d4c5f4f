"""Check the requirements of `make demo`, `make cluster-up` and `make test` before anything is downloaded or changed.

Input: `demo` or `test`, and the machine. Output: exit status 1 with the missing requirements and their solutions. For
`test`, missing requirements are only reported, because only the last tier has them. The Makefile runs this module with
the system's Python before it creates an environment, so it requires only the standard library and creates nothing, not
even the cache folder.
"""

from __future__ import annotations

import sys

from hack import environment as _rejects_old_python  # noqa: F401 - with a clear message instead of a traceback.

# isort: split
from hack import cluster as clusters
from hack.cache import cache_place
from hack.cluster.native import preflight
from hack.failures import LocalClusterError
from hack.programs.catalogue import are_built
from hack.progress import say

COMMANDS = ("demo", "test")


def main(arguments: list[str]) -> int:
    """Check the requirements of the given command."""
    if len(arguments) != 1 or arguments[0] not in COMMANDS:
        say(f"usage: python3 -m hack.preflight {'|'.join(COMMANDS)}")
        return 2
    try:
        require_machine()
    except (LocalClusterError, NotADirectoryError) as error:
        if arguments == ["test"]:
            say(f"tests/e2e will be skipped, and with CI=true fail: {error}")
            return 0
        say(f"error: {error}")
        return 1
    return 0


def require_machine() -> None:
    """Raise LocalClusterError with the missing requirements if the selected cluster cannot be started on this machine.

    A running node requires only permissions. kind and existing clusters are not checked.
    """
    if clusters.which().kind != "native":
        return
    machine = preflight.look(cache_place(), built=are_built())
    preflight.require(preflight.findings(machine) if clusters.running() is None else preflight.lacking_rights(machine))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
