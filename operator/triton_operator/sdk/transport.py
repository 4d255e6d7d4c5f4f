"""The interface that the clients use for both protocols, and what their implementations share.

Input: a `Call`. Output: an `InferResult`. `http_transport` and `grpc_transport` implement `Transport` with
tritonclient, and `connection` opens one. A transport belongs to the event loop that created it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

from triton_operator.sdk.address import ServerAddress
from triton_operator.sdk.errors import RejectedError, UnreachableError
from triton_operator.sdk.retry import AttemptError, RequestOutcome
from triton_operator.sdk.security import token_of
from triton_operator.sdk.tensors import Array, data_type


@dataclass(frozen=True)
class Call:
    """One inference request: arrays of the declared types, and the outputs to return (all if empty)."""

    model: str
    version: str
    inputs: Mapping[str, Array]
    outputs: tuple[str, ...] = ()


@dataclass(frozen=True)
class InferResult:
    """One inference response."""

    model: str
    version: str
    outputs: Mapping[str, Array]


NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class Transport(Protocol):
    """A connection to one server. Each method raises AttemptError."""

    async def metadata(self, model: str, version: str) -> dict[str, Any] | None:
        """Return the v2 model metadata; None if the server hides it."""

    async def config(self, model: str, version: str) -> dict[str, Any] | None:
        """Return the model's configuration; None if the server hides it."""

    async def is_ready(self, model: str, version: str) -> bool:
        """Return whether the model is loaded."""

    async def infer(self, call: Call) -> InferResult:
        """Run a model once."""

    def stream(self, calls: AsyncIterator[Call]) -> AsyncGenerator[InferResult]:
        """Run a model for each call, with any number of responses each."""

    async def close(self) -> None:
        """Close the connection."""


def infer_inputs(triton: Any, call: Call) -> list[Any]:
    """Return the inputs as objects of tritonclient; `triton` is its module for the protocol."""
    inputs = []
    for name, array in call.inputs.items():
        tensor = triton.InferInput(name, list(array.shape), data_type(array, name))
        tensor.set_data_from_numpy(array)
        inputs.append(tensor)
    return inputs


def requested_outputs(triton: Any, call: Call) -> list[Any] | None:
    """Return the outputs to request as objects of tritonclient; None for all."""
    return [triton.InferRequestedOutput(name) for name in call.outputs] or None


RESTRICTED = "is restricted, expecting header"
"""In Triton's message about an API that is closed to everybody, over both protocols (server,
`src/restricted_features.h`). A proxy that does not admit the caller has other messages."""


async def document_unless_hidden(request: Awaitable[dict[str, Any]], hidden: Collection[str]) -> dict[str, Any] | None:
    """Await and return a document; None if Triton restricts the API, or if the server's status is one of `hidden`."""
    try:
        return await request
    except AttemptError as failure:
        if failure.outcome is RequestOutcome.UNAUTHENTICATED:  # Every request would be rejected.
            raise
        is_restricted = isinstance(failure.error, RejectedError) and RESTRICTED in str(failure.error)
        if is_restricted or getattr(failure.__cause__, "status", str)() in hidden:
            return None
        raise


async def request_headers(address: ServerAddress) -> dict[str, str]:
    """Return the headers of the next request; a token is requested in a thread, and read from memory or a file here."""
    return address.headers() if address.security.is_ready else await asyncio.to_thread(address.headers)


def unauthenticated(address: ServerAddress, message: str, headers: Mapping[str, str]) -> AttemptError:
    """The error if the server rejects the token of `headers`, or requires one."""
    trust = address.security.trust
    if address.security.token:
        advice = (
            "it rejected the token; check its audience (status.endpoints.audience) and that spec.privacy.clients has "
            "its caller"
        )
    elif trust and trust.client:
        advice = "it ignores the client certificate; check that spec.privacy has a caller with a certificate"
    else:
        advice = (
            "it requires a token; pass token, token_file (--token-file) or service_account (--service-account), or "
            "cert (--cert) for a caller with a certificate"
        )
    error = RejectedError(f"{address.target}: {message} ({advice})")
    return AttemptError(error, RequestOutcome.UNAUTHENTICATED, token_of(headers))


def forbidden(address: ServerAddress, message: str) -> AttemptError:
    """The error if the server does not permit the request to this caller."""
    advice = " (spec.privacy.clients lists what each caller may use)" if address.security.trust else ""
    return AttemptError(RejectedError(f"{address.target}: {message}{advice}"), RequestOutcome.ANSWERED)


def advice_if_closed(address: ServerAddress) -> str:
    """Advice if a server closed the connection."""
    trust = address.security.trust
    if trust and trust.client:
        return " (it may have rejected the client certificate)"
    return "" if trust or address.forwarded else " (if the port requires TLS, use https:// or grpcs://)"


def not_installed(error: ImportError) -> UnreachableError:
    """The error to raise if tritonclient is not installed."""
    return UnreachableError(f"{error}; pip install '.[sdk]', which installs tritonclient")
