"""Leader election by a Lease: of the operators that share it one works, the others keep their caches warm.

`Elector.run` takes and renews the Lease; `leading` is set while we hold it, and `time_left` is the fence of
`HttpCluster`: no write starts without any, and none may take longer. Whether another holder's Lease ran out is judged
by our own monotonic clock since we last saw it change, never by the times written in it: clocks of machines differ.
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
from triton_operator.cluster.client import ApiClient, understood
from triton_operator.cluster.errors import ClusterError, NotFoundError
from triton_operator.cluster.resource_paths import LEASES

log = logging.getLogger(__name__)

DURATION = 15
"""Seconds after its last renewal at which others may take the Lease."""
RENEW_WITHIN = 10.0
"""Seconds after its last renewal at which the holder stops writing: well before anybody else starts."""
PERIOD = 2.0
"""Seconds between two attempts to take or renew it."""
REQUEST_TIMEOUT = 3.0
"""Seconds for one request: several attempts must fit into RENEW_WITHIN."""


class LeaseSpec(msgspec.Struct, rename="camel", omit_defaults=True):
    """`spec` of a Lease; times are RFC 3339 with microseconds, for people to read."""

    holder_identity: str = ""
    lease_duration_seconds: int = 0
    acquire_time: str | None = None
    renew_time: str | None = None
    lease_transitions: int = 0


class _Metadata(msgspec.Struct, rename="camel", omit_defaults=True):
    name: str
    namespace: str
    resource_version: str = ""


class Lease(msgspec.Struct, rename="camel"):
    """The Lease object."""

    metadata: _Metadata
    spec: LeaseSpec = msgspec.field(default_factory=LeaseSpec)
    api_version: str = "coordination.k8s.io/v1"
    kind: str = "Lease"


_decode = msgspec.json.Decoder(Lease).decode


class Elector:
    """One candidate, named `identity`, for the Lease `triton-operator` in `namespace`.

    A container that restarts in its pod keeps its identity (the pod's name) and so takes its own Lease up at once:
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
        self._metadata = _Metadata(name=MANAGER, namespace=namespace)
        self._clock = clock
        self._pause = pause
        self._renewed_at = float("-inf")
        self._observed: tuple[str, float] = ("", clock())
        self._failing = False

    def time_left(self) -> float:
        """Seconds for which the Lease is surely ours still; 0 when it may be another's."""
        return max(self._renewed_at + RENEW_WITHIN - self._clock(), 0.0)

    def may_write(self) -> bool:
        """Whether the Lease is surely still ours: renewed less than RENEW_WITHIN seconds ago."""
        return self.time_left() > 0

    async def run(self) -> NoReturn:
        """Stand for election until cancelled."""
        while True:
            try:
                await self.attempt()
            except ClusterError as error:
                self._complain(error)
            except Exception:
                log.exception("the Lease cannot be taken or renewed, trying again")
            else:
                self._failing = False
            self._show()
            await self._pause(PERIOD * random.uniform(0.8, 1.2))

    async def attempt(self) -> None:
        """Take or renew the Lease if it is free, ours, or run out."""
        began = self._clock()
        lease = await self._read()
        if lease is None:
            await self._write("POST", Lease(self._metadata, self._claim(LeaseSpec())))
        elif self._is_takable(lease):
            await self._write("PUT", Lease(lease.metadata, self._claim(lease.spec)))
        else:
            self._renewed_at = float("-inf")
            return
        self._renewed_at = began

    async def release(self) -> None:
        """Let go of the Lease, if it is ours, so that a successor need not wait for it to run out."""
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
                log.info("gave the Lease back")
        except ClusterError as error:
            log.warning("the Lease could not be released and runs out by itself in %d s: %s", DURATION, error)

    def _complain(self, error: ClusterError) -> None:
        """Once per spell of failures: without the right to the Lease nothing would ever be done, and nobody told."""
        if not self._failing:
            log.warning("the Lease cannot be taken or renewed, trying again: %s", error)
        self._failing = True

    def _show(self) -> None:
        if self.may_write() and not self.leading.is_set():
            log.info("leading as %s", self.identity)
            self.leading.set()
        elif not self.may_write() and self.leading.is_set():
            log.warning("no longer leading: the Lease was not renewed in time or was taken")
            self.leading.clear()

    def _is_takable(self, lease: Lease) -> bool:
        version = lease.metadata.resource_version
        if version != self._observed[0]:
            self._observed = (version, self._clock())
        expired = self._clock() >= self._observed[1] + max(lease.spec.lease_duration_seconds, 1)
        return lease.spec.holder_identity in {"", self.identity} or expired

    def _claim(self, old: LeaseSpec) -> LeaseSpec:
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        ours = old.holder_identity == self.identity
        return LeaseSpec(
            holder_identity=self.identity,
            lease_duration_seconds=DURATION,
            acquire_time=old.acquire_time if ours else now,
            renew_time=now,
            lease_transitions=old.lease_transitions + (not ours),
        )

    async def _read(self) -> Lease | None:
        path = LEASES.path(self._metadata.namespace, MANAGER)
        try:
            answer = await self._client.request("GET", path, kind=LEASES.kind, within=REQUEST_TIMEOUT)
            return understood(_decode, answer)
        except NotFoundError:
            return None

    async def _write(self, method: str, lease: Lease) -> None:
        """Create or update; another writer in between is a Conflict, so two candidates cannot both succeed."""
        path = LEASES.path(self._metadata.namespace, MANAGER if method == "PUT" else "")
        await self._client.request(
            method, path, kind=LEASES.kind, body=msgspec.json.encode(lease), within=REQUEST_TIMEOUT
        )
