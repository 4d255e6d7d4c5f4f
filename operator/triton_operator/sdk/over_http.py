"""The v2 protocol over HTTP, by tritonclient's client for asyncio.

Input: calls. Output: answers, or AttemptError with the fate of the request. aiohttp opens as many connections as
there are requests at a time.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from typing import Any, TypeVar

from triton_operator.sdk.address import Endpoint
from triton_operator.sdk.errors import (
    DeploymentNotFoundError,
    InferenceError,
    InvalidRequestError,
    RejectedError,
    SdkError,
    UnreachableError,
)
from triton_operator.sdk.retry import AttemptError, RequestOutcome
from triton_operator.sdk.transport import Call, InferResult, missing, send_inputs, wanted_outputs

T = TypeVar("T")

_UNAVAILABLE = "503"
_CLOSED = {"401", "403"}
_NOT_FOUND = "404"
_NOT_THERE = {"405", "501"}


class OverHttp:
    """One server's HTTP port; implements `Transport`."""

    def __init__(self, endpoint: Endpoint) -> None:
        try:
            import tritonclient.http.aio as triton
        except ImportError as error:
            raise missing(error) from error
        self._triton = triton
        self._endpoint = endpoint
        # The caller's deadline ends a request; the client's own would do so with another error.
        self._client = triton.InferenceServerClient(endpoint.target, conn_timeout=None)

    async def metadata(self, model: str, version: str) -> dict[str, Any] | None:
        """As `Transport`."""
        return await self._tell(self._client.get_model_metadata(model, version, headers=self._endpoint.headers()))

    async def config(self, model: str, version: str) -> dict[str, Any] | None:
        """As `Transport`."""
        return await self._tell(self._client.get_model_config(model, version, headers=self._endpoint.headers()))

    async def is_ready(self, model: str, version: str) -> bool:
        """As `Transport`."""
        return bool(await self._ask(self._client.is_model_ready(model, version, headers=self._endpoint.headers())))

    async def infer(self, call: Call) -> InferResult:
        """As `Transport`."""
        given, wanted = send_inputs(self._triton, call), wanted_outputs(self._triton, call)
        result = await self._ask(
            self._client.infer(call.model, given, call.version, wanted, headers=self._endpoint.headers())
        )
        said = result.get_response()
        outputs = {output["name"]: result.as_numpy(output["name"]) for output in said.get("outputs", [])}
        return InferResult(said["model_name"], said.get("model_version", ""), outputs)

    def stream(self, calls: AsyncIterator[Call]) -> AsyncGenerator[InferResult]:
        """Not over HTTP: Triton has streams over gRPC only."""
        del calls
        raise InvalidRequestError("protocol", "streams need gRPC; open the client with protocol=Protocol.GRPC")

    async def close(self) -> None:
        """As `Transport`."""
        await self._client.close()

    async def _tell(self, request: Awaitable[dict[str, Any]]) -> dict[str, Any] | None:
        """Await a document; None where that API is closed or not there."""
        try:
            return await self._ask(request)
        except AttemptError as failed:
            if isinstance(failed.error, RejectedError) or getattr(failed.__cause__, "status", str)() in _NOT_THERE:
                return None
            raise

    async def _ask(self, request: Awaitable[T]) -> T:
        """Await a request; every failure becomes one of ours, with its fate."""
        import aiohttp
        from tritonclient.utils import InferenceServerException

        try:
            return await request
        except InferenceServerException as error:
            raise judge_answer(str(error.status()), error.message(), self._endpoint) from error
        except aiohttp.ClientConnectorError as error:
            raise AttemptError(self._unreachable(error.os_error), RequestOutcome.NOT_SENT) from error
        except (aiohttp.ClientError, OSError) as error:
            raise AttemptError(self._unreachable(error), RequestOutcome.UNKNOWN) from error

    def _unreachable(self, error: Exception) -> UnreachableError:
        said = str(error) or type(error).__name__
        return UnreachableError(f"{self._endpoint.target} does not answer over HTTP: {said}")


def judge_answer(status: str, message: str, endpoint: Endpoint) -> AttemptError:
    """Tell by the status of an answer what to make of it."""
    said = message.strip()
    error: SdkError
    if status == _UNAVAILABLE:
        return AttemptError(
            UnreachableError(f"{endpoint.target} does not take requests now (503): {said}"), RequestOutcome.RETRYABLE
        )
    if status in _CLOSED:
        error = RejectedError(f"{endpoint.target}: {said}")
    else:
        error = DeploymentNotFoundError(said) if status == _NOT_FOUND else InferenceError(said)
    return AttemptError(error, RequestOutcome.ANSWERED)
