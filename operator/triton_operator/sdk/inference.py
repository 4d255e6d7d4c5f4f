"""Inference over one connection: check the inputs, split the batch, send the requests, join the responses.

Input: an InferRequest and the caller's values. Output: a Prediction with the rows in order. `AsyncClient` owns one. If
the server rejects a request because the known interface of the model is out of date, it is read again.
"""

from __future__ import annotations

import re
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from triton_operator.sdk.batches import count_rows, join_rows, split_rows
from triton_operator.sdk.bounded import iterate, run_bounded
from triton_operator.sdk.connection import DeploymentConnection
from triton_operator.sdk.errors import InferenceError, InvalidRequestError
from triton_operator.sdk.inputs import prepare_inputs, undeclared_inputs
from triton_operator.sdk.interface import ModelInterface
from triton_operator.sdk.prediction import Prediction
from triton_operator.sdk.retry import Deadline, call_once
from triton_operator.sdk.tensors import Array
from triton_operator.sdk.transport import Call, InferResult

_BATCH_TOO_LARGE = re.compile(r"inference request batch-size must be <= (\d+) for '([^']*)'")
"""Triton's error message (core, `src/infer_request.cc`); the model has not run in this case."""


@dataclass(frozen=True)
class InferRequest:
    """What to run: a model, the outputs to return (all if empty), and whether numeric types may be converted."""

    model: str
    version: str
    outputs: tuple[str, ...]
    cast: bool

    def call(self, arrays: dict[str, Array]) -> Call:
        """Return the call with these inputs."""
        return Call(self.model, self.version, arrays, self.outputs)


class Inference:
    """Sends inference requests over `connection`, at most `concurrency` at a time for one batch."""

    def __init__(self, connection: DeploymentConnection, concurrency: int) -> None:
        self._connection = connection
        self._concurrency = concurrency

    async def run(self, request: InferRequest, inputs: Any, deadline: Deadline, *, retry: bool) -> Prediction:
        """Run the model on a batch, in as many requests as it needs; raises what `AsyncClient.infer` raises."""
        started = time.perf_counter()
        results = await self._run(request, inputs, deadline, retry=retry)
        outputs = join_rows([result.outputs for result in results])
        return Prediction(results[0].model, results[0].version, outputs, time.perf_counter() - started)

    async def stream(
        self,
        request: InferRequest,
        requests: Iterable[Any] | AsyncIterable[Any],
        response_seconds: float,
        *,
        metadata_seconds: float,
    ) -> AsyncGenerator[Prediction]:
        """Yield the responses to a stream of requests; raises what `AsyncClient.stream` raises."""
        results = self._connection.transport.stream(self._calls(request, requests, metadata_seconds))
        started = time.perf_counter()
        try:
            while True:
                try:
                    result = await call_once(
                        lambda: anext(results), Deadline(response_seconds), f"stream of {request.model}"
                    )
                except StopAsyncIteration:
                    return
                yield Prediction(result.model, result.version, result.outputs, time.perf_counter() - started)
        finally:
            await results.aclose()

    async def _run(self, request: InferRequest, inputs: Any, deadline: Deadline, *, retry: bool) -> list[InferResult]:
        """Send a batch. If the server rejects its size, remember the maximum and split the batch accordingly."""
        interface, arrays = await self._prepare(request, inputs, deadline)
        call, max_rows = request.call(arrays), interface.max_batch_size if interface else None
        try:
            return await self._send(call, max_rows, deadline, retry=retry)
        except InferenceError as error:
            rejection = _BATCH_TOO_LARGE.search(str(error))
            if not rejection or rejection[2] != request.model:
                raise
            if interface:
                updated = msgspec.structs.replace(interface, max_batch_size=int(rejection[1]))
                self._connection.update(request.version, updated)
            if max_rows is not None:  # The model has run on some parts already, and would run on them again.
                raise
        return await self._send(call, int(rejection[1]), deadline, retry=retry)

    async def _calls(
        self, request: InferRequest, requests: Iterable[Any] | AsyncIterable[Any], metadata_seconds: float
    ) -> AsyncIterator[Call]:
        """Yield the calls of a stream."""
        async for inputs in iterate(requests):
            _, arrays = await self._prepare(request, inputs, Deadline(metadata_seconds))
            yield request.call(arrays)

    async def _prepare(
        self, request: InferRequest, inputs: Any, deadline: Deadline
    ) -> tuple[ModelInterface | None, dict[str, Array]]:
        """Convert the inputs to arrays. If a cached interface rejects them, read it again and retry once."""
        model, version = request.model, request.version
        cached = self._connection.is_cached(model, version)
        interface = await self._connection.interface(model, version, deadline)
        try:
            return interface, _arrays(interface, inputs, cast=request.cast)
        except InvalidRequestError:
            if interface is None or not cached:
                raise
        interface = await self._connection.interface(model, version, deadline, fresh=True)
        return interface, _arrays(interface, inputs, cast=request.cast)

    async def _send(self, call: Call, max_rows: int | None, deadline: Deadline, *, retry: bool) -> list[InferResult]:
        """Send a call, split into parts of at most `max_rows` rows, and return the results in order."""
        parts = split_rows(call.inputs, max_rows) if max_rows and count_rows(call.inputs) > max_rows else [call.inputs]

        def send_part(arrays: Any) -> Callable[[], Coroutine[Any, Any, InferResult]]:
            part = Call(call.model, call.version, arrays, call.outputs)
            return lambda: self._connection.call(
                lambda transport: transport.infer(part), deadline, f"inference by {call.model}", idempotent=retry
            )

        return await run_bounded([send_part(arrays) for arrays in parts], self._concurrency)


def _arrays(interface: ModelInterface | None, inputs: Any, *, cast: bool) -> dict[str, Array]:
    """Return the inputs as arrays, checked against the interface unless the server hides it (None)."""
    if interface is None:
        return undeclared_inputs(inputs)
    return prepare_inputs(interface, inputs, cast=cast)
