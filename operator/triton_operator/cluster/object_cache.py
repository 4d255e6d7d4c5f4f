"""The operator's in-memory cache of the cluster: ModelDeployments, their children and their pods.

`runtime` fills it from watches and enqueues the keys that have changed; the reconciler adds the responses to its own
writes and takes snapshots.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from triton_operator.api.spec import Metadata
from triton_operator.cluster.child_cache import ChildCache
from triton_operator.cluster.deployment_cache import DeploymentCache, DeploymentRecord
from triton_operator.cluster.observed import Child, ChildId, Key, Pod
from triton_operator.cluster.pod_cache import PodCache


class Snapshot(NamedTuple):
    """One deployment with every child and pod that has its label; `record` is None if it is deleted.

    As long as a part has not changed, snapshots have the same object there.
    """

    record: DeploymentRecord | None
    children: Mapping[ChildId, Child]
    pods: tuple[Pod, ...]

    @property
    def metadata(self) -> Metadata | None:
        """The metadata of the deployment."""
        return self.record.metadata if self.record else None


class ObjectCache:
    """The three caches of one operator process."""

    def __init__(self) -> None:
        self.deployments = DeploymentCache()
        self.children = ChildCache()
        self.pods = PodCache()

    def snapshot(self, key: Key) -> Snapshot:
        """The current state of one deployment."""
        return Snapshot(self.deployments.get(key), self.children.get(key), self.pods.get(key))
