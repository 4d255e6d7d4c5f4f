"""Errors of local clusters and of the programs that they require.

Every message states the problem and its solution. `python -m hack.cluster` prints it without a traceback.
"""

from __future__ import annotations


class LocalClusterError(Exception):
    """A local cluster, or a program that it requires, is not available."""


class BuildError(LocalClusterError):
    """A program cannot be built or unpacked; the message ends with the last lines of the tool's output."""


class MachineError(LocalClusterError):
    """The machine does not meet the requirements; nothing was changed. The message lists one finding per line."""


class StartError(LocalClusterError):
    """A component did not become ready; the message names its log file and shows its last lines."""
