"""Objects in the API server's format, for tests of the code that reads them."""

from __future__ import annotations

import json
from typing import Any

Object = dict[str, Any]

LABELS = {
    "app.kubernetes.io/managed-by": "triton-operator",
    "triton-operator.io/model-deployment": "digits",
    "triton-operator.io/revision": "digits-0123456789",
}
OWNER = {
    "apiVersion": "triton-operator.io/v1alpha1",
    "kind": "ModelDeployment",
    "name": "digits",
    "uid": "uid-of-digits",
    "controller": True,
    "blockOwnerDeletion": True,
}


def managed(
    fields: Object, manager: str = "triton-operator", operation: str = "Apply", subresource: str = ""
) -> Object:
    """One entry of managedFields."""
    entry = {
        "manager": manager,
        "operation": operation,
        "apiVersion": "v1",
        "time": "2026-01-02T03:04:05Z",
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }
    return {**entry, "subresource": subresource} if subresource else entry


def a_stored(kind: str, *entries: Object, metadata: Object | None = None, **content: Any) -> Object:
    """A child of `digits`; `entries` are its managedFields, and keyword arguments are its content."""
    return {
        "kind": kind,
        "apiVersion": "v1",
        "metadata": {
            "name": "digits",
            "namespace": "shop",
            "uid": "uid-of-child",
            "resourceVersion": "4711",
            "generation": 3,
            "creationTimestamp": "2026-01-02T03:04:05Z",
            "labels": LABELS,
            "ownerReferences": [OWNER],
            "managedFields": list(entries),
            **(metadata or {}),
        },
        **content,
    }


def a_stored_deployment(*entries: Object, metadata: Object | None = None, **changes: Any) -> Object:
    """A Deployment with two replicas, one of which is ready; keyword arguments change its spec."""
    spec = {
        "replicas": 2,
        "selector": {"matchLabels": LABELS},
        "template": {"metadata": {"labels": LABELS}, "spec": {"containers": [{"name": "triton", "image": "t:1"}]}},
        **changes,
    }
    available = {"type": "Available", "status": "False", "reason": "MinimumReplicasUnavailable", "message": "1 of 2"}
    status = {
        "observedGeneration": 3,
        "replicas": 2,
        "updatedReplicas": 1,
        "readyReplicas": 1,
        "availableReplicas": 1,
        "unavailableReplicas": 1,
        "conditions": [{**available, "lastUpdateTime": "2026-01-02T03:04:05Z"}],
    }
    return a_stored("Deployment", *entries, metadata=metadata, spec=spec, status=status)


def encode(stored: Object) -> bytes:
    """The JSON that the API server sends."""
    return json.dumps(stored, separators=(",", ":")).encode()
