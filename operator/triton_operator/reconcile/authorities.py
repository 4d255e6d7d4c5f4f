"""The authority of this installation, in a Secret of the operator's own namespace.

Only the holder of the Lease calls this. The Secret is created once; a rotation that is due, or that a person requests
with an annotation, is carried out; and a Secret that somebody deletes or damages is restored from memory.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from triton_operator.api.names import ANNOTATION_ROTATE, AUTHORITY_SECRET, LABEL_PART_OF, MANAGER
from triton_operator.certificates.authority_data import encode_authorities, replace_authorities
from triton_operator.cluster.client import decode_response
from triton_operator.cluster.errors import ConflictError
from triton_operator.cluster.protocol import Cluster
from triton_operator.cluster.shared_objects import SharedKind, SharedObject
from triton_operator.errors import TritonOperatorError
from triton_operator.reconcile.certificate_caches import IssuerContext

if TYPE_CHECKING:
    from triton_operator.certificates.rotation import Authorities

log = logging.getLogger(__name__)

SETTLING = timedelta(hours=1)
"""How long an old authority is kept after a start, because its certificates are issued again only then."""


class AuthorityUnusableError(TritonOperatorError):
    """There is no authority; the message says what a person has to do."""


class AuthorityStore:
    """The authorities of one operator."""

    def __init__(self, cluster: Cluster, issuer: IssuerContext, clock: Callable[[], datetime]) -> None:
        self._cluster = cluster
        self._cache = issuer.caches.authorities
        self._namespace = issuer.namespace
        self._announced = issuer.announced
        self._clock = clock
        self._started = clock()
        self._good: Authorities | None = None
        self._lock = asyncio.Lock()

    def known(self) -> Authorities | None:
        """The authorities without a request; None if they have to be stored, rotated or restored first."""
        stored = self._cache.get(self._namespace or "")
        if stored is None or isinstance(stored.content, str) or ANNOTATION_ROTATE in stored.annotations:
            return None
        if self._desired(stored) is not stored.content:
            return None
        self._good = stored.content
        return stored.content

    def next_change(self, authorities: Authorities, now: datetime) -> datetime:
        """When `known` may have another result although no watch reports a change."""
        change = authorities.next_change(now)
        return change if change > now else max(self._started + SETTLING, now + timedelta(minutes=1))

    async def current(self) -> Authorities:
        """The authorities, stored if they are new; raises AuthorityUnusableError and ClusterError."""
        if self._namespace is None:
            raise AuthorityUnusableError(
                "the operator does not know in which namespace its authority is; set POD_NAMESPACE, or use the mode "
                "Secret or CertManager"
            )
        async with self._lock:
            if known := self.known():
                return known
            stored = self._cache.get(self._namespace) or await self._read(self._namespace)
            if stored is None:
                return await self._create(self._namespace)
            return await self._update(stored)

    async def _read(self, namespace: str) -> SharedObject[Authorities | str] | None:
        body = await self._cluster.read_shared(SharedKind.SECRET, namespace, AUTHORITY_SECRET)
        return None if body is None else self._take(body)

    async def _create(self, namespace: str) -> Authorities:
        from triton_operator.certificates.rotation import rotate

        authorities = self._good or rotate(None, self._clock())
        manifest = {
            "apiVersion": "v1",
            "kind": SharedKind.SECRET.value,
            "metadata": {
                "name": AUTHORITY_SECRET,
                "namespace": namespace,
                "labels": {LABEL_PART_OF: MANAGER},
            },
            "type": "Opaque",
            "data": encode_authorities(authorities),
        }
        try:
            stored = self._take(await self._cluster.create_shared(manifest))
        except ConflictError:  # Another operator for all namespaces has been faster.
            existing = await self._read(namespace)
            if existing is None:
                raise
            return await self._update(existing)
        if self._good:
            log.warning("somebody deleted Secret %s/%s; it is restored", namespace, AUTHORITY_SECRET)
        else:
            log.info("created the authority %s in Secret %s/%s", authorities.all[0].name, namespace, AUTHORITY_SECRET)
        return self._usable(stored)

    async def _update(self, stored: SharedObject[Authorities | str]) -> Authorities:
        desired = self._desired(stored)
        if desired is None:
            raise AuthorityUnusableError(
                f"Secret {stored.namespace}/{AUTHORITY_SECRET} cannot be used: {stored.content}; restore it, or "
                "delete it to create a new authority"
            )
        if desired is not stored.content or ANNOTATION_ROTATE in stored.annotations:
            if stored.is_frozen:
                raise AuthorityUnusableError(
                    f"somebody has made Secret {stored.namespace}/{AUTHORITY_SECRET} immutable, so the operator can "
                    "neither rotate nor restore it; save it, delete it, and create it again without `immutable`"
                )
            patch = {
                "metadata": {"uid": stored.uid, "annotations": {ANNOTATION_ROTATE: None}},
                "data": replace_authorities(stored.content, desired),
            }
            body = await self._cluster.patch_shared(SharedKind.SECRET, stored.namespace, AUTHORITY_SECRET, patch)
            why = f"was not usable ({stored.content})" if isinstance(stored.content, str) else "was rotated"
            names = ", ".join(authority.name for authority in desired.all)
            log.warning("Secret %s/%s %s; it now contains %s", stored.namespace, AUTHORITY_SECRET, why, names)
            stored = self._take(body)
        return self._usable(stored)

    def _desired(self, stored: SharedObject[Authorities | str]) -> Authorities | None:
        """What the Secret should contain; None if it is damaged and nobody remembers the authority."""
        from triton_operator.certificates.rotation import Rotation, rotate

        if isinstance(stored.content, str):
            return self._good
        request = stored.annotations.get(ANNOTATION_ROTATE)
        requested = Rotation(request) if request in set(Rotation) else None
        now = self._clock()
        desired = rotate(stored.content, now, requested, announced=self._announced)
        is_retired = len(desired.all) < len(stored.content.all) and requested is None
        return stored.content if is_retired and now < self._started + SETTLING else desired

    def _take(self, body: bytes) -> SharedObject[Authorities | str]:
        stored = decode_response(partial(self._cache.project), body)
        self._cache.put(stored)
        return stored

    def _usable(self, stored: SharedObject[Authorities | str]) -> Authorities:
        if isinstance(stored.content, str):
            raise AuthorityUnusableError(f"Secret {stored.namespace}/{AUTHORITY_SECRET}: {stored.content}")
        self._good = stored.content
        return stored.content
