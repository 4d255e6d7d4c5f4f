"""Fields of the pod in `spec.podTemplate.spec`, apart from its containers and volumes.

Pure. Fields that are in no list here and not in `PodParts` are unknown, and are rejected as such.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from triton_operator.api.errors import Problem
from triton_operator.resources.metadata import Manifest
from triton_operator.resources.pod_template.pod_facts import PodFacts

_NAMESPACE = "must not be true, because it removes the isolation from the node"

MUST_BE_FALSE = {
    "automountServiceAccountToken": "must not be true, because pods have no token for a ServiceAccount",
    "enableServiceLinks": "must not be true, because pods get no variables about the Services of the namespace",
    "hostIPC": _NAMESPACE,
    "hostNetwork": "must not be true, because no network policy restricts the node's network",
    "hostPID": _NAMESPACE,
    "shareProcessNamespace": "must not be true, because containers could then read each other's memory and files",
}
"""Fields that are false in every pod, so that only true changes anything."""

REFUSED = {
    "activeDeadlineSeconds": "is not supported, because it ends pods that serve",
    "dnsConfig": "is not supported here; use spec.dnsConfig",
    "ephemeralContainers": "is not supported; a template cannot contain containers for debugging",
    "hostAliases": "is not supported here; use spec.hostAliases",
    "imagePullSecrets": "is not supported here; use spec.imagePullSecrets",
    "nodeName": "is not supported, because it bypasses the scheduler; use spec.scheduling",
    "overhead": "is not supported; the RuntimeClass sets it",
    "resources": "is not supported here; use spec.resources",
    "restartPolicy": "is not supported; the pods of a Deployment always restart",
    "serviceAccount": "is not supported here; use spec.serviceAccount.name",
    "serviceAccountName": "is not supported here; use spec.serviceAccount.name",
    "terminationGracePeriodSeconds": "is not supported here; use spec.lifecycle.terminationGracePeriodSeconds",
}
"""Fields of a Kubernetes PodSpec that a template cannot have."""


def split_refused(spec: dict[str, Any], path: str) -> tuple[dict[str, Any], list[Problem]]:
    """The other fields, and a Problem for each refused one."""
    rest = {name: value for name, value in spec.items() if name not in REFUSED and name not in MUST_BE_FALSE}
    return rest, list(_refused(spec, path))


def _refused(spec: dict[str, Any], path: str) -> Iterator[Problem]:
    for name, value in spec.items():
        if name in REFUSED:
            yield Problem(f"{path}.{name}", REFUSED[name])
        elif name in MUST_BE_FALSE and value is not False:
            yield Problem(f"{path}.{name}", MUST_BE_FALSE[name])


def check_spread(constraints: list[Manifest], path: str, facts: PodFacts) -> Iterator[Problem]:
    """Constraints that the API server regards as the same, because topology key and action are equal."""
    others = {_identity(constraint): constraint for constraint in facts.own_constraints}
    for index, constraint in enumerate(constraints):
        other = others.setdefault(_identity(constraint), constraint)
        # An equal constraint is not added again.
        if other != constraint:
            key, action = _identity(constraint)
            message = f"{key} with {action} is used twice in the template, or also in spec.scheduling"
            yield Problem(f"{path}[{index}]", message)


def _identity(constraint: Manifest) -> tuple[Any, Any]:
    return constraint.get("topologyKey"), constraint.get("whenUnsatisfiable")
