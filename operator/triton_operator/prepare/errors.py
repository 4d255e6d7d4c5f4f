"""The error that ends `prepare`; it becomes the pod's termination message and the object's reason."""

from __future__ import annotations

from triton_operator.api.conditions import Reason
from triton_operator.api.quantity import MI
from triton_operator.errors import TritonOperatorError


class PrepareError(TritonOperatorError):
    """Preparing failed. `reason` is a condition reason, `model` is "" if no single model is affected."""

    def __init__(self, reason: str, model: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.model = model


class PlaintextTooLargeError(PrepareError):
    """The decrypted models have `needed` bytes, and their volume in memory has `free` bytes."""

    def __init__(self, needed: int, free: int) -> None:
        super().__init__(
            Reason.PLAINTEXT_TOO_LARGE,
            "",
            f"the decrypted models need {needed / MI:,.1f} MiB, but the volume has {free / MI:,.1f} MiB free; increase "
            "spec.decryption.memory, and the memory limits of Triton and prepare by the same amount",
        )
        self.needed = needed
        self.free = free


def not_found(model: str, message: str) -> PrepareError:
    """The model, or a file that it points to, is not in the repository."""
    return PrepareError(Reason.MODEL_NOT_FOUND, model, message)


def version_not_found(model: str, message: str) -> PrepareError:
    """The model exists but has no version that can be served."""
    return PrepareError(Reason.MODEL_VERSION_NOT_FOUND, model, message)


def config_invalid(model: str, message: str) -> PrepareError:
    """The configuration is missing, unreadable, or contradicts the object."""
    return PrepareError(Reason.CONFIG_INVALID, model, message)
