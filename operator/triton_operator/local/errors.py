"""Errors of serving a deployment on this machine; each message describes the solution."""

from __future__ import annotations

from triton_operator.errors import TritonOperatorError


class LocalError(TritonOperatorError):
    """Base class; raised itself if the models cannot be prepared, or the server cannot be installed or fails."""


class PortTakenError(LocalError):
    """Another program took a port after it was chosen."""

    def __init__(self, message: str, port: int) -> None:
        super().__init__(message)
        self.port = port


class UnsupportedMachineError(LocalError):
    """This machine or a requested option is not supported; nothing was changed or started."""
