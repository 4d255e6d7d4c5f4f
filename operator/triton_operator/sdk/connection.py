"""The open way to one deployment: its address, the transport over it, and what is known of its models.

Input: a deployment's name. Output: a transport, made anew where the way has broken off. `AsyncClient` owns one.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from dataclasses import dataclass

import msgspec

from triton_operator.sdk.address import Endpoint, Protocol, endpoint_of
from triton_operator.sdk.errors import InferenceError, UnreachableError
from triton_operator.sdk.interface import ModelInterface, read_interface
from triton_operator.sdk.kubectl import Kubectl
from triton_operator.sdk.retry import Deadline, call_with_retries
from triton_operator.sdk.transport import Transport


@dataclass(frozen=True)
class Place:
    """Which deployment to go to, and how; the members are the clients' arguments."""

    deployment: str
    namespace: str
    protocol: Protocol
    url: str
    kubectl: Kubectl


class Connection:
    """Belongs to the event loop in which it was opened."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._open = ExitStack()
        self._endpoint: Endpoint | None = None
        self._transport: Transport | None = None
        self._interfaces: dict[tuple[str, str], ModelInterface | None] = {}
        self._renewing = asyncio.Lock()

    @property
    def transport(self) -> Transport:
        """The transport; raises UnreachableError where the client is not open."""
        if self._transport is None:
            raise UnreachableError("the client is not open: use `with Client(…) as client:`")
        return self._transport

    async def open(self) -> None:
        """Find the way; raises UnreachableError, DeploymentNotFoundError, RejectedError."""
        place = self._place
        way = endpoint_of(place.deployment, place.namespace, place.protocol, url=place.url, kubectl=place.kubectl)
        self._endpoint = await asyncio.to_thread(self._open.enter_context, way)
        try:
            self._transport = _transport(place.protocol, self._endpoint)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close the transport and whatever led to the server; what is known of models is forgotten."""
        transport, self._transport = self._transport, None
        self._interfaces.clear()
        try:
            if transport is not None:
                await transport.close()
        finally:
            await asyncio.to_thread(self._open.close)

    async def renew(self) -> None:
        """Forward anew where a forwarded port has lost its pod; other ways mend themselves."""
        before = self._transport
        if self._endpoint is None or not self._endpoint.forwarded:
            return
        async with self._renewing:
            if self._transport is before:  # Nobody else has done it meanwhile.
                await self.close()
                await self.open()

    async def interface(
        self, model: str, version: str, deadline: Deadline, *, fresh: bool = False
    ) -> ModelInterface | None:
        """What a model takes and gives, asked once for each model and version; `fresh` asks again.

        None where the server keeps it secret. Raises DeploymentNotFoundError where there is no such model.
        """
        key = (model, version)
        if fresh or key not in self._interfaces:
            self._interfaces[key] = await self._read(model, version, deadline)
        return self._interfaces[key]

    def knows(self, model: str, version: str) -> bool:
        """Whether the model's interface has been asked for already."""
        return (model, version) in self._interfaces

    def learn(self, version: str, interface: ModelInterface) -> None:
        """Keep what a refusal told of a model."""
        self._interfaces[interface.model, version] = interface

    async def _read(self, model: str, version: str, deadline: Deadline) -> ModelInterface | None:
        metadata = await call_with_retries(
            lambda: self.transport.metadata(model, version),
            deadline, f"metadata of {model}", idempotent=True, reconnect=self.renew,
        )  # fmt: skip
        if metadata is None:
            return None
        config = await call_with_retries(
            lambda: self.transport.config(model, version),
            deadline, f"configuration of {model}", idempotent=True, reconnect=self.renew,
        )  # fmt: skip
        try:
            return read_interface(metadata, config)
        except msgspec.ValidationError as error:
            raise InferenceError(f"the server's metadata of {model} cannot be read: {error}") from error


def _transport(protocol: Protocol, endpoint: Endpoint) -> Transport:
    """Open the protocol's transport; tritonclient is imported only now, as it takes half a second."""
    if protocol is Protocol.GRPC:
        from triton_operator.sdk.grpc_transport import GrpcTransport

        return GrpcTransport(endpoint)
    from triton_operator.sdk.http_transport import HttpTransport

    return HttpTransport(endpoint)
