"""The reads and writes of the reconciler; `http.HttpCluster` implements them, and so does a fake in `tests/`.

Manifests are plain JSON objects as `resources` builds them, with apiVersion, kind, metadata.namespace and
ownerReferences. Every method may raise the errors of `cluster.errors`; none retries, because the work queue does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from triton_operator.api.names import MANAGER
from triton_operator.api.status import Status
from triton_operator.cluster.observed import Child, Kind, OtherAutoscaler, PodEvent
from triton_operator.cluster.shared_objects import SharedKind

Manifest = dict[str, Any]


class Cluster(Protocol):
    """Reads and writes of one pass over one ModelDeployment."""

    async def create(self, manifest: Manifest) -> Child:
        """Server-side apply that succeeds only if no object has that name; raises ConflictError otherwise."""

    async def apply(self, manifest: Manifest, *, uid: str, manager: str = MANAGER) -> Child:
        """Forced server-side apply to the object with this uid; raises ConflictError if its name has another uid."""

    async def adopt(self, manifest: Manifest, *, uid: str, resource_version: str) -> Child:
        """Give an object without an owner the new one, in place; raises ConflictError unless it has this version.

        Its owners are replaced, and its content becomes that of the manifest.
        """

    async def preview(self, manifest: Manifest, live: Manifest) -> Manifest:
        """The object that `replace` would store over `live` if it had no owners; nothing is stored."""

    async def replace(self, manifest: Manifest, *, uid: str) -> Child:
        """Replace the content of the object with the manifest's, which removes additions of others.

        Labels and annotations of others, the replicas of a Deployment if the manifest omits them, and values that the
        API server has assigned (cluster IPs, node ports) stay.
        """

    async def delete(self, kind: Kind, namespace: str, name: str, *, uid: str) -> None:
        """Delete the object with this uid, if it still exists; a Job is deleted after its pods."""

    async def get(self, kind: Kind, namespace: str, name: str) -> Child | None:
        """The live object, without any cache."""

    async def read(self, kind: Kind, namespace: str, name: str) -> bytes | None:
        """The live object as JSON, with managedFields; None if it does not exist."""

    async def read_account_uid(self, namespace: str, name: str) -> str | None:
        """The uid of a user's ServiceAccount; None if it does not exist."""

    async def read_config_map(self, namespace: str, name: str) -> dict[str, str] | None:
        """The texts in a user's ConfigMap by key; None if it does not exist."""

    async def annotate_pod(self, namespace: str, name: str, uid: str, annotations: dict[str, str]) -> None:
        """Set annotations of the pod with this uid, if it still exists."""

    async def write_status(self, namespace: str, name: str, uid: str, status: Status) -> dict[str, Any]:
        """Write the whole status of a ModelDeployment; absent fields are removed.

        Returns the stored object. Its spec may be newer than any that a watch has reported, and the event of that edit
        will be older than this response, so only the response shows the edit.
        """

    async def pod_events(self, namespace: str, pod_uid: str) -> Sequence[PodEvent]:
        """Events about one pod, oldest first."""

    async def request_events(self, namespace: str, name: str) -> Sequence[PodEvent]:
        """Events about a CertificateRequest of cert-manager, oldest first."""

    async def mounted(self, namespace: str, deployment: str) -> frozenset[tuple[Kind, str]]:
        """ConfigMaps and claims that ReplicaSets of this deployment still mount."""

    async def other_autoscalers(self, namespace: str, deployment: str, owner_uid: str) -> Sequence[OtherAutoscaler]:
        """HorizontalPodAutoscalers that scale this Deployment, except those of the ModelDeployment `owner_uid`."""

    async def read_shared(self, kind: SharedKind, namespace: str, name: str) -> bytes | None:
        """A shared object as JSON; None if it does not exist."""

    async def create_shared(self, manifest: Manifest) -> bytes:
        """Create a shared object; raises ConflictError if it exists."""

    async def patch_shared(self, kind: SharedKind, namespace: str, name: str, patch: Manifest) -> bytes:
        """Merge a patch into a shared object: keys of `data`, and owners by their uid; None removes a key.

        Raises NotFoundError, and ConflictError if `metadata.uid` in the patch is that of another object.
        """

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
