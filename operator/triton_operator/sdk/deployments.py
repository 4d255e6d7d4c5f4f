"""ModelDeployments in a cluster: apply, change, read, follow and delete them.

Input: manifests and names. Output: objects as JSON. The clients and `tritonctl` call it; each call blocks.
"""

from __future__ import annotations

import math
from collections.abc import Generator

from triton_operator.cluster.resource_paths import MODEL_DEPLOYMENTS
from triton_operator.sdk.cluster_objects import Selection
from triton_operator.sdk.errors import DeploymentNotFoundError
from triton_operator.sdk.follow import DELETED, follow
from triton_operator.sdk.kube_context import KubeContext
from triton_operator.sdk.kubernetes_client import KubernetesClient
from triton_operator.sdk.manifest import Manifest
from triton_operator.sdk.stop import Stop

FIELD_MANAGER = "triton-operator-sdk"
"""The manager of the fields that the SDK applies; `tritonctl` is a manager of its own."""


class Deployments:
    """The ModelDeployments of a cluster; threads may share one. Every method raises SdkError."""

    def __init__(self, cluster: KubeContext | KubernetesClient | None = None, *, manager: str = FIELD_MANAGER) -> None:
        self._client = cluster if isinstance(cluster, KubernetesClient) else KubernetesClient(cluster)
        self._manager = manager

    def apply(self, manifest: Manifest, namespace: str = "", *, force: bool = False) -> Manifest:
        """Apply on the server; `force` takes over fields that another manager owns.

        Raises InvalidRequestError if the schema rejects it, RejectedError, UnreachableError.
        """
        chosen = namespace or manifest["metadata"].get("namespace", "")
        return self._client.apply(MODEL_DEPLOYMENTS, manifest, chosen, manager=self._manager, force=force)

    def change(self, name: str, changes: Manifest, namespace: str = "") -> Manifest:
        """Set fields of an existing object; other fields remain.

        Raises InvalidRequestError if the schema rejects it, DeploymentNotFoundError, RejectedError, UnreachableError.
        """
        return self._client.change(MODEL_DEPLOYMENTS, name, changes, namespace, manager=self._manager)

    def read(self, name: str, namespace: str = "") -> Manifest:
        """Return the object; raises DeploymentNotFoundError, RejectedError, UnreachableError."""
        return self._client.get(MODEL_DEPLOYMENTS, name, namespace)

    def delete(self, name: str, namespace: str = "") -> None:
        """Delete the current object; Kubernetes deletes what it owns. Raises DeploymentNotFoundError."""
        found = self.read(name, namespace)["metadata"]
        self._client.delete(MODEL_DEPLOYMENTS, name, found["namespace"], uid=found["uid"])

    def follow(
        self, name: str, namespace: str = "", *, seconds: float = math.inf, stop: Stop | None = None
    ) -> Generator[Manifest]:
        """Yield the object now and after each change, for `seconds`; raises DeploymentNotFoundError once it is gone."""
        chosen = Selection(MODEL_DEPLOYMENTS, namespace, name)
        for event in follow(self._client, chosen, seconds=seconds, stop=stop):
            if event.kind == DELETED:
                raise DeploymentNotFoundError(f'modeldeployments "{name}" was deleted meanwhile')
            yield event.object
