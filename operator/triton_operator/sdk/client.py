"""`Client`: one ModelDeployment and its predictions, for applications without asyncio.

Input: the name of a ModelDeployment, then input values. Output: `DeploymentStatus` and `Prediction` objects. Each
method runs that of an `AsyncClient` in an event loop in a thread of its own, and `help()` shows its documentation.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack

from triton_operator.sdk.address import Protocol, ServerAddress
from triton_operator.sdk.async_client import CONCURRENCY, AsyncClient
from triton_operator.sdk.bound_deployment import WAIT_SECONDS, BoundDeployment
from triton_operator.sdk.client_certificate import CertificateFiles
from triton_operator.sdk.documented import documented_by
from triton_operator.sdk.errors import UnreachableError
from triton_operator.sdk.event_loop_thread import EventLoopThread
from triton_operator.sdk.interface import ModelInterface
from triton_operator.sdk.kube_context import KubeContext
from triton_operator.sdk.prediction import Prediction
from triton_operator.sdk.status import DeploymentStatus
from triton_operator.sdk.waiting import Progress

if TYPE_CHECKING:
    from triton_operator.explain import Explanation
    from triton_operator.masking import MaskingAction, PersonalDataKind, Recognizer
    from triton_operator.sdk.explanation import ExplainOptions
    from triton_operator.sdk.masked import MaskedClient

_END = object()


@documented_by(AsyncClient)
class Client:
    """Like `AsyncClient`, without asyncio."""

    def __init__(  # noqa: PLR0913 -- as in AsyncClient
        self,
        deployment: str,
        namespace: str = "",
        *,
        protocol: Protocol = Protocol.HTTP,
        url: str = "",
        cluster: KubeContext | None = None,
        timeout: float = 60.0,
        concurrency: int = CONCURRENCY,
        ca_file: str | PathLike[str] = "",
        server_name: str = "",
        token: str | Callable[[], str] = "",
        token_file: str | PathLike[str] = "",
        service_account: str = "",
        cert: CertificateFiles = "",
    ) -> None:
        self._async_client = AsyncClient(
            deployment,
            namespace,
            protocol=protocol,
            url=url,
            cluster=cluster,
            timeout=timeout,
            concurrency=concurrency,
            ca_file=ca_file,
            server_name=server_name,
            token=token,
            token_file=token_file,
            service_account=service_account,
            cert=cert,
        )
        self._deployment = BoundDeployment(deployment, namespace, cluster or KubeContext())
        self._loop_thread: EventLoopThread | None = None

    def __enter__(self) -> Self:
        """Connect to the Service; raises UnreachableError, DeploymentNotFoundError, RejectedError."""
        self._loop_thread = EventLoopThread()
        try:
            self._loop_thread.run(self._async_client.__aenter__())
        except BaseException:
            self._loop_thread.close()
            self._loop_thread = None
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection and the port-forward; cancels the calls of other threads."""
        loop_thread, self._loop_thread = self._opened, None
        try:
            loop_thread.run(self._async_client.__aexit__(kind, error, trace))
        finally:
            loop_thread.close()

    @documented_by(AsyncClient.deploy)
    def deploy(
        self, manifest: str | Path | Mapping[str, Any] | None = None, *, force: bool = False, **spec: Any
    ) -> DeploymentStatus:
        """Like `AsyncClient.deploy`."""
        return self._deployment.deploy(manifest, spec, force=force)

    @documented_by(AsyncClient.status)
    def status(self) -> DeploymentStatus:
        """Like `AsyncClient.status`."""
        return self._deployment.status()

    @documented_by(AsyncClient.wait_ready)
    def wait_ready(self, timeout: float = WAIT_SECONDS, on_progress: Progress | None = None) -> DeploymentStatus:
        """Like `AsyncClient.wait_ready`."""
        return self._deployment.wait_ready(timeout, on_progress)

    @documented_by(AsyncClient.delete)
    def delete(self) -> None:
        """Like `AsyncClient.delete`."""
        self._deployment.delete()

    @documented_by(AsyncClient.infer)
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
        """Like `AsyncClient.infer`."""
        return self._opened.run(
            self._async_client.infer(model, inputs, outputs, version=version, timeout=timeout, retry=retry, cast=cast)
        )

    @documented_by(AsyncClient.stream)
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
        """Like `AsyncClient.stream`. `requests` may wait for earlier responses: it runs in another thread."""
        predictions = self._async_client.stream(
            model, _iterate_in_threads(requests), outputs, version=version, timeout=timeout, cast=cast
        )
        return self._opened.iterate(predictions)

    @documented_by(AsyncClient.masked)
    def masked(
        self,
        actions: MaskingAction | str | Mapping[PersonalDataKind, MaskingAction] = "tokenize",
        *,
        key: bytes = b"",
        recognizers: Iterable[Recognizer] = (),
    ) -> MaskedClient:
        """Like `AsyncClient.masked`."""
        from triton_operator.sdk.conversation import Conversation
        from triton_operator.sdk.masked import MaskedClient

        return MaskedClient(self.infer, self.stream, Conversation(actions, key=key, recognizers=recognizers))

    @documented_by(AsyncClient.explain)
    def explain(self, model: str, row: Any, method: str = "auto", **options: Unpack[ExplainOptions]) -> Explanation:
        """Like `AsyncClient.explain`."""
        return self._opened.run(self._async_client.explain(model, row, method, **options))

    @documented_by(AsyncClient.is_ready)
    def is_ready(self, model: str, version: str = "") -> bool:
        """Like `AsyncClient.is_ready`."""
        return self._opened.run(self._async_client.is_ready(model, version))

    @documented_by(AsyncClient.interface)
    def interface(self, model: str, version: str = "") -> ModelInterface:
        """Like `AsyncClient.interface`."""
        return self._opened.run(self._async_client.interface(model, version))

    @property
    def address(self) -> ServerAddress:
        """Where the client is connected; raises UnreachableError if it is not open."""
        return self._async_client.address

    @property
    def _opened(self) -> EventLoopThread:
        if self._loop_thread is None:
            raise UnreachableError("the client is not open: use `with Client(…) as client:`")
        return self._loop_thread


async def _iterate_in_threads(values: Iterable[Any]) -> AsyncIterator[Any]:
    """Yield the values of an iterable that may block, without blocking the event loop."""
    iterator = iter(values)
    while (value := await asyncio.to_thread(next, iterator, _END)) is not _END:
        yield value
