"""Volumes for tests: a folder of this machine as a PersistentVolume, and a claim that is bound to it.

The storage class has the name of the claim and does not exist, so that no other claim is bound to the volume.
"""

from __future__ import annotations

from collections.abc import Sequence

from tests.kube import Object

_ACCESS = ["ReadOnlyMany"]
_SIZE = {"storage": "1Gi"}


def claim_manifest(name: str) -> Object:
    """A claim for the volume with its name."""
    spec = {"accessModes": _ACCESS, "resources": {"requests": _SIZE}, "storageClassName": name}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}


def volume_manifest(claim: str, namespace: str, folder: str, *, modes: Sequence[str] = _ACCESS) -> Object:
    """A volume for that claim; `folder` is a path on the node. Volumes have no namespace, so its name carries one."""
    spec = {
        "capacity": _SIZE,
        "accessModes": list(modes),
        "storageClassName": claim,
        "persistentVolumeReclaimPolicy": "Retain",
        "hostPath": {"path": folder, "type": "Directory"},
    }
    metadata = {"name": f"{namespace}-{claim}"}
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": metadata, "spec": spec}
