"""Containers that `spec.podTemplate` adds: what they may do.

Pure. Such a container shares the network of the pod with Triton, but no process, and none of the operator's volumes and
Secrets.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from triton_operator.api.errors import Problem
from triton_operator.api.names import (
    PORT_GRPC,
    PORT_HEALTH,
    PORT_HTTP,
    PORT_HTTPS,
    PORT_METRICS,
)
from triton_operator.api.pod_parts import ContainerParts, ContainerPort, ContainerVariable, TCPSocketAction, VolumeMount
from triton_operator.api.privacy import Profile
from triton_operator.resources.air_gap import is_by_digest
from triton_operator.resources.own_secrets import check_variable, check_variables_from
from triton_operator.resources.pod_template.pod_facts import PodFacts
from triton_operator.resources.pod_template.resources import (
    check_device_variable,
    check_resources,
    check_unseen_variables,
)
from triton_operator.resources.pod_template.security import check_container_security
from triton_operator.resources.pod_template.volumes import BY_DIGEST

_OWN_PORTS = {
    PORT_HTTP: "http",
    PORT_GRPC: "grpc",
    PORT_METRICS: "metrics",
    PORT_HEALTH: "health",
    PORT_HTTPS: "https",
}
"""Ports of the operator's containers. The Services and their policies use the names and numbers."""

_REFUSED = {
    "restartPolicyRules": "is not supported",
    "stdin": "is not supported, because users cannot attach to the pods",
    "stdinOnce": "is not supported, because users cannot attach to the pods",
    "tty": "is not supported, because users cannot attach to the pods",
    "volumeDevices": "is not supported, because it gives the container a raw device; use volumeMounts",
}
"""Fields of a Kubernetes Container that no container of a template may have."""


def refused_fields(container: dict[str, Any], path: str) -> Iterator[Problem]:
    """Fields that are never allowed, whatever their value."""
    for name in sorted(_REFUSED.keys() & container.keys()):
        yield Problem(f"{path}.{name}", _REFUSED[name])


def check_added_container(container: ContainerParts, listed: str, path: str, facts: PodFacts) -> Iterator[Problem]:
    """A container that the operator does not render; `listed` is the list in which it is."""
    if not container.image:
        yield Problem(f"{path}.image", "is required for a container that the operator does not have")
    elif facts.profile is Profile.AIR_GAPPED and not is_by_digest(container.image):
        yield Problem(f"{path}.image", BY_DIGEST)
    yield from _check_restarts(container, listed, path)
    yield from check_container_security(container.security_context, f"{path}.securityContext")
    yield from check_variables(container, path, facts)
    for index, variable in enumerate(container.env):
        yield from check_device_variable(variable, f"{path}.env[{index}]")
    for index, source in enumerate(container.env_from):
        yield from check_unseen_variables(source, f"{path}.envFrom[{index}]", facts)
    yield from check_resources(container.resources, f"{path}.resources", facts)
    for index, mount in enumerate(container.volume_mounts):
        yield from check_mount(mount, f"{path}.volumeMounts[{index}]", facts)
    for twice in _twice((port.container_port, port.protocol) for port in container.ports):
        yield Problem(f"{path}.ports", f"{twice[0]}/{twice[1]} is used twice")
    for index, port in enumerate(container.ports):
        yield from _check_port(port, f"{path}.ports[{index}]")
    yield from _check_actions(container, path)


def check_variables(container: ContainerParts, path: str, facts: PodFacts) -> Iterator[Problem]:
    """The Secrets and volumes that variables read."""
    for index, variable in enumerate(container.env):
        yield from _check_variable(variable, f"{path}.env[{index}]", facts)
    for index, source in enumerate(container.env_from):
        yield from check_variables_from(source, f"{path}.envFrom[{index}]", facts.own_secrets)


def check_mount(mount: VolumeMount, path: str, facts: PodFacts) -> Iterator[Problem]:
    """A mount of a volume, which must be one of the template."""
    yield from _check_volume_name(mount.name, f"{path}.name", facts)
    if mount.mount_propagation != "None":
        yield Problem(f"{path}.mountPropagation", "must be None, because mounts of the node are not visible in the pod")


def _check_variable(variable: ContainerVariable, path: str, facts: PodFacts) -> Iterator[Problem]:
    yield from check_variable(variable, path, facts.own_secrets)
    source = variable.value_from
    if source and source.file_key_ref:
        place = f"{path}.valueFrom.fileKeyRef.volumeName"
        yield from _check_volume_name(source.file_key_ref.volume_name, place, facts)


def _check_volume_name(name: str, path: str, facts: PodFacts) -> Iterator[Problem]:
    if name in facts.own_volumes:
        yield Problem(path, f"{name} is a volume of the operator, which only its own containers may use")
    elif name not in facts.given_volumes:
        yield Problem(path, f"{name} is not in spec.podTemplate.spec.volumes; add it")


def _check_restarts(container: ContainerParts, listed: str, path: str) -> Iterator[Problem]:
    is_init = listed == "initContainers"
    if container.restart_policy not in ({None, "Always"} if is_init else {None}):
        message = "must be Always, or be omitted" if is_init else "must be omitted; use a sidecar in initContainers"
        yield Problem(f"{path}.restartPolicy", message)


def _twice(keys: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [key for key, count in Counter(keys).items() if count > 1]


def _check_port(port: ContainerPort, path: str) -> Iterator[Problem]:
    if port.host_port:
        yield Problem(f"{path}.hostPort", "must be omitted, because it opens a port of the node")
    if port.host_ip:
        yield Problem(f"{path}.hostIP", "must be omitted, because it is an address of the node")
    if port.container_port in _OWN_PORTS:
        yield Problem(
            f"{path}.containerPort", f"{port.container_port} is a port that the operator uses; choose another one"
        )
    if port.name in _OWN_PORTS.values():
        yield Problem(f"{path}.name", f"{port.name} is the name of a port that the operator uses; choose another one")


def _check_actions(container: ContainerParts, path: str) -> Iterator[Problem]:
    """Probes and lifecycle handlers with a host: the kubelet connects to it from the node's network."""
    probes = {
        "startupProbe": container.startup_probe,
        "readinessProbe": container.readiness_probe,
        "livenessProbe": container.liveness_probe,
    }
    for name, probe in probes.items():
        if probe:
            yield from _check_host(f"{path}.{name}", probe.http_get, probe.tcp_socket)
    lifecycle = container.lifecycle
    if lifecycle and lifecycle.stop_signal:
        message = "is not supported, because Kubernetes requires spec.os for it; use preStop, or let the program exit"
        yield Problem(f"{path}.lifecycle.stopSignal", message)
    for name, handler in (("postStart", lifecycle.post_start), ("preStop", lifecycle.pre_stop)) if lifecycle else ():
        if handler:
            yield from _check_host(f"{path}.lifecycle.{name}", handler.http_get, handler.tcp_socket)


def _check_host(path: str, http_get: TCPSocketAction | None, tcp_socket: TCPSocketAction | None) -> Iterator[Problem]:
    for name, action in (("httpGet", http_get), ("tcpSocket", tcp_socket)):
        if action and action.host:
            message = "must be omitted, because the kubelet would connect to it from the node's network"
            yield Problem(f"{path}.{name}.host", message)
