"""Log lines about certificates, and Events about what somebody else has changed and the operator has restored."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from triton_operator.api.names import CA_CONFIG_MAP, SERVING_SECRET
from triton_operator.api.spec import Metadata
from triton_operator.certificates.state import Need
from triton_operator.cluster.errors import ClusterError
from triton_operator.cluster.protocol import Cluster

if TYPE_CHECKING:
    from triton_operator.certificates.plan import CertificatePlan

log = logging.getLogger(__name__)


class CertificateReports:
    """Posts Events through `cluster`; a lost one is only logged."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def bundle(self, deployment: Metadata, *, was_deleted: bool) -> None:
        """The ConfigMap of the namespace was not as the operator has written it."""
        what = "deleted" if was_deleted else "changed"
        message = f"somebody else {what} ConfigMap {CA_CONFIG_MAP}, which is restored"
        await self._post("CABundleRestored", message, deployment.namespace, deployment.name, deployment.uid)

    async def certificates(self, plan: CertificatePlan, deployment: Metadata, *, existed: bool) -> None:
        """The certificates of a plan were issued; `existed`: the one of the deployment whose pass it is was there."""
        namespace = deployment.namespace
        for (name, uid, _), judgement in plan.changes:
            log.info("issued the certificate of %s/%s: %s", namespace, name, judgement.why)
            was_deleted = judgement.need is Need.ISSUE and existed and uid == deployment.uid
            if was_deleted or judgement.need is Need.RESTORE:
                what = "deleted" if was_deleted else "changed"
                why = "" if was_deleted else f": {judgement.why}"
                message = f"somebody else {what} the certificate in Secret {SERVING_SECRET}, which is replaced{why}"
                await self._post("CertificateRestored", message, namespace, name, uid)

    async def _post(self, reason: str, message: str, namespace: str, name: str, uid: str) -> None:
        log.warning("%s/%s: %s", namespace, name, message)
        try:
            await self._cluster.post_event(
                namespace, name, uid, type="Warning", reason=reason, message=message, action="Restore"
            )
        except ClusterError as error:
            log.warning("cannot post event %s of %s/%s: %s", reason, namespace, name, error)
