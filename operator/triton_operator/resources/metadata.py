"""Metadata of all children: name, labels and the owner reference for garbage collection."""

from __future__ import annotations

from typing import Any

from triton_operator.api.names import API_VERSION, KIND, child_labels
from triton_operator.api.spec import ModelDeployment

Manifest = dict[str, Any]


def child_metadata(deployment: ModelDeployment, name: str, labels: dict[str, str] | None = None) -> Manifest:
    """Metadata of the child `name`; without a uid (offline rendering), there is no owner reference."""
    owner = deployment.metadata
    metadata: Manifest = {
        "name": name,
        "namespace": owner.namespace,
        "labels": child_labels(owner.name) | (labels or {}),
    }
    if owner.uid:
        # No blockOwnerDeletion: it requires the permission to update finalizers if
        # OwnerReferencesPermissionEnforcement is enabled, and background deletion does not wait for children.
        metadata["ownerReferences"] = [
            {"apiVersion": API_VERSION, "kind": KIND, "name": owner.name, "uid": owner.uid, "controller": True}
        ]
    return metadata
