"""The v2 protocol over gRPC, by tritonclient's client for asyncio.

Input: calls. Output: answers, or AttemptError with the fate of the request. One HTTP/2 connection carries all
requests at a time. None of them is cancelled, see `in_flight`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from typing import Any, TypeVar

from triton_operator.sdk.address import Endpoint
from triton_operator.sdk.errors import (
    DeadlineExceededError,
    DeploymentNotFoundError,
    InferenceError,
    RejectedError,
    SdkError,
    UnreachableError,
)
from triton_operator.sdk.in_flight import CLOSE_SECONDS, InFlight, Requests, Responses
from triton_operator.sdk.retry import AttemptError, RequestOutcome
from triton_operator.sdk.transport import Call, InferResult, missing, send_inputs, wanted_outputs

T = TypeVar("T")

_UNAVAILABLE = "StatusCode.UNAVAILABLE"
_CLOSED = "is restricted, expecting header"
"""Triton answers UNAVAILABLE where an API is closed, as if it were busy (server, `src/restricted_features.h`)."""
_NO_CONNECTION = ("failed to connect", "connection refused", "resolution failed", "name resolution", "no route to host")
"""What gRPC says when it has no connection, so that nothing was sent."""
_PUT_OFF = ("maximum queue size", "request timeout expired", "not at ready state", "not ready", "is stopping")
"""What Triton says with UNAVAILABLE, which gRPC itself also says of a connection that broke (core, `src/scheduler.h`,
`src/server.cc`). With any other words it is not known whether the model has run."""
_NOT_THERE = "StatusCode.UNIMPLEMENTED"
_NO_ENTRY = {"StatusCode.PERMISSION_DENIED", "StatusCode.UNAUTHENTICATED"}


class OverGrpc:
    """One server's gRPC port; implements `Transport`."""

    def __init__(self, endpoint: Endpoint) -> None:
        try:
            import tritonclient.grpc.aio as triton
        except ImportError as error:
            raise missing(error) from error
        self._triton = triton
        self._endpoint = endpoint
        self._client = triton.InferenceServerClient(endpoint.target)
        self._calls = InFlight()

    async def metadata(self, model: str, version: str) -> dict[str, Any] | None:
        """As `Transport`."""
        headers = self._endpoint.headers()
        return await self._tell(self._client.get_model_metadata(model, version, headers=headers, as_json=True))

    async def config(self, model: str, version: str) -> dict[str, Any] | None:
        """As `Transport`."""
        headers = self._endpoint.headers()
        told = await self._tell(self._client.get_model_config(model, version, headers=headers, as_json=True))
        return None if told is None else told.get("config", {})

    async def is_ready(self, model: str, version: str) -> bool:
        """As `Transport`."""
        return bool(await self._ask(self._client.is_model_ready(model, version, headers=self._endpoint.headers())))

    async def infer(self, call: Call) -> InferResult:
        """As `Transport`."""
        given, wanted = send_inputs(self._triton, call), wanted_outputs(self._triton, call)
        result = await self._ask(
            self._client.infer(call.model, given, call.version, wanted, headers=self._endpoint.headers())
        )
        return _answer(result)

    async def stream(self, calls: AsyncIterator[Call]) -> AsyncGenerator[InferResult]:
        """As `Transport`; ends when the calls have ended and all are answered, or when it is closed."""
        requests = Requests(self._prepared(calls))
        responses = Responses(self._client.stream_infer(aiter(requests), headers=self._endpoint.headers()), self._calls)
        try:
            while True:
                try:
                    result, error = await self._judged(responses.read())
                except StopAsyncIteration:
                    break
                if error is not None:
                    raise AttemptError(InferenceError(error.message().strip()), RequestOutcome.ANSWERED) from error
                yield _answer(result)
            requests.raise_failure()
        finally:
            requests.leave()
            responses.leave()

    async def close(self) -> None:
        """As `Transport`; calls in flight end first, as closing would cancel them."""
        await self._calls.ended(CLOSE_SECONDS)
        await self._client.close()

    async def _tell(self, request: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any] | None:
        """Await a document; None where that API is closed or not there."""
        try:
            return await self._ask(request)
        except AttemptError as failed:
            if isinstance(failed.error, RejectedError) or getattr(failed.__cause__, "status", str)() == _NOT_THERE:
                return None
            raise

    async def _ask(self, request: Coroutine[Any, Any, T]) -> T:
        """Await a request, which goes on when the caller stops waiting."""
        return await self._judged(self._calls.wait_for(request))

    async def _prepared(self, calls: AsyncIterator[Call]) -> AsyncGenerator[dict[str, Any]]:
        """The calls of a stream as tritonclient takes them."""
        async for call in calls:
            yield {
                "model_name": call.model,
                "model_version": call.version,
                "inputs": send_inputs(self._triton, call),
                "outputs": wanted_outputs(self._triton, call),
            }

    async def _judged(self, request: Coroutine[Any, Any, T]) -> T:
        """Await a request; every failure becomes one of ours, with its fate."""
        import grpc
        from tritonclient.utils import InferenceServerException

        try:
            return await request
        except InferenceServerException as error:
            raise judge_status(error.status(), error.message(), self._endpoint) from error
        except grpc.aio.AioRpcError as error:  # A stream's, which tritonclient hands through.
            raise judge_status(str(error.code()), error.details() or "", self._endpoint) from error


def judge_status(status: str | None, message: str, endpoint: Endpoint) -> AttemptError:
    """Tell by a status and its message what to make of it."""
    said = (message or "").strip()
    error: SdkError
    if _CLOSED in said:
        return AttemptError(RejectedError(f"{endpoint.target}: {said}"), RequestOutcome.ANSWERED)
    if status == _UNAVAILABLE:
        error = UnreachableError(f"{endpoint.target} does not answer over gRPC: {said}")
        if any(sign in said.lower() for sign in _NO_CONNECTION):
            return AttemptError(error, RequestOutcome.NOT_SENT)
        put_off = any(sign in said.lower() for sign in _PUT_OFF)
        return AttemptError(error, RequestOutcome.RETRYABLE if put_off else RequestOutcome.UNKNOWN)
    if status == "StatusCode.DEADLINE_EXCEEDED":
        return AttemptError(DeadlineExceededError(f"{endpoint.target}: {said}"), RequestOutcome.UNKNOWN)
    if status in _NO_ENTRY:
        return AttemptError(RejectedError(f"{endpoint.target}: {said}"), RequestOutcome.ANSWERED)
    return AttemptError(
        DeploymentNotFoundError(said) if status == "StatusCode.NOT_FOUND" else InferenceError(said),
        RequestOutcome.ANSWERED,
    )


def _answer(result: Any) -> InferResult:
    said = result.get_response()
    outputs = {output.name: result.as_numpy(output.name) for output in said.outputs}
    return InferResult(said.model_name, said.model_version, outputs)
