"""What the client asks of a protocol: HTTP and gRPC say the same in two ways.

`over_http` and `over_grpc` implement it with tritonclient; `connection` opens one. A transport belongs to the event
loop that made it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from triton_operator.sdk.errors import UnreachableError
from triton_operator.sdk.tensors import Array, data_type


@dataclass(frozen=True)
class Call:
    """One inference as it is sent: arrays of the right types, and the outputs wanted (all of them when empty)."""

    model: str
    version: str
    inputs: Mapping[str, Array]
    outputs: tuple[str, ...] = ()


@dataclass(frozen=True)
class InferResult:
    """One inference as it came back."""

    model: str
    version: str
    outputs: Mapping[str, Array]


class Transport(Protocol):
    """A way to one server. Each method raises AttemptError."""

    async def metadata(self, model: str, version: str) -> dict[str, Any] | None:
        """The v2 model metadata; None where the server does not tell it."""

    async def config(self, model: str, version: str) -> dict[str, Any] | None:
        """The model's configuration; None where the server does not tell it."""

    async def is_ready(self, model: str, version: str) -> bool:
        """Whether the model is loaded."""

    async def infer(self, call: Call) -> InferResult:
        """Run a model once."""

    def stream(self, calls: AsyncIterator[Call]) -> AsyncGenerator[InferResult]:
        """Run a model for each call, with any number of answers each."""

    async def close(self) -> None:
        """Close the connection."""


def send_inputs(triton: Any, call: Call) -> list[Any]:
    """The inputs as tritonclient's objects; `triton` is the protocol's half of it."""
    sent = []
    for name, array in call.inputs.items():
        tensor = triton.InferInput(name, list(array.shape), data_type(array, name))
        tensor.set_data_from_numpy(array)
        sent.append(tensor)
    return sent


def wanted_outputs(triton: Any, call: Call) -> list[Any] | None:
    """The outputs that were asked for, as tritonclient's objects; None for all."""
    return [triton.InferRequestedOutput(name) for name in call.outputs] or None


def missing(error: ImportError) -> UnreachableError:
    """The error to raise if tritonclient is not installed."""
    return UnreachableError(f"{error}; pip install '.[sdk]', which installs tritonclient")
