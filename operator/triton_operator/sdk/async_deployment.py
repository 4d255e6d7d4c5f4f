"""The ModelDeployment methods of `AsyncClient`: deploy, status, wait_ready, delete.

Input: manifests. Output: `DeploymentStatus`. Each method runs the blocking implementation (`bound_deployment`) in a
thread, so the event loop stays free. None of them needs the client to be open.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from triton_operator.sdk.bound_deployment import WAIT_SECONDS, BoundDeployment
from triton_operator.sdk.kube_context import KubeContext
from triton_operator.sdk.kubernetes_client import KubernetesClient
from triton_operator.sdk.status import DeploymentStatus
from triton_operator.sdk.stop import Stop
from triton_operator.sdk.waiting import Progress


class AsyncDeployment:
    """One ModelDeployment of a cluster, named by its name and namespace."""

    def __init__(self, deployment: str, namespace: str, cluster: KubeContext | KubernetesClient) -> None:
        self._deployment = BoundDeployment(deployment, namespace, cluster)

    async def deploy(
        self, manifest: str | Path | Mapping[str, Any] | None = None, *, force: bool = False, **spec: Any
    ) -> DeploymentStatus:
        """Create or update the ModelDeployment by server-side apply. The client need not be open.

        Fields that an earlier call applied and this call omits are removed. Fields of other managers are kept.

        Args:
            manifest: Path of a YAML file, or a ModelDeployment as a mapping. None (default) if `spec` is given.
            force: Take over fields that another field manager owns; by default they are a RejectedError.
            spec: Fields of the spec instead of a manifest, in snake_case: `replicas=2, models=["digits"]`.

        Returns:
            The DeploymentStatus after the change, which the operator may not have processed yet.

        Raises:
            InvalidRequestError: The manifest cannot be read, or the API server's schema rejects it.
            RejectedError: Permission denied, or another field manager owns a field.
            UnreachableError: The cluster cannot be reached.

        Example::

            await client.deploy("examples/digits.yaml")
            await client.deploy(models=["digits"], model_repository={"image": {"reference": "example.com/models:1"}})
        """
        return await asyncio.to_thread(self._deployment.deploy, manifest, spec, force=force)

    async def status(self) -> DeploymentStatus:
        """Read the state of the ModelDeployment. The client need not be open.

        Returns:
            A DeploymentStatus: `ready`, the `reason` and `message` of its Ready condition, whether it is `stalled`,
            and the complete status in `details`.

        Raises:
            DeploymentNotFoundError: The ModelDeployment does not exist.
            RejectedError: Permission denied.
            UnreachableError: The cluster cannot be reached.

        Example::

            status = await client.status()
            print(status.ready, status.reason, status.message)
        """
        return await asyncio.to_thread(self._deployment.status)

    async def wait_ready(
        self,
        timeout: float = WAIT_SECONDS,  # noqa: ASYNC109 - ends with NotReadyError, which has the reason.
        on_progress: Progress | None = None,
    ) -> DeploymentStatus:
        """Wait until the ModelDeployment is Ready, that is, serves all its models. The client need not be open.

        Args:
            timeout: Seconds to wait; 600 by default, the time that the operator gives a server to start.
            on_progress: Called with a DeploymentStatus at the start and whenever its reason or message changes.

        Returns:
            The DeploymentStatus, which is ready.

        Raises:
            NotReadyError: Not Ready within `timeout`, or stalled until a user fixes the cause; `reason` has a page in
                docs/reasons.
            DeploymentNotFoundError: The ModelDeployment does not exist, or is deleted while waiting.
            RejectedError: Permission denied.
            UnreachableError: The cluster cannot be reached.

        Example::

            await client.wait_ready(timeout=300, on_progress=lambda status: print(status.reason))
        """
        loop, stop = asyncio.get_running_loop(), Stop()

        def report(status: DeploymentStatus) -> None:
            if on_progress:
                loop.call_soon_threadsafe(on_progress, status)

        try:
            return await asyncio.to_thread(self._deployment.wait_ready, timeout, report, stop)
        finally:
            stop.now()  # Cancelling this task does not end the thread.

    async def delete(self) -> None:
        """Delete the ModelDeployment and everything it owns. The client need not be open.

        Raises:
            DeploymentNotFoundError: The ModelDeployment does not exist.
            RejectedError: Permission denied.
            UnreachableError: The cluster cannot be reached.

        Example::

            await client.delete()
        """
        await asyncio.to_thread(self._deployment.delete)
