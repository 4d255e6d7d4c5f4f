"""Deployments and predictions, by a deployment's name.

Input: a deployment's name; then values by input name. Output: arrays by output name. Applications, the CLI and the
demo call it::

    with Client("digits", "models") as client:
        answer = client.infer("digits", pictures)
        answer.output

Any number of threads may share an open client: what it does, it does in an event loop of its own. A process that
forks opens its clients afterwards.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack

from triton_operator.sdk.address import Protocol
from triton_operator.sdk.async_client import CONCURRENCY, AsyncClient
from triton_operator.sdk.bound_deployment import WAIT_SECONDS, OwnDeployment
from triton_operator.sdk.errors import UnreachableError
from triton_operator.sdk.event_loop_thread import EventLoopThread
from triton_operator.sdk.interface import ModelInterface
from triton_operator.sdk.kubectl import Kubectl
from triton_operator.sdk.prediction import Prediction
from triton_operator.sdk.status import DeploymentStatus
from triton_operator.sdk.waiting import Progress

if TYPE_CHECKING:
    from triton_operator.explain import Explanation
    from triton_operator.sdk.explanation import ExplainOptions

__all__ = ["Client", "Prediction"]

_END = object()


class Client:
    """Asks one deployment over one protocol; use it as a context manager. Its arguments are those of `AsyncClient`."""

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
        self._asynchronous = AsyncClient(
            deployment,
            namespace,
            protocol=protocol,
            url=url,
            kubectl=kubectl,
            timeout=timeout,
            concurrency=concurrency,
        )
        self._own = OwnDeployment(deployment, namespace, kubectl or Kubectl())
        self._portal: EventLoopThread | None = None

    def __enter__(self) -> Self:
        """Open the way to the Service; raises UnreachableError, DeploymentNotFoundError, RejectedError."""
        self._portal = EventLoopThread()
        try:
            self._portal.run(self._asynchronous.__aenter__())
        except BaseException:
            self._portal.close()
            self._portal = None
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection and whatever led to it; calls that still run in other threads are cancelled."""
        portal, self._portal = self._opened, None
        try:
            portal.run(self._asynchronous.__aexit__(kind, error, trace))
        finally:
            portal.close()

    def deploy(
        self, manifest: str | Path | Mapping[str, Any] | None = None, *, force: bool = False, **spec: Any
    ) -> DeploymentStatus:
        """Create or change the deployment, as `AsyncClient.deploy` describes."""
        return self._own.deploy(manifest, spec, force=force)

    def status(self) -> DeploymentStatus:
        """The state of the deployment; works without opening the client.

        Raises DeploymentNotFoundError, RejectedError, UnreachableError.
        """
        return self._own.status()

    def wait_ready(self, timeout: float = WAIT_SECONDS, on_progress: Progress | None = None) -> DeploymentStatus:
        """Watch the deployment until all its models are served, as `AsyncClient.wait_ready` describes."""
        return self._own.wait_ready(timeout, on_progress)

    def delete(self) -> None:
        """Delete the deployment; works without opening the client.

        Raises DeploymentNotFoundError, RejectedError, UnreachableError.
        """
        self._own.delete()

    def infer(
        self,
        model: str,
        inputs: Any,
        outputs: Iterable[str] = (),
        *,
        version: str = "",
        timeout: float | None = None,
        retry: bool = False,
        cast: bool = False,
    ) -> Prediction:
        """Ask one model, as `AsyncClient.infer` describes."""
        portal = self._opened
        return portal.run(
            self._asynchronous.infer(model, inputs, outputs, version=version, timeout=timeout, retry=retry, cast=cast)
        )

    def stream(
        self,
        model: str,
        requests: Iterable[Any],
        outputs: Iterable[str] = (),
        *,
        version: str = "",
        timeout: float | None = None,
        cast: bool = False,
    ) -> Iterator[Prediction]:
        """Yield the answers to a stream of requests, as `AsyncClient.stream` describes.

        `requests` may wait for earlier answers: it is asked for the next one in a thread of its own.
        """
        portal, given = self._opened, _in_threads(requests)
        answers = self._asynchronous.stream(model, given, outputs, version=version, timeout=timeout, cast=cast)
        return portal.iterate(answers)

    def explain(self, model: str, row: Any, method: str = "auto", **options: Unpack[ExplainOptions]) -> Explanation:
        """Say which parts of one row drove the model's answer, as `AsyncClient.explain` describes."""
        portal = self._opened
        return portal.run(self._asynchronous.explain(model, row, method, **options))

    def is_ready(self, model: str, version: str = "") -> bool:
        """Whether the server has this model loaded; raises UnreachableError, DeadlineExceededError."""
        portal = self._opened
        return portal.run(self._asynchronous.is_ready(model, version))

    def interface(self, model: str, version: str = "") -> ModelInterface:
        """What a model takes and gives: names, types and shapes, asked once for each model and version."""
        portal = self._opened
        return portal.run(self._asynchronous.interface(model, version))

    @property
    def _opened(self) -> EventLoopThread:
        if self._portal is None:
            raise UnreachableError("the client is not open: use `with Client(…) as client:`")
        return self._portal


async def _in_threads(values: Iterable[Any]) -> AsyncIterator[Any]:
    """Take each value in a thread, as a program's own iterator may block."""
    iterator = iter(values)
    while (value := await asyncio.to_thread(next, iterator, _END)) is not _END:
        yield value
