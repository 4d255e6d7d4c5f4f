"""Specs for tests of what a real API server accepts: a minimal spec with one change."""

from __future__ import annotations

import copy
from typing import Any

from tests.apiserver.api_client import Api

NOTHING = object()
"""In place of a value: the field is left out."""

MINIMAL: dict[str, Any] = {
    "modelRepository": {"image": {"reference": "models:v1"}},
    "models": [{"name": "digits"}],
}


def deployment(spec: dict[str, Any], name: str = "digits") -> dict[str, Any]:
    """Return a ModelDeployment with this spec."""
    return {
        "apiVersion": "triton-operator.io/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": name},
        "spec": spec,
    }


def changed(spec: dict[str, Any], place: str, value: Any) -> dict[str, Any]:
    """Return a copy of `spec` with `value` at `place` ("models.0.name"), or without the value at that place."""
    result = copy.deepcopy(spec)
    *parents, last = place.split(".")
    at: Any = result
    for parent in parents:
        at = at[int(parent)] if isinstance(at, list) else at.setdefault(parent, {})
    if value is NOTHING:
        del at[last]
    else:
        at[last] = value
    return result


def create(api: Api, namespace: str, body: dict[str, Any]) -> dict[str, Any]:
    """Create as kubectl does: an unknown field is an error."""
    path = f"/apis/triton-operator.io/v1alpha1/namespaces/{namespace}/modeldeployments"
    return api.create(path, body, fieldValidation="Strict")
