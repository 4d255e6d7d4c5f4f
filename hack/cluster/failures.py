"""What can go wrong with a local cluster, said so that a person can act on it.

Every message names what was found and what to do. `python -m hack.cluster` prints it without a traceback.
"""

from __future__ import annotations


class LocalClusterError(Exception):
    """A local cluster, or a program that it needs, cannot be had."""


class BuildError(LocalClusterError):
    """A program could not be built or unpacked; the message ends with the tool's own last lines."""


class MachineError(LocalClusterError):
    """The machine lacks something; nothing was changed. The message lists every finding, one a line."""


class StartError(LocalClusterError):
    """Something was started and did not become ready; the message names its log file and shows its end."""
