"""The v2 protocol over gRPC, with tritonclient's asyncio client.

Input: calls. Output: results, or AttemptError with the outcome of the request. One HTTP/2 connection carries all
requests. No request is cancelled, for the reason in `in_flight`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Mapping
from typing import Any, TypeVar

from triton_operator.sdk.address import ServerAddress
from triton_operator.sdk.errors import (
    DeadlineExceededError,
    DeploymentNotFoundError,
    InferenceError,
    RejectedError,
    SdkError,
    UnreachableError,
)
from triton_operator.sdk.in_flight import CLOSE_SECONDS, InFlight, Requests, Responses
from triton_operator.sdk.invalid_responses import decoding
from triton_operator.sdk.retry import AttemptError, RequestOutcome
from triton_operator.sdk.tls_errors import tls_failure
from triton_operator.sdk.transport import (
    NO_HEADERS,
    RESTRICTED,
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

_UNAVAILABLE = "StatusCode.UNAVAILABLE"
_NO_CONNECTION = ("failed to connect", "connection refused", "resolution failed", "name resolution", "no route to host")
"""Messages of gRPC if there is no connection, so that nothing was sent."""
_NOT_VERIFIED = "the token cannot be verified now"
"""Part of the message of the sidecar `proxy` with UNAVAILABLE."""
_NOT_RUN = (
    _NOT_VERIFIED,
    *("maximum queue size", "request timeout expired", "not at ready state", "not ready", "is stopping"),
)
"""The others are messages of Triton with UNAVAILABLE (core, `src/scheduler.h`, `src/server.cc`). gRPC also returns
UNAVAILABLE if a connection is lost; with any other message it is unknown whether the model has run."""
_NOT_IMPLEMENTED = {"StatusCode.UNIMPLEMENTED"}
_UNAUTHENTICATED, _FORBIDDEN = "StatusCode.UNAUTHENTICATED", "StatusCode.PERMISSION_DENIED"
_CLOSED = ("socket closed", "connection reset", "broken pipe")
"""Messages of gRPC if the server ends a connection; which one depends on what was being sent."""
_UNLIMITED = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
"""What tritonclient sets if it is given no options."""


class GrpcTransport:
    """One server's gRPC port; implements `Transport`."""

    def __init__(self, address: ServerAddress) -> None:
        try:
            import tritonclient.grpc.aio as triton
        except ImportError as error:
            raise not_installed(error) from error
        self._triton = triton
        self._address = address
        trust = address.security.trust
        if trust is None:
            self._client = triton.InferenceServerClient(address.target)
        else:
            self._client = triton.InferenceServerClient(
                address.target, creds=trust.grpc_credentials(), channel_args=[*_UNLIMITED, *trust.grpc_options()]
            )
        self._calls = InFlight()

    async def metadata(self, model: str, version: str) -> dict[str, Any] | None:
        """Like `Transport`."""
        request = self._send(
            lambda headers: self._client.get_model_metadata(model, version, headers=headers, as_json=True)
        )
        return await document_unless_hidden(request, _NOT_IMPLEMENTED)

    async def config(self, model: str, version: str) -> dict[str, Any] | None:
        """Like `Transport`."""
        request = self._send(
            lambda headers: self._client.get_model_config(model, version, headers=headers, as_json=True)
        )
        document = await document_unless_hidden(request, _NOT_IMPLEMENTED)
        return None if document is None else document.get("config", {})

    async def is_ready(self, model: str, version: str) -> bool:
        """Like `Transport`."""
        return bool(await self._send(lambda headers: self._client.is_model_ready(model, version, headers=headers)))

    async def infer(self, call: Call) -> InferResult:
        """Like `Transport`."""
        inputs, outputs = infer_inputs(self._triton, call), requested_outputs(self._triton, call)
        result = await self._send(
            lambda headers: self._client.infer(call.model, inputs, call.version, outputs, headers=headers)
        )
        return _infer_result(result, self._address.target)

    async def stream(self, calls: AsyncIterator[Call]) -> AsyncGenerator[InferResult]:
        """Like `Transport`; ends after the last response to the last call, or when it is closed."""
        requests = Requests(self._stream_requests(calls))
        headers = await request_headers(self._address)
        responses = Responses(self._client.stream_infer(aiter(requests), headers=headers), self._calls)
        try:
            while True:
                try:
                    result, error = await self._translate_errors(responses.read(), headers)
                except StopAsyncIteration:
                    break
                if error is not None:
                    raise AttemptError(InferenceError(error.message().strip()), RequestOutcome.ANSWERED) from error
                yield _infer_result(result, self._address.target)
            requests.raise_failure()
        finally:
            requests.end()
            responses.abandon()

    async def close(self) -> None:
        """Like `Transport`; waits for calls in flight first, because closing would cancel them."""
        await self._calls.wait_until_done(CLOSE_SECONDS)
        await self._client.close()

    async def _send(self, request: Callable[[dict[str, str]], Coroutine[Any, Any, T]]) -> T:
        """Send a request with the address's headers; it continues if the caller stops waiting."""
        headers = await request_headers(self._address)
        return await self._translate_errors(self._calls.wait_for(request(headers)), headers)

    async def _stream_requests(self, calls: AsyncIterator[Call]) -> AsyncGenerator[dict[str, Any]]:
        """Yield the calls of a stream as arguments of tritonclient."""
        async for call in calls:
            yield {
                "model_name": call.model,
                "model_version": call.version,
                "inputs": infer_inputs(self._triton, call),
                "outputs": requested_outputs(self._triton, call),
            }

    async def _translate_errors(self, request: Coroutine[Any, Any, T], headers: Mapping[str, str]) -> T:
        """Await a request; every failure becomes an AttemptError."""
        import grpc
        from tritonclient.utils import InferenceServerException

        try:
            return await request
        except InferenceServerException as error:
            raise error_from_status(error.status(), error.message(), self._address, headers) from error
        except grpc.aio.AioRpcError as error:  # Of a stream: tritonclient does not translate it.
            raise error_from_status(str(error.code()), error.details() or "", self._address, headers) from error


def error_from_status(
    status: str | None, message: str, address: ServerAddress, headers: Mapping[str, str] = NO_HEADERS
) -> AttemptError:
    """Return the error for a gRPC status and its message; `headers` are those of the request."""
    message = (message or "").strip()
    if RESTRICTED in message:  # Triton returns UNAVAILABLE, as if it were busy.
        return AttemptError(RejectedError(f"{address.target}: {message}"), RequestOutcome.ANSWERED)
    if status == _UNAUTHENTICATED:
        return unauthenticated(address, message, headers)
    if status == _FORBIDDEN:
        return forbidden(address, message)
    if status == _UNAVAILABLE:
        return _unavailable(message, address)
    error: SdkError = InferenceError(message)
    if status == "StatusCode.DEADLINE_EXCEEDED":
        return AttemptError(DeadlineExceededError(f"{address.target}: {message}"), RequestOutcome.UNKNOWN)
    if status == "StatusCode.NOT_FOUND":
        error = DeploymentNotFoundError(message)
    return AttemptError(error, RequestOutcome.ANSWERED)


def _unavailable(message: str, address: ServerAddress) -> AttemptError:
    """The error for UNAVAILABLE, which has many causes."""
    if address.security.trust and (failure := tls_failure(message, address.target, address.server_name)):
        return failure
    lower = message.lower()
    advice = advice_if_closed(address) if any(text in lower for text in _CLOSED) else ""
    error = UnreachableError(f"{address.target} does not answer over gRPC: {message}{advice}")
    if any(text in lower for text in _NO_CONNECTION):
        return AttemptError(error, RequestOutcome.NOT_SENT)
    not_run = any(text in lower for text in _NOT_RUN)
    return AttemptError(error, RequestOutcome.RETRYABLE if not_run else RequestOutcome.UNKNOWN)


def _infer_result(result: Any, target: str) -> InferResult:
    with decoding(target):
        response = result.get_response()
        arrays = {output.name: result.as_numpy(output.name) for output in response.outputs}
        return InferResult(response.model_name, response.model_version, arrays)
