"""The ModelDeployment of a client: deploy it, read its status, wait until it is Ready, delete it.

Input: manifests. Output: `DeploymentStatus`. The methods block: `Client` calls them directly, `AsyncClient` in threads.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from triton_operator.sdk.deployments import Deployments
from triton_operator.sdk.kube_context import KubeContext
from triton_operator.sdk.kubernetes_client import KubernetesClient
from triton_operator.sdk.manifest import manifest_of
from triton_operator.sdk.status import DeploymentStatus, judge
from triton_operator.sdk.stop import Stop
from triton_operator.sdk.waiting import Progress, wait_until_ready

WAIT_SECONDS = 600.0
"""The time that the operator gives a server to start, unless the deployment sets another."""


class BoundDeployment:
    """One ModelDeployment. If `namespace` is empty, the namespace of the pod or the kubeconfig context is used.

    Threads can share an instance. `AsyncDeployment` documents the methods.
    """

    def __init__(self, name: str, namespace: str, cluster: KubeContext | KubernetesClient) -> None:
        self._name = name
        self._namespace = namespace
        self._deployments = Deployments(cluster)

    def deploy(
        self, manifest: str | Path | Mapping[str, Any] | None, spec: Mapping[str, Any], *, force: bool
    ) -> DeploymentStatus:
        """Apply the manifest, or a manifest with this spec."""
        desired = manifest_of(self._name, self._namespace, manifest, spec)
        return judge(self._deployments.apply(desired, self._namespace, force=force))

    def status(self) -> DeploymentStatus:
        """Read the status."""
        return judge(self._deployments.read(self._name, self._namespace))

    def wait_ready(
        self, seconds: float, on_progress: Progress | None = None, stop: Stop | None = None
    ) -> DeploymentStatus:
        """Watch the deployment until it is Ready."""
        changes = self._deployments.follow(self._name, self._namespace, seconds=seconds, stop=stop)
        return wait_until_ready(changes, seconds, on_progress)

    def delete(self) -> None:
        """Delete the deployment."""
        self._deployments.delete(self._name, self._namespace)
