"""Deployments and predictions from a program that uses asyncio.

Input: a deployment's name; then values by input name. Output: arrays by output name. Applications call it, and
`Client` is the same without asyncio::

    async with AsyncClient("digits", "models") as client:
        answer = await client.infer("digits", pictures)
        answer.output

A client belongs to the event loop in which it was opened; any number of its tasks may use it at a time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack

from triton_operator.sdk.address import Protocol
from triton_operator.sdk.batches import join_rows
from triton_operator.sdk.bound_deployment import WAIT_SECONDS, OwnDeployment
from triton_operator.sdk.connection import Connection, Place
from triton_operator.sdk.errors import RejectedError
from triton_operator.sdk.inference import Inference, InferRequest
from triton_operator.sdk.interface import ModelInterface
from triton_operator.sdk.kubectl import Kubectl
from triton_operator.sdk.prediction import Prediction
from triton_operator.sdk.retry import Deadline, call_once, call_with_retries
from triton_operator.sdk.status import DeploymentStatus
from triton_operator.sdk.stop import Stop
from triton_operator.sdk.waiting import Progress

if TYPE_CHECKING:
    from triton_operator.explain import Explanation
    from triton_operator.sdk.explanation import ExplainOptions

CONCURRENCY = 4
"""Requests at a time that one call makes of many rows: enough to fill the server's queue while answers travel."""


class AsyncClient:
    """Asks one deployment over one protocol; use it as a context manager.

    `url` (`host:port`) goes there directly. Without it the Service is found as `sdk.address` describes. `timeout` is
    in seconds and bounds each call, its repetitions included.
    """

    def __init__(
        self,
        deployment: str,
        namespace: str = "",
        *,
        protocol: Protocol = Protocol.HTTP,
        url: str = "",
        kubectl: Kubectl | None = None,
        timeout: float = 60.0,
        concurrency: int = CONCURRENCY,
    ) -> None:
        self._connection = Connection(Place(deployment, namespace, Protocol(protocol), url, kubectl or Kubectl()))
        self._own = OwnDeployment(deployment, namespace, kubectl or Kubectl())
        self._inference = Inference(self._connection, concurrency)
        self._timeout = timeout

    async def __aenter__(self) -> Self:
        """Open the way to the Service; raises UnreachableError, DeploymentNotFoundError, RejectedError."""
        await self._connection.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection and whatever led to it."""
        await self._connection.close()

    async def deploy(
        self, manifest: str | Path | Mapping[str, Any] | None = None, *, force: bool = False, **spec: Any
    ) -> DeploymentStatus:
        """Create or change the deployment by server-side apply; it need not be open for this.

        It is described by a YAML file, by an object, or by the fields of its spec as keyword arguments. Fields that an
        earlier call gave and this one does not are taken back. `force` takes over fields that another manager wrote.
        Raises InvalidRequestError, RejectedError, UnreachableError.
        """
        return await asyncio.to_thread(self._own.deploy, manifest, spec, force=force)

    async def status(self) -> DeploymentStatus:
        """The state of the deployment; works without opening the client.

        Raises DeploymentNotFoundError, RejectedError, UnreachableError.
        """
        return await asyncio.to_thread(self._own.status)

    async def wait_ready(
        self,
        timeout: float = WAIT_SECONDS,  # noqa: ASYNC109 - ends with our own error, which has the reason.
        on_progress: Progress | None = None,
    ) -> DeploymentStatus:
        """Watch the deployment until all its models are served; it need not be open for this.

        `on_progress` is called in the event loop with each new reason. Raises NotReadyError when the time is over, or
        at once when the deployment is stalled; DeploymentNotFoundError, RejectedError, UnreachableError.
        """
        loop, stop = asyncio.get_running_loop(), Stop()

        def tell(found: DeploymentStatus) -> None:
            if on_progress:
                loop.call_soon_threadsafe(on_progress, found)

        try:
            return await asyncio.to_thread(self._own.wait_ready, timeout, tell, stop)
        finally:
            stop.now()  # The thread would go on after a cancellation.

    async def delete(self) -> None:
        """Delete the deployment; works without opening the client.

        Raises DeploymentNotFoundError, RejectedError, UnreachableError.
        """
        await asyncio.to_thread(self._own.delete)

    async def infer(
        self,
        model: str,
        inputs: Any,
        outputs: Iterable[str] = (),
        *,
        version: str = "",
        timeout: float | None = None,  # noqa: ASYNC109 - bounds repetitions too, and ends with our own error.
        retry: bool = False,
        cast: bool = False,
    ) -> Prediction:
        """Ask one model; all its outputs when none is named.

        `inputs` is a mapping of names, or the one value of a model with one input: an array of NumPy or torch, a
        picture of Pillow, texts, numbers, lists of these. They are checked against what the model declares before
        anything is sent. More rows than the model takes at once go in several requests, a few at a time, and come back
        in order.

        A request is sent again only where the model has not run: no connection, or the server put it off. `retry` also
        allows it when the connection broke after sending, so that the model may run twice. `cast` allows arrays of
        another width, such as float64 for FP32.

        Raises InvalidRequestError, InferenceError, RejectedError, UnreachableError, DeadlineExceededError.
        """
        started = time.perf_counter()
        asked = InferRequest(model, version, tuple(outputs), cast=cast)
        deadline = Deadline(self._timeout if timeout is None else timeout)
        answers = await self._inference.run(asked, inputs, deadline, retry=retry)
        joined = join_rows([answer.outputs for answer in answers])
        return Prediction(answers[0].model, answers[0].version, joined, time.perf_counter() - started)

    async def stream(
        self,
        model: str,
        requests: Iterable[Any] | AsyncIterable[Any],
        outputs: Iterable[str] = (),
        *,
        version: str = "",
        timeout: float | None = None,  # noqa: ASYNC109 - as above; here it bounds the wait for each answer.
        cast: bool = False,
    ) -> AsyncGenerator[Prediction]:
        """Yield the answers to a stream of requests as they come; only over gRPC.

        Each request is what `infer` takes as `inputs`, in one batch; a decoupled model may answer it any number of
        times. `timeout` bounds the wait for each answer. Nothing is repeated. Ending the loop early ends the stream;
        `contextlib.aclosing` does so at once.
        """
        seconds = self._timeout if timeout is None else timeout
        calls = self._inference.calls(InferRequest(model, version, tuple(outputs), cast=cast), requests, self._timeout)
        answers = self._connection.transport.stream(calls)
        started = time.perf_counter()
        try:
            while True:
                try:
                    answer = await call_once(lambda: anext(answers), Deadline(seconds), f"stream of {model}")
                except StopAsyncIteration:
                    return
                yield Prediction(answer.model, answer.version, answer.outputs, time.perf_counter() - started)
        finally:
            await answers.aclose()

    async def explain(
        self, model: str, row: Any, method: str = "auto", **options: Unpack[ExplainOptions]
    ) -> Explanation:
        """Say which parts of one row drove the model's answer, by asking it again with parts taken away.

        `method` is kernel-shap or occlusion; `ExplainOptions` has the rest. Raises what `infer` raises.
        """
        from triton_operator.sdk.explanation import explain_through

        interface = await self.interface(model)
        return await explain_through(lambda inputs: self.infer(model, inputs), interface, row, method, options)

    async def is_ready(self, model: str, version: str = "") -> bool:
        """Whether the server has this model loaded; raises UnreachableError, DeadlineExceededError."""
        return await call_with_retries(
            lambda: self._connection.transport.is_ready(model, version),
            Deadline(self._timeout), f"readiness of {model}", harmless=True, renew=self._connection.renew,
        )  # fmt: skip

    async def interface(self, model: str, version: str = "") -> ModelInterface:
        """What a model takes and gives: names, types and shapes, asked once for each model and version.

        Raises RejectedError if the server hides it, DeploymentNotFoundError, UnreachableError, DeadlineExceededError.
        """
        found = await self._connection.interface(model, version, Deadline(self._timeout))
        if found is None:
            raise RejectedError(f"the server does not tell what {model} takes and gives")
        return found
