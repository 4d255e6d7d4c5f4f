"""The connection of a client to one deployment: its transport, and a cache of the interfaces of its models.

Input: the name of a deployment. Output: a transport, replaced after a broken port-forward. `AsyncClient` owns one.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from dataclasses import dataclass

import msgspec

from triton_operator.sdk.address import Protocol, ServerAddress, server_address
from triton_operator.sdk.errors import InferenceError, UnreachableError
from triton_operator.sdk.interface import ModelInterface, read_interface
from triton_operator.sdk.kube_context import KubeContext
from triton_operator.sdk.retry import Deadline, call_with_retries
from triton_operator.sdk.transport import Transport


@dataclass(frozen=True)
class ConnectionOptions:
    """Which deployment to connect to, and how; the members are arguments of the clients."""

    deployment: str
    namespace: str
    protocol: Protocol
    url: str
    cluster: KubeContext


class DeploymentConnection:
    """Belongs to the event loop that opened it."""

    def __init__(self, options: ConnectionOptions) -> None:
        self._options = options
        self._resources = ExitStack()
        self._address: ServerAddress | None = None
        self._transport: Transport | None = None
        self._interfaces: dict[tuple[str, str], ModelInterface | None] = {}
        self._reconnecting = asyncio.Lock()

    @property
    def transport(self) -> Transport:
        """The transport; raises UnreachableError if the client is not open."""
        if self._transport is None:
            raise UnreachableError("the client is not open: use `with Client(…) as client:`")
        return self._transport

    async def open(self) -> None:
        """Find the server's address and connect; raises UnreachableError, DeploymentNotFoundError, RejectedError."""
        options = self._options
        address = server_address(
            options.deployment, options.namespace, options.protocol, url=options.url, cluster=options.cluster
        )
        self._address = await asyncio.to_thread(self._resources.enter_context, address)
        try:
            self._transport = _transport(options.protocol, self._address)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close the transport and the port-forward, and clear the cache of interfaces."""
        transport, self._transport = self._transport, None
        self._interfaces.clear()
        try:
            if transport is not None:
                await transport.close()
        finally:
            await asyncio.to_thread(self._resources.close)

    async def reconnect(self) -> None:
        """Replace a port-forward whose pod is gone. Without a port-forward, tritonclient reconnects itself."""
        before = self._transport
        if self._address is None or not self._address.forwarded:
            return
        async with self._reconnecting:
            if self._transport is before:  # No other task has replaced it meanwhile.
                await self.close()
                await self.open()

    async def interface(
        self, model: str, version: str, deadline: Deadline, *, fresh: bool = False
    ) -> ModelInterface | None:
        """Return the inputs and outputs of a model, cached unless `fresh`; None if the server hides them.

        Raises DeploymentNotFoundError if the server does not have the model.
        """
        key = (model, version)
        if fresh or key not in self._interfaces:
            self._interfaces[key] = await self._read(model, version, deadline)
        return self._interfaces[key]

    def is_cached(self, model: str, version: str) -> bool:
        """Return whether the interface of a model is cached."""
        return (model, version) in self._interfaces

    def update(self, version: str, interface: ModelInterface) -> None:
        """Replace the cached interface of a model."""
        self._interfaces[interface.model, version] = interface

    async def _read(self, model: str, version: str, deadline: Deadline) -> ModelInterface | None:
        metadata = await call_with_retries(
            lambda: self.transport.metadata(model, version),
            deadline, f"metadata of {model}", idempotent=True, reconnect=self.reconnect,
        )  # fmt: skip
        if metadata is None:
            return None
        config = await call_with_retries(
            lambda: self.transport.config(model, version),
            deadline, f"configuration of {model}", idempotent=True, reconnect=self.reconnect,
        )  # fmt: skip
        try:
            return read_interface(metadata, config)
        except msgspec.ValidationError as error:
            raise InferenceError(f"the server's metadata of {model} cannot be read: {error}") from error


def _transport(protocol: Protocol, address: ServerAddress) -> Transport:
    """Open the transport for a protocol. tritonclient is imported here because that takes half a second."""
    if protocol is Protocol.GRPC:
        from triton_operator.sdk.grpc_transport import GrpcTransport

        return GrpcTransport(address)
    from triton_operator.sdk.http_transport import HttpTransport

    return HttpTransport(address)
