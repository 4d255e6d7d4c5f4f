"""The serving pod: `prepare` lays out the models, then Triton reads them, with TLS behind the sidecar `proxy`.

Pure. `revision` calls it once per revision. Every security-relevant field is set explicitly, so that server-side apply
owns it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from triton_operator.api.names import (
    ANNOTATION_RESTARTED,
    CONTAINER_PREPARE,
    CONTAINER_TRITON,
    PORT_GRPC,
    PORT_HTTP,
    PORT_METRICS,
    child_labels,
    selector_labels,
)
from triton_operator.api.spec import Endpoint, LogLevel, ModelDeployment, Scheduling, Spec
from triton_operator.resources.cache_content import claim_name
from triton_operator.resources.container_resources import prepare_resources, server_resources
from triton_operator.resources.device_claims import pod_claims
from triton_operator.resources.isolation import LOCKED_DOWN, isolated_pod, with_ids_of
from triton_operator.resources.metadata import Manifest
from triton_operator.resources.model_configs import RenderedConfig, config_volume, known_messages
from triton_operator.resources.model_tree import models_volume
from triton_operator.resources.plaintext import (
    plaintext_volumes,
    prepare_plaintext_mounts,
    scratch_medium,
    server_plaintext_mounts,
)
from triton_operator.resources.pod_metadata import pod_metadata
from triton_operator.resources.pod_settings import pull_policy
from triton_operator.resources.probes import build_probes
from triton_operator.resources.proxy_container import build_proxy_container, proxy_volumes
from triton_operator.resources.server_image import ServerImage
from triton_operator.resources.settings import PodUserIDs
from triton_operator.resources.shared_memory import shared_memory_size
from triton_operator.resources.signing_keys import key_sources, verified_mounts, verified_volumes
from triton_operator.resources.sources import prepare_mounts, server_mounts, source_volumes
from triton_operator.resources.spread import with_spread
from triton_operator.resources.strategic_merge import merge_template
from triton_operator.resources.termination import Termination, termination
from triton_operator.resources.tls import terminates_tls
from triton_operator.resources.user_environment import container_environment
from triton_operator.triton.prepare_contract import request as layout
from triton_operator.triton.server.extra_args import without_overridden
from triton_operator.triton.server.flags import Flag, Listening, server_flags


class Parts(NamedTuple):
    """The inputs of a pod other than the spec; `config_name` is the ConfigMap that contains the `configs`.

    `ipv6` and `user_ids` are those of the Settings.
    """

    server: ServerImage
    operator_image: str
    config_name: str
    configs: Sequence[RenderedConfig]
    ipv6: bool = False
    user_ids: PodUserIDs = PodUserIDs.FIXED


def build_pod_template(deployment: ModelDeployment, parts: Parts) -> Manifest:
    """The pod template without its revision label, which contains the hash of the template."""
    return merge_template(_render(deployment, parts), deployment.spec.pod_template)


def render_structure(deployment: ModelDeployment) -> Manifest:
    """The pod template without `spec.podTemplate`, with all names, but without images and configurations."""
    return _render(deployment, Parts(ServerImage("", ""), operator_image="", config_name="", configs=()))


def _render(deployment: ModelDeployment, parts: Parts) -> Manifest:
    name, restarted_at = deployment.metadata.name, deployment.spec.rollout.restarted_at
    annotations = {ANNOTATION_RESTARTED: restarted_at} if restarted_at else {}
    return {
        "metadata": pod_metadata(deployment.spec, child_labels(name) | selector_labels(name), annotations),
        "spec": _pod_spec(deployment, parts),
    }


def _pod_spec(deployment: ModelDeployment, parts: Parts) -> Manifest:
    spec = deployment.spec
    pod: Manifest = {
        "terminationGracePeriodSeconds": termination(spec).grace,
        "initContainers": [_prepare_container(spec, parts.operator_image)],
        "containers": [_triton_container(spec, parts)],
        "volumes": _volumes(spec, parts, claim_name(deployment)),
        **pod_claims(spec),
    }
    if terminates_tls(spec):
        pod["initContainers"].append(build_proxy_container(spec, parts.operator_image))
        pod["volumes"] += proxy_volumes(deployment)
    isolated = isolated_pod(deployment) | pod | scheduling_fields(with_spread(deployment))
    return with_ids_of(isolated, parts.user_ids)


def prepare_container(
    spec: Spec, operator_image: str, *arguments: str, resources: Manifest, mounts: Sequence[Manifest]
) -> Manifest:
    """The container `prepare`, in a serving pod or in the cache Job."""
    return {
        "name": CONTAINER_PREPARE,
        "image": operator_image,
        **pull_policy(spec),
        "command": ["python3", "-m", "triton_operator.prepare", *arguments],
        "securityContext": LOCKED_DOWN,
        "resources": resources,
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "volumeMounts": list(mounts),
    }


def _prepare_container(spec: Spec, operator_image: str) -> Manifest:
    mounts = [
        *prepare_mounts(spec),
        {"name": "config", "mountPath": layout.CONFIG_DIR, "readOnly": True},
        {"name": "models", "mountPath": layout.MODELS_DIR},
        *verified_mounts(spec, read_only=False),
        *prepare_plaintext_mounts(spec),
    ]
    return prepare_container(spec, operator_image, resources=prepare_resources(spec), mounts=mounts)


def _triton_container(spec: Spec, parts: Parts) -> Manifest:
    flags = flags_of(spec, parts.server, ipv6=parts.ipv6)
    return {
        "name": CONTAINER_TRITON,
        "image": parts.server.image,
        **pull_policy(spec),
        # No `command`: the image's entrypoint runs these arguments, in NVIDIA's images and in the CPU image.
        "args": ["tritonserver", *(flag.argument() for flag in flags), *spec.triton.extra_args],
        **container_environment(spec),
        "ports": _triton_ports(spec),
        "resources": server_resources(spec),
        "securityContext": LOCKED_DOWN,
        **build_probes(spec),
        **_pre_stop(termination(spec)),
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            *server_mounts(spec),
            *verified_mounts(spec, read_only=True),
            *server_plaintext_mounts(spec),
            {"name": "models", "mountPath": layout.MODELS_DIR, "readOnly": True},
            {"name": "shm", "mountPath": "/dev/shm"},  # noqa: S108 -- the pod has its own volume
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 -- the pod has its own volume
        ],
    }


def _pre_stop(times: Termination) -> Manifest:
    return {"lifecycle": {"preStop": {"sleep": {"seconds": times.pre_stop}}}} if times.pre_stop else {}


def _triton_ports(spec: Spec) -> list[Manifest]:
    """The ports on which Triton listens on the pod's address."""
    ports = {"http": PORT_HTTP, "grpc": PORT_GRPC, "metrics": PORT_METRICS}
    names = ("metrics",) if terminates_tls(spec) else tuple(ports)
    return [{"name": name, "containerPort": ports[name], "protocol": "TCP"} for name in names]


def flags_of(spec: Spec, server: ServerImage, *, ipv6: bool = False) -> list[Flag]:
    """The flags that the operator sets for this deployment's server."""
    log_level = spec.triton.log_level or LogLevel.WARNING
    cache = any(model.config.response_cache for model in spec.models if model.config)
    flags = server_flags(
        server.release,
        log_level=log_level,
        gpu=spec.gpu is not None,
        response_cache=cache,
        open_endpoints=open_endpoints(spec),
        listening=Listening(behind_proxy=terminates_tls(spec), ipv6=ipv6),
        exit_timeout=termination(spec).exit_timeout,
    )
    return without_overridden(flags, spec.triton.extra_args)


def open_endpoints(spec: Spec) -> tuple[Endpoint, ...]:
    """The APIs other than inference that clients may use: the user's list, or the default of the profile."""
    if spec.triton.open_endpoints is not None:
        return spec.triton.open_endpoints
    return () if spec.privacy.profile.is_private else tuple(Endpoint)


def _volumes(spec: Spec, parts: Parts, claim: str) -> list[Manifest]:
    shared_memory = shared_memory_size(spec, known_messages(parts.configs)).quantity
    return [
        *source_volumes(spec, claim),
        {"name": "models"} | models_volume(spec),
        {"name": "config"} | config_volume(parts.config_name, parts.configs, key_sources(spec)),
        *verified_volumes(spec),
        *plaintext_volumes(spec),
        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": shared_memory}},
        {"name": "tmp", "emptyDir": {"sizeLimit": "256Mi"} | scratch_medium(spec)},
    ]


def scheduling_fields(scheduling: Scheduling) -> Manifest:
    """The scheduling fields of a pod; unset fields are omitted."""
    fields: Manifest = {
        "nodeSelector": scheduling.node_selector,
        "tolerations": list(scheduling.tolerations) if scheduling.tolerations else None,
        "affinity": scheduling.affinity,
        "topologySpreadConstraints": list(scheduling.topology_spread_constraints or ()) or None,
        "priorityClassName": scheduling.priority_class_name,
        "runtimeClassName": scheduling.runtime_class_name,
    }
    return {key: value for key, value in fields.items() if value is not None}
