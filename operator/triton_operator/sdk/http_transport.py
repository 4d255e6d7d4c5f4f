"""The v2 protocol over HTTP, with tritonclient's asyncio client.

Input: calls. Output: results, or AttemptError with the outcome of the request. aiohttp opens one connection for each
request in flight.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from typing import Any, TypeVar

from triton_operator.sdk.address import ServerAddress
from triton_operator.sdk.errors import (
    DeploymentNotFoundError,
    InferenceError,
    InvalidRequestError,
    RejectedError,
    SdkError,
    UnreachableError,
)
from triton_operator.sdk.retry import AttemptError, RequestOutcome
from triton_operator.sdk.transport import (
    Call,
    InferResult,
    document_unless_hidden,
    infer_inputs,
    not_installed,
    requested_outputs,
)

T = TypeVar("T")

_UNAVAILABLE = "503"
_DENIED = {"401", "403"}
_NOT_FOUND = "404"
_NOT_IMPLEMENTED = {"405", "501"}


class HttpTransport:
    """One server's HTTP port; implements `Transport`."""

    def __init__(self, address: ServerAddress) -> None:
        try:
            import tritonclient.http.aio as triton
        except ImportError as error:
            raise not_installed(error) from error
        self._triton = triton
        self._address = address
        # The caller's deadline ends a request; tritonclient's own timeout would raise another error.
        self._client = triton.InferenceServerClient(address.target, conn_timeout=None)

    async def metadata(self, model: str, version: str) -> dict[str, Any] | None:
        """As `Transport`."""
        request = self._client.get_model_metadata(model, version, headers=self._address.headers())
        return await document_unless_hidden(self._send(request), _NOT_IMPLEMENTED)

    async def config(self, model: str, version: str) -> dict[str, Any] | None:
        """As `Transport`."""
        request = self._client.get_model_config(model, version, headers=self._address.headers())
        return await document_unless_hidden(self._send(request), _NOT_IMPLEMENTED)

    async def is_ready(self, model: str, version: str) -> bool:
        """As `Transport`."""
        return bool(await self._send(self._client.is_model_ready(model, version, headers=self._address.headers())))

    async def infer(self, call: Call) -> InferResult:
        """As `Transport`."""
        inputs, outputs = infer_inputs(self._triton, call), requested_outputs(self._triton, call)
        result = await self._send(
            self._client.infer(call.model, inputs, call.version, outputs, headers=self._address.headers())
        )
        response = result.get_response()
        arrays = {output["name"]: result.as_numpy(output["name"]) for output in response.get("outputs", [])}
        return InferResult(response["model_name"], response.get("model_version", ""), arrays)

    def stream(self, calls: AsyncIterator[Call]) -> AsyncGenerator[InferResult]:
        """Raise InvalidRequestError: Triton streams over gRPC only."""
        del calls
        raise InvalidRequestError("protocol", "streams need gRPC; open the client with protocol=Protocol.GRPC")

    async def close(self) -> None:
        """As `Transport`."""
        await self._client.close()

    async def _send(self, request: Awaitable[T]) -> T:
        """Await a request; every failure becomes an AttemptError."""
        import aiohttp
        from tritonclient.utils import InferenceServerException

        try:
            return await request
        except InferenceServerException as error:
            raise error_from_response(str(error.status()), error.message(), self._address) from error
        except aiohttp.ClientConnectorError as error:
            raise AttemptError(self._unreachable(error.os_error), RequestOutcome.NOT_SENT) from error
        except (aiohttp.ClientError, OSError) as error:
            raise AttemptError(self._unreachable(error), RequestOutcome.UNKNOWN) from error

    def _unreachable(self, error: Exception) -> UnreachableError:
        reason = str(error) or type(error).__name__
        return UnreachableError(f"{self._address.target} does not answer over HTTP: {reason}")


def error_from_response(status: str, message: str, address: ServerAddress) -> AttemptError:
    """Return the error for an HTTP status."""
    message = message.strip()
    error: SdkError
    if status == _UNAVAILABLE:
        return AttemptError(
            UnreachableError(f"{address.target} accepts no requests now (503): {message}"), RequestOutcome.RETRYABLE
        )
    if status in _DENIED:
        error = RejectedError(f"{address.target}: {message}")
    else:
        error = DeploymentNotFoundError(message) if status == _NOT_FOUND else InferenceError(message)
    return AttemptError(error, RequestOutcome.ANSWERED)
