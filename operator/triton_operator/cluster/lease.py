"""Leader election with a Lease: one of the operators that share it works, the others keep their caches filled.

`Elector.run` acquires and renews the Lease. `leading` is set while this process holds it, and `time_left` limits the
writes of `HttpCluster`. Whether the Lease of another holder has expired is measured with the local monotonic clock
since its last observed change, not with the times in it, because the clocks of machines differ.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import NoReturn

import msgspec

from triton_operator.api.names import MANAGER
from triton_operator.cluster.client import ApiClient, decode_response
from triton_operator.cluster.errors import ClusterError, NotFoundError
from triton_operator.cluster.resource_paths import LEASES

log = logging.getLogger(__name__)

DURATION = 15
"""Seconds after the last renewal when others may acquire the Lease."""
RENEW_WITHIN = 10.0
"""Seconds after the last renewal when the holder stops writing, well before anybody else starts."""
PERIOD = 2.0
"""Seconds between two attempts to acquire or renew the Lease."""
REQUEST_TIMEOUT = 3.0
"""Seconds for one request; several attempts must fit into RENEW_WITHIN."""


class LeaseSpec(msgspec.Struct, rename="camel", omit_defaults=True):
    """`spec` of a Lease; times are RFC 3339 with microseconds, for information only."""

    holder_identity: str = ""
    lease_duration_seconds: int = 0
    acquire_time: str | None = None
    renew_time: str | None = None
    lease_transitions: int = 0


class _LeaseMetadata(msgspec.Struct, rename="camel", omit_defaults=True):
    name: str
    namespace: str
    resource_version: str = ""


class Lease(msgspec.Struct, rename="camel"):
    """The Lease object."""

    metadata: _LeaseMetadata
    spec: LeaseSpec = msgspec.field(default_factory=LeaseSpec)
    api_version: str = "coordination.k8s.io/v1"
    kind: str = "Lease"


_decode = msgspec.json.Decoder(Lease).decode


class Elector:
    """One candidate, named `identity`, for the Lease `triton-operator` in `namespace`.

    A container that restarts in its pod keeps its identity (the pod's name), so it reacquires its Lease immediately:
    the kubelet never runs two of them at a time.
    """

    def __init__(
        self,
        client: ApiClient,
        namespace: str,
        identity: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.leading = asyncio.Event()
        self.identity = identity
        self._client = client
        self._metadata = _LeaseMetadata(name=MANAGER, namespace=namespace)
        self._clock = clock
        self._pause = pause
        self._renewed_at = float("-inf")
        self._observed: tuple[str, float] = ("", clock())
        self._failing = False

    def time_left(self) -> float:
        """Seconds for which this process surely holds the Lease; 0 if another one may hold it."""
        return max(self._renewed_at + RENEW_WITHIN - self._clock(), 0.0)

    def may_write(self) -> bool:
        """Whether this process surely holds the Lease: it was renewed less than RENEW_WITHIN seconds ago."""
        return self.time_left() > 0

    async def run(self) -> NoReturn:
        """Acquire and renew the Lease until cancelled."""
        while True:
            try:
                await self.attempt()
            except ClusterError as error:
                self._log_failure(error)
            except Exception:
                log.exception("cannot acquire or renew the Lease, retrying")
            else:
                self._failing = False
            self._update_leading()
            await self._pause(PERIOD * random.uniform(0.8, 1.2))

    async def attempt(self) -> None:
        """Acquire or renew the Lease if it is free, expired, or held by this process."""
        began = self._clock()
        lease = await self._read()
        if lease is None:
            await self._write("POST", Lease(self._metadata, self._claim(LeaseSpec())))
        elif self._can_be_acquired(lease):
            await self._write("PUT", Lease(lease.metadata, self._claim(lease.spec)))
        else:
            self._renewed_at = float("-inf")
            return
        self._renewed_at = began

    async def release(self) -> None:
        """Release the Lease if this process holds it, so that a successor need not wait until it expires."""
        held = self.may_write()
        self._renewed_at = float("-inf")
        self.leading.clear()
        if not held:
            return
        try:
            lease = await self._read()
            if lease and lease.spec.holder_identity == self.identity:
                freed = msgspec.structs.replace(lease.spec, holder_identity="", lease_duration_seconds=1)
                await self._write("PUT", Lease(lease.metadata, freed))
                log.info("released the Lease")
        except ClusterError as error:
            log.warning("cannot release the Lease, which expires in %d s: %s", DURATION, error)

    def _log_failure(self, error: ClusterError) -> None:
        """Log once per outage; if permission is missing, nothing else shows why the operator is idle."""
        if not self._failing:
            log.warning("cannot acquire or renew the Lease, retrying: %s", error)
        self._failing = True

    def _update_leading(self) -> None:
        if self.may_write() and not self.leading.is_set():
            log.info("leading as %s", self.identity)
            self.leading.set()
        elif not self.may_write() and self.leading.is_set():
            log.warning("no longer leading: the Lease was not renewed in time, or another holder acquired it")
            self.leading.clear()

    def _can_be_acquired(self, lease: Lease) -> bool:
        version = lease.metadata.resource_version
        if version != self._observed[0]:
            self._observed = (version, self._clock())
        expired = self._clock() >= self._observed[1] + max(lease.spec.lease_duration_seconds, 1)
        return lease.spec.holder_identity in {"", self.identity} or expired

    def _claim(self, old: LeaseSpec) -> LeaseSpec:
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        is_held = old.holder_identity == self.identity
        return LeaseSpec(
            holder_identity=self.identity,
            lease_duration_seconds=DURATION,
            acquire_time=old.acquire_time if is_held else now,
            renew_time=now,
            lease_transitions=old.lease_transitions + (not is_held),
        )

    async def _read(self) -> Lease | None:
        path = LEASES.path(self._metadata.namespace, MANAGER)
        try:
            response = await self._client.request("GET", path, kind=LEASES.kind, within=REQUEST_TIMEOUT)
            return decode_response(_decode, response)
        except NotFoundError:
            return None

    async def _write(self, method: str, lease: Lease) -> None:
        """Create or update; a concurrent write causes a conflict, so two candidates cannot both succeed."""
        path = LEASES.path(self._metadata.namespace, MANAGER if method == "PUT" else "")
        await self._client.request(
            method, path, kind=LEASES.kind, body=msgspec.json.encode(lease), within=REQUEST_TIMEOUT
        )
