"""Why a deployment cannot be served on this machine; each message says what to do."""

from __future__ import annotations

from triton_operator.errors import TritonOperatorError


class LocalError(TritonOperatorError):
    """Any of them; as it stands, the models or the server were tried and do not work."""


class PortTakenError(LocalError):
    """Another program has taken a port since it was chosen."""

    def __init__(self, message: str, port: int) -> None:
        super().__init__(message)
        self.port = port


class UnsupportedMachineError(LocalError):
    """This machine, or what was asked of it, does not fit; nothing was changed or started."""
