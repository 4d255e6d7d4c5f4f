"""The v2 protocol over HTTP, with tritonclient's asyncio client.

Input: calls. Output: results, or AttemptError with the outcome of the request. aiohttp opens one connection for each
request in flight.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, TypeVar

from triton_operator.sdk.address import ServerAddress
from triton_operator.sdk.errors import (
    DeploymentNotFoundError,
    InferenceError,
    InvalidRequestError,
    SdkError,
    UnreachableError,
)
from triton_operator.sdk.invalid_responses import DECODING_ERRORS, decoding, invalid_response
from triton_operator.sdk.retry import AttemptError, RequestOutcome
from triton_operator.sdk.tls_errors import tls_failure
from triton_operator.sdk.transport import (
    NO_HEADERS,
    Call,
    InferResult,
    advice_if_closed,
    document_unless_hidden,
    forbidden,
    infer_inputs,
    not_installed,
    request_headers,
    requested_outputs,
    unauthenticated,
)

T = TypeVar("T")

_UNAVAILABLE = "503"
_UNAUTHENTICATED, _FORBIDDEN = "401", "403"
_NOT_FOUND = "404"
_NOT_IMPLEMENTED = {"405", "501"}
_CLOSED = _NOT_IMPLEMENTED | {_NOT_FOUND}
"""For the configuration: the proxy answers 404 for closed paths. The metadata is read before, so the model exists."""


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
        trust = address.security.trust
        context = trust.http_context() if trust else None
        self._client = triton.InferenceServerClient(
            address.target, conn_timeout=None, ssl=trust is not None, ssl_context=context
        )

    async def metadata(self, model: str, version: str) -> dict[str, Any] | None:
        """Like `Transport`."""
        request = self._send(lambda headers: self._client.get_model_metadata(model, version, headers=headers))
        return await document_unless_hidden(request, _NOT_IMPLEMENTED)

    async def config(self, model: str, version: str) -> dict[str, Any] | None:
        """Like `Transport`."""
        request = self._send(lambda headers: self._client.get_model_config(model, version, headers=headers))
        return await document_unless_hidden(request, _CLOSED)

    async def is_ready(self, model: str, version: str) -> bool:
        """Like `Transport`."""
        return bool(await self._send(lambda headers: self._client.is_model_ready(model, version, headers=headers)))

    async def infer(self, call: Call) -> InferResult:
        """Like `Transport`."""
        inputs, outputs = infer_inputs(self._triton, call), requested_outputs(self._triton, call)
        result = await self._send(
            lambda headers: self._client.infer(call.model, inputs, call.version, outputs, headers=headers)
        )
        with decoding(self._address.target):
            response = result.get_response()
            arrays = {str(output["name"]): result.as_numpy(output["name"]) for output in response.get("outputs", [])}
            return InferResult(str(response["model_name"]), str(response.get("model_version", "")), arrays)

    def stream(self, calls: AsyncIterator[Call]) -> AsyncGenerator[InferResult]:
        """Raise InvalidRequestError: Triton streams over gRPC only."""
        del calls
        raise InvalidRequestError("protocol", "streams need gRPC; open the client with protocol=Protocol.GRPC")

    async def close(self) -> None:
        """Like `Transport`."""
        await self._client.close()

    async def _send(self, request: Callable[[dict[str, str]], Awaitable[T]]) -> T:
        """Send a request with the address's headers; every failure becomes an AttemptError."""
        import aiohttp
        from tritonclient.utils import InferenceServerException

        headers = await request_headers(self._address)
        try:
            return await request(headers)
        except InferenceServerException as error:
            raise error_from_response(str(error.status()), error.message(), self._address, headers) from error
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientSSLError) as error:
            raise self._tls_failure(error) from error
        except aiohttp.ClientConnectorError as error:
            raise AttemptError(self._unreachable(error.os_error), RequestOutcome.NOT_SENT) from error
        except (aiohttp.ClientError, OSError) as error:
            # With TLS 1.3, the server rejects a client certificate after the handshake of the client.
            if failure := tls_failure(str(error), self._address.target, self._address.server_name):
                raise failure from error
            raise AttemptError(
                self._unreachable(error, advice_if_closed(self._address)), RequestOutcome.UNKNOWN
            ) from error
        except DECODING_ERRORS as error:
            raise invalid_response(self._address.target, error) from error

    def _tls_failure(self, error: Exception) -> AttemptError:
        failure = tls_failure(f"TLS: {error}", self._address.target, self._address.server_name)
        return failure or AttemptError(self._unreachable(error), RequestOutcome.NOT_SENT)

    def _unreachable(self, error: Exception, advice: str = "") -> UnreachableError:
        reason = str(error) or type(error).__name__
        return UnreachableError(f"{self._address.target} does not answer over HTTP: {reason}{advice}")


def error_from_response(
    status: str, message: str, address: ServerAddress, headers: Mapping[str, str] = NO_HEADERS
) -> AttemptError:
    """Return the error for an HTTP status; `headers` are those of the request."""
    message = message.strip()
    if status == _UNAVAILABLE:
        return AttemptError(
            UnreachableError(f"{address.target} accepts no requests now (503): {message}"), RequestOutcome.RETRYABLE
        )
    if status == _UNAUTHENTICATED:
        return unauthenticated(address, message, headers)
    if status == _FORBIDDEN:
        return forbidden(address, message)
    error: SdkError = DeploymentNotFoundError(message) if status == _NOT_FOUND else InferenceError(message)
    return AttemptError(error, RequestOutcome.ANSWERED)
