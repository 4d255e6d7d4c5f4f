"""Log lines about certificates, and Events about what somebody else has changed and the operator has restored.

A shared object is read before it is restored, because the API server then no longer knows who has changed it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from triton_operator.api.names import (
    CA_CONFIG_MAP,
    CA_KEY,
    SERVING_SECRET,
    serving_certificate_key,
    serving_private_key_key,
)
from triton_operator.api.spec import Metadata
from triton_operator.certificates.state import Need
from triton_operator.cluster.edits import Edit, find_edit_of_data
from triton_operator.cluster.errors import ClusterError
from triton_operator.cluster.protocol import Cluster
from triton_operator.cluster.shared_objects import SharedKind
from triton_operator.reconcile.edit_events import READ_LIMIT, EditEvents, describe

if TYPE_CHECKING:
    from triton_operator.certificates.plan import CertificatePlan

log = logging.getLogger(__name__)


class CertificateReports:
    """Reads edited objects and posts Events through `cluster`."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._events = EditEvents(cluster)

    async def find_edit_of_bundle(self, namespace: str) -> Edit:
        """How the ConfigMap differs from what the operator has written."""
        body = await self._read(SharedKind.CONFIG_MAP, namespace, CA_CONFIG_MAP)
        return find_edit_of_data(body, {CA_KEY}) if body else Edit()

    async def find_edits(self, plan: CertificatePlan, deployment: Metadata, *, existed: bool) -> dict[str, Edit | None]:
        """The edited certificates of a plan by deployment, None for a deleted one.

        `existed`: `deployment`, whose pass this is, had a certificate.
        """
        deleted = {
            wanted.name: None
            for wanted, judgement in plan.changes
            if judgement.need is Need.ISSUE and existed and wanted.uid == deployment.uid
        }
        changed = [wanted.name for wanted, judgement in plan.changes if judgement.need is Need.RESTORE]
        body = await self._read(SharedKind.SECRET, deployment.namespace, SERVING_SECRET) if changed else None
        return {**deleted, **{name: find_edit_of_data(body, _keys(name)) if body else Edit() for name in changed}}

    async def bundle(self, deployment: Metadata, edit: Edit | None, now: datetime) -> None:
        """The ConfigMap of the namespace was restored."""
        message = f"{describe(f'ConfigMap {CA_CONFIG_MAP}', edit)}, which is restored"
        await self._events.post("CABundleRestored", message, deployment, now)

    async def certificates(
        self, plan: CertificatePlan, edits: Mapping[str, Edit | None], namespace: str, now: datetime
    ) -> None:
        """The certificates of a plan were issued."""
        for (name, uid, _), judgement in plan.changes:
            log.info("issued the certificate of %s/%s: %s", namespace, name, judgement.why)
            if name in edits:
                what = describe(f"the certificate in Secret {SERVING_SECRET}", edits[name])
                why = f": {judgement.why}" if judgement.need is Need.RESTORE else ""
                message = f"{what}, which is replaced{why}"
                await self._events.post("CertificateRestored", message, Metadata(name, namespace, uid), now)

    async def _read(self, kind: SharedKind, namespace: str, name: str) -> bytes | None:
        """The object; None if it does not exist or cannot be read, because the details are not worth a failed pass."""
        try:
            async with asyncio.timeout(READ_LIMIT):
                return await self._cluster.read_shared(kind, namespace, name)
        except (ClusterError, TimeoutError) as error:
            log.warning("cannot read how %s %s was changed: %s", kind, name, str(error) or "timed out")
            return None


def _keys(name: str) -> Collection[str]:
    return {serving_certificate_key(name), serving_private_key_key(name)}
