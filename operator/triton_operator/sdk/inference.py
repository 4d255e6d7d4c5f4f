"""From what a caller gives to the server's answers: checked, divided into requests, sent, and learnt from.

Input: a question and values. Output: answers in the order of the rows. `AsyncClient` owns one; it is the only caller
of `inputs`, `batches` and `bounded`, and knows when what is known of a model is out of date.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from triton_operator.sdk.batches import count_rows, split_rows
from triton_operator.sdk.bounded import iterate, run_bounded
from triton_operator.sdk.connection import Connection
from triton_operator.sdk.errors import InferenceError, InvalidRequestError
from triton_operator.sdk.inputs import prepare_inputs, undeclared_inputs
from triton_operator.sdk.interface import ModelInterface
from triton_operator.sdk.retry import Deadline, call_with_retries
from triton_operator.sdk.tensors import Array
from triton_operator.sdk.transport import Call, InferResult

_BATCH_TOO_LARGE = re.compile(r"inference request batch-size must be <= (\d+) for '([^']*)'")
"""Triton's words (core, `src/infer_request.cc`); it has not run the model then."""


@dataclass(frozen=True)
class InferRequest:
    """Which model is asked, for which outputs (all of them when empty), and whether numbers may change their width."""

    model: str
    version: str
    outputs: tuple[str, ...]
    cast: bool

    def call(self, arrays: dict[str, Array]) -> Call:
        """The inference with these inputs."""
        return Call(self.model, self.version, arrays, self.outputs)


class Inference:
    """Asks over one connection, with at most `concurrency` requests at a time for one question."""

    def __init__(self, connection: Connection, concurrency: int) -> None:
        self._connection = connection
        self._concurrency = concurrency

    async def run(self, question: InferRequest, inputs: Any, deadline: Deadline, *, retry: bool) -> list[InferResult]:
        """Ask once, in as many requests as the rows need; raises what `AsyncClient.infer` raises."""
        interface, arrays = await self._prepare(question, inputs, deadline)
        call, most = question.call(arrays), interface.max_batch_size if interface else None
        try:
            return await self._send(call, most, deadline, retry=retry)
        except InferenceError as error:
            told = _BATCH_TOO_LARGE.search(str(error))
            if not told or told[2] != question.model:
                raise
            if interface:
                learnt = msgspec.structs.replace(interface, max_batch_size=int(told[1]))
                self._connection.learn(question.version, learnt)
            if most is not None:  # Of several requests some have been answered: they would run again.
                raise
        return await self._send(call, int(told[1]), deadline, retry=retry)

    async def calls(
        self, question: InferRequest, requests: Iterable[Any] | AsyncIterable[Any], seconds: float
    ) -> AsyncIterator[Call]:
        """Yield the calls of a stream; `seconds` bounds the look at the model's metadata."""
        async for inputs in iterate(requests):
            _, arrays = await self._prepare(question, inputs, Deadline(seconds))
            yield question.call(arrays)

    async def _prepare(
        self, question: InferRequest, inputs: Any, deadline: Deadline
    ) -> tuple[ModelInterface | None, dict[str, Array]]:
        """The arrays to send; a refusal by what was known earlier is checked once against what the server says now."""
        model, version = question.model, question.version
        known = self._connection.knows(model, version)
        interface = await self._connection.interface(model, version, deadline)
        if interface is None:
            return None, undeclared_inputs(inputs)
        try:
            return interface, prepare_inputs(interface, inputs, cast=question.cast)
        except InvalidRequestError:
            if not known:
                raise
        interface = await self._connection.interface(model, version, deadline, fresh=True)
        if interface is None:
            return None, undeclared_inputs(inputs)
        return interface, prepare_inputs(interface, inputs, cast=question.cast)

    async def _send(self, call: Call, most: int | None, deadline: Deadline, *, retry: bool) -> list[InferResult]:
        """Send one request, or as many as it takes with `most` rows each, and return their answers in order."""
        parts = split_rows(call.inputs, most) if most and count_rows(call.inputs) > most else [call.inputs]

        def ask(arrays: Any) -> Callable[[], Coroutine[Any, Any, InferResult]]:
            part = Call(call.model, call.version, arrays, call.outputs)
            return lambda: call_with_retries(
                lambda: self._connection.transport.infer(part),
                deadline, f"inference by {call.model}", harmless=retry, renew=self._connection.renew,
            )  # fmt: skip

        return await run_bounded([ask(arrays) for arrays in parts], self._concurrency)
