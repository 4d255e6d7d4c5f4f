"""What the reconciler asks of a cluster; `http.HttpCluster` is the real one, the unit tests' fake is in `tests/`.

Manifests are plain JSON objects as `resources` builds them, with apiVersion, kind, metadata.namespace and
ownerReferences. Every method may raise the errors of `cluster.errors`; none retries: the work queue does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from triton_operator.api.names import MANAGER
from triton_operator.api.status import Status
from triton_operator.cluster.observed import Child, Kind, PodEvent

Manifest = dict[str, Any]


class Cluster(Protocol):
    """Reads and writes of one pass over one ModelDeployment."""

    async def create(self, manifest: Manifest) -> Child:
        """Server-side apply that succeeds only when nothing of that name exists; raises ConflictError otherwise."""

    async def apply(self, manifest: Manifest, *, uid: str, manager: str = MANAGER) -> Child:
        """Forced server-side apply on the object with this uid; raises ConflictError when it is another one by now."""

    async def replace(self, manifest: Manifest, *, uid: str) -> Child:
        """Put the manifest's content in place of the object's, so that foreign additions go.

        Labels and annotations of others, a Deployment's replicas when the manifest names none, and what the
        API server assigned (cluster IPs, node ports) stay.
        """

    async def delete(self, kind: Kind, namespace: str, name: str, *, uid: str) -> None:
        """Delete this very object; one that is gone already is fine. A Job goes only after its pods."""

    async def get(self, kind: Kind, namespace: str, name: str) -> Child | None:
        """The live object, past all caches."""

    async def write_status(self, namespace: str, name: str, uid: str, status: Status) -> dict[str, Any]:
        """Write the whole status of a ModelDeployment; fields that are absent now are removed.

        Returns the whole object as it is stored now. Its spec may be newer than any that a watch has told of, and
        that watch event will be older than this answer: the answer is the only bearer of the news.
        """

    async def pod_events(self, namespace: str, pod_uid: str) -> Sequence[PodEvent]:
        """Events about one pod, oldest first."""

    async def mounted(self, namespace: str, deployment: str) -> frozenset[tuple[Kind, str]]:
        """ConfigMaps and claims that ReplicaSets of this deployment still mount."""

    async def post_event(
        self,
        namespace: str,
        name: str,
        uid: str,
        *,
        type: str,  # noqa: A002 - Kubernetes' own name for it
        reason: str,
        message: str,
        action: str,
    ) -> None:
        """Record an Event about a ModelDeployment (events.k8s.io/v1)."""
