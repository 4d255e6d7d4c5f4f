"""Volumes for tests: a folder of this machine as a PersistentVolume, and a claim that is bound to it.

The storage class has the name of the claim and does not exist, so that no other claim is bound to the volume.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hack.cluster.handle import RunningCluster
from tests.kube import Kube, Object

_ACCESS = ["ReadOnlyMany"]
_SIZE = {"storage": "1Gi"}


def claim_manifest(name: str) -> Object:
    """A claim for the volume with its name."""
    spec = {"accessModes": _ACCESS, "resources": {"requests": _SIZE}, "storageClassName": name}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}


def volume_name(claim: str, namespace: str) -> str:
    """The name of the volume for that claim. Volumes have no namespace, so their names contain one."""
    return f"{namespace}-{claim}"


def volume_manifest(claim: str, namespace: str, folder: str, *, modes: Sequence[str] = _ACCESS) -> Object:
    """A volume for that claim; `folder` is a path on the node."""
    spec = {
        "capacity": _SIZE,
        "accessModes": list(modes),
        "storageClassName": claim,
        "persistentVolumeReclaimPolicy": "Retain",
        "hostPath": {"path": folder, "type": "Directory"},
    }
    metadata = {"name": volume_name(claim, namespace)}
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": metadata, "spec": spec}


@contextmanager
def claimed_folder(node: RunningCluster, kube: Kube, name: str) -> Iterator[Path]:
    """Create a folder of this machine and a claim for it; delete both after the block, even if it fails.

    The claim is deleted first, because a volume remains until its claim is gone, and a claim until its pods are.
    """
    assert node.host_path, "this cluster has no folder that tests can fill"
    folder = node.host_path / name
    folder.mkdir()
    try:
        kube.apply(claim_manifest(name), volume_manifest(name, kube.namespace, f"{node.node_path}/{name}"))
        yield folder
    finally:
        shutil.rmtree(folder)
        kube.delete("persistentvolumeclaim", name, wait=False)
        kube.delete("persistentvolume", volume_name(name, kube.namespace), wait=False)
