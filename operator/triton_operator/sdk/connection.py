"""The connection of a client to one deployment: its transport, and a cache of the interfaces of its models.

Input: the name of a deployment. Output: a transport, replaced after a broken port-forward. `AsyncClient` owns one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import TypeVar

import msgspec

from triton_operator.sdk.access import Target
from triton_operator.sdk.address import Protocol, ServerAddress, find_access, server_address
from triton_operator.sdk.client_certificate import read_client_certificate
from triton_operator.sdk.errors import InferenceError, InvalidRequestError, UnreachableError
from triton_operator.sdk.interface import ModelInterface, read_interface
from triton_operator.sdk.retry import AttemptError, Deadline, RequestOutcome, call_with_retries
from triton_operator.sdk.security import Security, Trust
from triton_operator.sdk.transport import Transport

T = TypeVar("T")


class DeploymentConnection:
    """Belongs to the event loop that opened it."""

    def __init__(self, target: Target, protocol: Protocol) -> None:
        self._target = target
        self._protocol = protocol
        self._resources = ExitStack()
        self._address: ServerAddress | None = None
        self._transport: Transport | None = None
        self._replaced: list[Transport] = []
        self._interfaces: dict[tuple[str, str], ModelInterface | None] = {}
        self._reconnecting = asyncio.Lock()

    @property
    def address(self) -> ServerAddress:
        """Where the client is connected; raises UnreachableError if it is not open."""
        if self._transport is None or self._address is None:
            raise UnreachableError("the client is not open: use `with Client(…) as client:`")
        return self._address

    @property
    def transport(self) -> Transport:
        """The transport; raises UnreachableError if the client is not open."""
        if self._transport is None:
            raise UnreachableError("the client is not open: use `with Client(…) as client:`")
        return self._transport

    async def open(self) -> None:
        """Find the server's address and connect; raises UnreachableError, DeploymentNotFoundError, RejectedError."""
        address = server_address(self._target, self._protocol)
        self._address = await asyncio.to_thread(self._resources.enter_context, address)
        try:
            self._transport = _transport(self._protocol, self._address)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close the transport and the port-forward, and clear the cache of interfaces."""
        open_ = [*self._replaced, *([self._transport] if self._transport else [])]
        self._replaced, self._transport = [], None
        self._interfaces.clear()
        try:
            for transport in open_:
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

    async def renew(self, failure: AttemptError) -> bool:
        """Read the authorities or the token again; returns whether they changed, so that a retry makes sense."""
        if self._address is None:
            return False
        if failure.outcome is RequestOutcome.UNTRUSTED:
            return await self._renew_trust(self._address.security)
        token = self._address.security.token
        return token is not None and await asyncio.to_thread(token.renew, failure.token)

    async def call(
        self, request: Callable[[Transport], Awaitable[T]], deadline: Deadline, operation: str, *, idempotent: bool
    ) -> T:
        """Send a request over the current transport, with retries; raises SdkError."""
        await self._follow_certificate()
        return await call_with_retries(
            lambda: request(self.transport), deadline, operation, idempotent=idempotent, recovery=self
        )

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
        metadata = await self.call(
            lambda transport: transport.metadata(model, version), deadline, f"metadata of {model}", idempotent=True
        )
        if metadata is None:
            return None
        config = await self.call(
            lambda transport: transport.config(model, version), deadline, f"configuration of {model}", idempotent=True
        )
        try:
            return read_interface(metadata, config)
        except msgspec.ValidationError as error:
            raise InferenceError(f"the server's metadata of {model} cannot be read: {error}") from error

    async def _renew_trust(self, rejected: Security) -> bool:
        """Read the CA bundle again, which changes when the CA is replaced."""
        async with self._reconnecting:
            assert self._address is not None  # noqa: S101 -- `renew` checks it
            if self._address.security is not rejected:  # Another task has replaced it meanwhile.
                return True
            trust = (await asyncio.to_thread(find_access, self._target)).security.trust
            if trust is None or trust == rejected.trust:
                return False
            self._replace(self._address, trust)
            return True

    async def _follow_certificate(self) -> None:
        """Use the client certificate that has replaced the one of this connection."""
        address, trust = self._address, self._address.security.trust if self._address else None
        if not (address and trust and trust.client and trust.client.is_replaced()):
            return
        async with self._reconnecting:
            if self._address is not address:  # Another task has replaced it meanwhile.
                return
            files = trust.client.cert_file, trust.client.key_file
            with suppress(InvalidRequestError):  # Only one of the two files is there yet; the next call reads them.
                self._replace(address, replace(trust, client=await asyncio.to_thread(read_client_certificate, *files)))

    def _replace(self, address: ServerAddress, trust: Trust) -> None:
        """Open another transport."""
        self._address = replace(address, security=Security(trust, address.security.token))
        self._replaced.append(self.transport)  # Calls in flight may still use it.
        self._transport = _transport(self._protocol, self._address)


def _transport(protocol: Protocol, address: ServerAddress) -> Transport:
    """Open the transport for a protocol. tritonclient is imported here because that takes half a second."""
    if protocol is Protocol.GRPC:
        from triton_operator.sdk.grpc_transport import GrpcTransport

        return GrpcTransport(address)
    from triton_operator.sdk.http_transport import HttpTransport

    return HttpTransport(address)
