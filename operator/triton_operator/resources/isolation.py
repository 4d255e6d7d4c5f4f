"""Fields of all pods that the operator creates; security settings are explicit, so that server-side apply owns them.

Pure; `pod` and `cache_job` use them, so that both have the same restrictions.
"""

from __future__ import annotations

from triton_operator.api.spec import ModelDeployment
from triton_operator.resources.metadata import Manifest
from triton_operator.resources.pod_settings import account_name, host_fields
from triton_operator.resources.settings import PodUserIDs

SERVER_UID = 1000
"""The user `triton-server` in NVIDIA's images."""

LOCKED_DOWN: Manifest = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "privileged": False,
    "readOnlyRootFilesystem": True,
}
"""The security context of every container."""

_IDS = frozenset({"runAsUser", "runAsGroup", "fsGroup", "fsGroupChangePolicy"})


def isolated_pod(deployment: ModelDeployment) -> Manifest:
    """The fields of a PodSpec that isolate the pod (no service account token, no host namespaces), and the user's."""
    pod: Manifest = {
        "serviceAccountName": account_name(deployment),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "hostNetwork": False,
        "hostPID": False,
        "hostIPC": False,
        "shareProcessNamespace": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": SERVER_UID,
            "runAsGroup": SERVER_UID,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    if deployment.spec.image_pull_secrets:
        pod["imagePullSecrets"] = [{"name": secret.name} for secret in deployment.spec.image_pull_secrets]
    return pod | host_fields(deployment.spec)


def with_ids_of(pod: Manifest, chosen: PodUserIDs) -> Manifest:
    """The PodSpec, without user and group IDs if the cluster chooses them: it rejects pods with IDs of their own.

    OpenShift gives each namespace a range of IDs, and all containers of a pod the same one, which is in no passwd file.
    """
    if chosen is PodUserIDs.FIXED:
        return pod
    containers = {
        field: [_without_ids(container) for container in pod[field]]
        for field in ("initContainers", "containers")
        if field in pod
    }
    return _without_ids(pod) | containers


def _without_ids(part: Manifest) -> Manifest:
    """A PodSpec or a container without IDs in its security context."""
    context = {name: value for name, value in part["securityContext"].items() if name not in _IDS}
    return part | {"securityContext": context}
