"""The one ModelDeployment that a client is for: deployed, waited for, looked at and deleted; each call blocks.

Input: manifests. Output: statuses. `Client` calls it as it is, `AsyncClient` in a thread.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from triton_operator.sdk.deployments import Deployments
from triton_operator.sdk.kubectl import Kubectl
from triton_operator.sdk.manifest import manifest_of
from triton_operator.sdk.status import DeploymentStatus, judge
from triton_operator.sdk.stop import Stop
from triton_operator.sdk.waiting import Progress, wait_until_ready

WAIT_SECONDS = 600.0
"""As long as Triton may take to start, unless the deployment says otherwise."""


class BoundDeployment:
    """`namespace` empty is the cluster's default one; threads may share it."""

    def __init__(self, name: str, namespace: str, kubectl: Kubectl) -> None:
        self._name = name
        self._namespace = namespace
        self._deployments = Deployments(kubectl)

    def deploy(
        self, manifest: str | Path | Mapping[str, Any] | None, spec: Mapping[str, Any], *, force: bool
    ) -> DeploymentStatus:
        """Apply it."""
        wanted = manifest_of(self._name, self._namespace, manifest, spec)
        return judge(self._deployments.apply(wanted, self._namespace, force=force))

    def status(self) -> DeploymentStatus:
        """Read it."""
        return judge(self._deployments.read(self._name, self._namespace))

    def wait_ready(
        self, seconds: float, on_progress: Progress | None = None, stop: Stop | None = None
    ) -> DeploymentStatus:
        """Follow it."""
        changes = self._deployments.follow(self._name, self._namespace, seconds=seconds, stop=stop)
        return wait_until_ready(changes, seconds, on_progress)

    def delete(self) -> None:
        """Delete it."""
        self._deployments.delete(self._name, self._namespace)
