"""Builders of test objects with valid defaults, so that a test states only what it depends on."""

from __future__ import annotations

from typing import Any

from triton_operator.api.names import CONTAINER_PREPARE, CONTAINER_TRITON
from triton_operator.api.spec import ModelDeployment, parse
from triton_operator.cluster.observed import Container, ObservedCondition, Pod, Terminated
from triton_operator.resources.settings import Accelerator, CatalogueImage, Settings
from triton_operator.triton.prepare_contract.outcome import Prepared, PreparedModel, encode

NOW = "2026-01-02T03:04:05Z"

WITHOUT_TLS = {"tls": {"mode": "Disabled"}}
"""`spec.privacy` of a private deployment without the sidecar `proxy` and without certificates."""

SETTINGS = Settings(
    operator_image="example.org/triton-operator:1",
    images=(
        CatalogueImage(image="nvcr.io/nvidia/tritonserver:26.11-py3", version="26.11", default=True),
        CatalogueImage(
            image="example.org/triton-cpu:24.10", version="24.10", accelerator=Accelerator.CPU, default=True
        ),
    ),
)

BY_DIGEST = "@sha256:" + "5f" * 32

AIR_GAPPED_SETTINGS = Settings(
    operator_image=f"example.org/triton-operator{BY_DIGEST}",
    images=(CatalogueImage(image=f"example.org/tritonserver{BY_DIGEST}", version="26.11", default=True),),
)
"""An installation that can serve deployments with the profile AirGapped."""

AIR_GAPPED: dict[str, Any] = {
    "modelRepository": {"image": {"reference": f"example.org/models{BY_DIGEST}"}},
    "verification": {"keys": [{"name": "release", "configMapRef": {"name": "signers", "key": "release.pub"}}]},
    "privacy": {"profile": "AirGapped"},
}
"""The part of a spec that the profile AirGapped requires."""

LOAD_BALANCER: dict[str, Any] = {
    "type": "LoadBalancer",
    "loadBalancerClass": "example.com/internal",
    "loadBalancerSourceRanges": ["203.0.113.0/24"],
    "externalTrafficPolicy": "Local",
    "trafficDistribution": "PreferSameZone",
    "ipFamilyPolicy": "PreferDualStack",
    "labels": {"team": "vision"},
}
"""Most of `spec.service` of a deployment that clients outside the cluster reach through a load balancer."""


def a_body(name: str = "digits", namespace: str = "shop", **spec: Any) -> dict[str, Any]:
    """A ModelDeployment as the API server stores it; keyword arguments are fields of its spec."""
    metadata = {
        "name": name,
        "namespace": namespace,
        "uid": f"uid-of-{name}",
        "generation": 1,
        "resourceVersion": "100",
    }
    return {
        "apiVersion": "triton-operator.io/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": metadata,
        "spec": {
            "modelRepository": {"image": {"reference": "example.org/models:1"}},
            "models": [{"name": "digits"}],
            "replicas": 1,
        }
        | spec,
    }


def a_deployment(name: str = "digits", namespace: str = "shop", **spec: Any) -> ModelDeployment:
    """The same object, parsed."""
    return parse(a_body(name, namespace, **spec))


def a_pod(
    name: str = "digits-1",
    *,
    revision: str,
    ready: bool = False,
    containers: tuple[Container, ...] | None = None,
    conditions: tuple[ObservedCondition, ...] = (),
    **fields: Any,
) -> Pod:
    """A serving pod on a node; with `ready`, it is healthy."""
    status = "True" if ready else "False"
    defaults: dict[str, Any] = {
        "namespace": "shop",
        "uid": f"uid-of-{name}",
        "resource_version": 1,
        "deployment": "digits",
        "created_at": NOW,
        "node": "node-1",
        "phase": "Running" if ready else "Pending",
    }
    return Pod(
        name=name,
        revision=revision,
        conditions=(ObservedCondition(type="Ready", status=status), *conditions),
        containers=containers if containers is not None else (prepared(), serving(ready=ready)),
        **(defaults | fields),
    )


def prepared(*models: str, versions: tuple[str, ...] = ("1",), digest: str = "", content: str = "") -> Container:
    """The `prepare` container after it succeeded."""
    laid_out = tuple(PreparedModel(model, versions, digest, content) for model in models or ("digits",))
    message = encode(Prepared(models=laid_out)).decode()
    return Container(name=CONTAINER_PREPARE, init=True, terminated=Terminated(exit_code=0, message=message))


def ended_prepare(message: str, *, exit_code: int = 1, reason: str = "Error") -> Container:
    """The `prepare` container after it failed."""
    ended = Terminated(exit_code=exit_code, reason=reason, message=message, finished_at=NOW)
    return Container(
        name=CONTAINER_PREPARE, init=True, waiting_reason="CrashLoopBackOff", last_terminated=ended, restarts=1
    )


def serving(*, ready: bool = True, started: bool = True) -> Container:
    """The `triton` container while it runs."""
    return Container(name=CONTAINER_TRITON, init=False, ready=ready, started=started, running=True)


def ended_server(
    message: str = "", *, exit_code: int = 1, reason: str = "Error", started_at: str = NOW, memory_limit: str = ""
) -> Container:
    """The `triton` container after it ended and before its restart."""
    ended = Terminated(exit_code=exit_code, reason=reason, message=message, started_at=started_at, finished_at=NOW)
    return Container(
        name=CONTAINER_TRITON,
        init=False,
        waiting_reason="CrashLoopBackOff",
        waiting_message="back-off 1m20s restarting failed container=triton pod=digits-1_shop(uid)",
        last_terminated=ended,
        restarts=1,
        memory_limit=memory_limit,
        startup_seconds=600,
    )


def waiting(reason: str, message: str = "", *, name: str = CONTAINER_TRITON) -> Container:
    """A container that the kubelet cannot start yet."""
    return Container(name=name, init=name == CONTAINER_PREPARE, waiting_reason=reason, waiting_message=message)


def unschedulable(message: str) -> ObservedCondition:
    """The scheduler's condition for a pod that does not fit on any node."""
    return ObservedCondition(type="PodScheduled", status="False", reason="Unschedulable", message=message)
