"""The fields of a Kubernetes PodSpec that `spec.podTemplate.spec` may contain.

A field that is not listed here is rejected, so that a field of a newer Kubernetes release cannot weaken a pod before
the operator knows its meaning. Members that need no check are not typed; the API server checks them. Fields are those
of Kubernetes 1.37 (core/v1).
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

from triton_operator.api.environment import EnvFromSource, EnvVar, EnvVarSource, FieldSelector, ResourceFieldSelector
from triton_operator.api.passthrough import Affinity, Toleration, TopologySpreadConstraint
from triton_operator.api.struct import Struct

Unchecked: TypeAlias = dict[str, Any]
"""An object that the API server checks."""
Quantity: TypeAlias = str | int | float
"""An amount, such as 500m or 0.5."""


class FileKeyReference(Struct, frozen=True):
    """A variable in a file of a volume."""

    volume_name: str
    path: str
    key: str
    optional: bool = False


class PodFieldSelector(FieldSelector, frozen=True):
    """A field of the pod, in a version of the API."""

    api_version: str = "v1"


class ContainerResourceSelector(ResourceFieldSelector, frozen=True):
    """A request or limit of any container of the pod, in units of `divisor`."""

    container_name: str = ""
    divisor: Quantity = "0"  # type: ignore[assignment]  # spec.env accepts text only


class ContainerVariableSource(EnvVarSource, frozen=True):
    """Where the value of a variable comes from."""

    file_key_ref: FileKeyReference | None = None
    field_ref: PodFieldSelector | None = None
    resource_field_ref: ContainerResourceSelector | None = None


class ContainerVariable(EnvVar, frozen=True):
    """An environment variable of a container."""

    value_from: ContainerVariableSource | None = None


class LocalObjectReference(Struct, frozen=True):
    """The name of an object in the same namespace."""

    name: str = ""


class ContainerPort(Struct, frozen=True):
    """A port of a container; `host_port` is a port of the node."""

    container_port: int
    name: str = ""
    protocol: str = "TCP"
    host_port: int = 0
    host_ip: str = msgspec.field(default="", name="hostIP")


class HTTPHeader(Struct, frozen=True):
    """A header of an HTTP request."""

    name: str
    value: str = ""


class TCPSocketAction(Struct, frozen=True):
    """A TCP connection of the kubelet; `host` is an address other than that of the pod."""

    port: int | str
    host: str = ""


class HTTPGetAction(TCPSocketAction, frozen=True):
    """An HTTP request of the kubelet."""

    path: str = ""
    scheme: str = ""
    http_headers: tuple[HTTPHeader, ...] = ()


class ExecAction(Struct, frozen=True):
    """A command in the container."""

    command: tuple[str, ...] = ()


class GRPCAction(Struct, frozen=True):
    """A gRPC health check of the kubelet."""

    port: int
    service: str = ""


class SleepAction(Struct, frozen=True):
    """A pause."""

    seconds: int


class Probe(Struct, frozen=True):
    """A check of the kubelet."""

    exec: ExecAction | None = None
    http_get: HTTPGetAction | None = None
    tcp_socket: TCPSocketAction | None = None
    grpc: GRPCAction | None = None
    initial_delay_seconds: int = 0
    period_seconds: int = 10
    timeout_seconds: int = 1
    success_threshold: int = 1
    failure_threshold: int = 3
    termination_grace_period_seconds: int | None = None


class LifecycleHandler(Struct, frozen=True):
    """An action of the kubelet at the start or end of a container."""

    exec: ExecAction | None = None
    http_get: HTTPGetAction | None = None
    tcp_socket: TCPSocketAction | None = None
    sleep: SleepAction | None = None


class ContainerLifecycle(Struct, frozen=True):
    """Actions at the start and end of a container."""

    post_start: LifecycleHandler | None = None
    pre_stop: LifecycleHandler | None = None
    stop_signal: str = ""


class Capabilities(Struct, frozen=True):
    """Added and removed capabilities."""

    add: tuple[str, ...] = ()
    drop: tuple[str, ...] = ("ALL",)


class SecurityProfile(Struct, frozen=True):
    """A seccomp or AppArmor profile."""

    type: str
    localhost_profile: str = ""


class SELinuxOptions(Struct, frozen=True):
    """SELinux labels."""

    level: str = ""
    type: str = ""
    role: str = ""
    user: str = ""


class ContainerSecurityContext(Struct, frozen=True):
    """The security context of a container."""

    privileged: bool = False
    allow_privilege_escalation: bool = False
    read_only_root_filesystem: bool = True
    run_as_non_root: bool = True
    run_as_user: int | None = None
    run_as_group: int | None = None
    capabilities: Capabilities = Capabilities()
    proc_mount: str = "Default"
    seccomp_profile: SecurityProfile | None = None
    app_armor_profile: SecurityProfile | None = None
    se_linux_options: SELinuxOptions | None = None


class Sysctl(Struct, frozen=True):
    """A parameter of the kernel."""

    name: str
    value: str


class PodSecurityContext(Struct, frozen=True):
    """The security context of a pod."""

    run_as_non_root: bool = True
    run_as_user: int | None = None
    run_as_group: int | None = None
    fs_group: int | None = None
    fs_group_change_policy: str = ""
    supplemental_groups: tuple[int, ...] = ()
    supplemental_groups_policy: str = ""
    seccomp_profile: SecurityProfile | None = None
    app_armor_profile: SecurityProfile | None = None
    se_linux_options: SELinuxOptions | None = None
    se_linux_change_policy: str = ""
    sysctls: tuple[Sysctl, ...] = ()


class VolumeMount(Struct, frozen=True):
    """A volume in a container."""

    name: str
    mount_path: str
    read_only: bool = False
    recursive_read_only: str = ""
    sub_path: str = ""
    sub_path_expr: str = ""
    mount_propagation: str = "None"


class ContainerClaim(Struct, frozen=True):
    """A claim of the pod that a container uses."""

    name: str
    request: str = ""


class ResourceRequirements(Struct, frozen=True):
    """Requests, limits and claims of a container."""

    requests: dict[str, Quantity] = msgspec.field(default_factory=dict)
    limits: dict[str, Quantity] = msgspec.field(default_factory=dict)
    claims: tuple[ContainerClaim, ...] = ()


class ContainerParts(Struct, frozen=True):
    """A container, or what is added to one of the operator's."""

    name: str
    image: str = ""
    image_pull_policy: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    working_dir: str = ""
    env: tuple[ContainerVariable, ...] = ()
    env_from: tuple[EnvFromSource, ...] = ()
    ports: tuple[ContainerPort, ...] = ()
    resources: ResourceRequirements = ResourceRequirements()
    resize_policy: tuple[Unchecked, ...] = ()
    restart_policy: Literal["Always", "OnFailure", "Never"] | None = None
    volume_mounts: tuple[VolumeMount, ...] = ()
    startup_probe: Probe | None = None
    readiness_probe: Probe | None = None
    liveness_probe: Probe | None = None
    lifecycle: ContainerLifecycle | None = None
    security_context: ContainerSecurityContext = ContainerSecurityContext()
    termination_message_path: str = ""
    termination_message_policy: str = ""


class DownwardFile(Struct, frozen=True):
    """A field of the pod, or a request or limit of a container, as a file."""

    path: str
    field_ref: PodFieldSelector | None = None
    resource_field_ref: ContainerResourceSelector | None = None
    mode: int | None = None


class DownwardProjection(Struct, frozen=True):
    """Fields of the pod in a projected volume."""

    items: tuple[DownwardFile, ...] = ()


class DownwardVolume(Struct, frozen=True):
    """Fields of the pod as files."""

    items: tuple[DownwardFile, ...] = ()
    default_mode: int | None = None


class EmptyDirVolume(Struct, frozen=True):
    """An empty folder on the node's disk, or in memory."""

    medium: str = ""
    size_limit: Quantity | None = None


class SecretVolume(Struct, frozen=True):
    """The keys of a Secret as files."""

    secret_name: str
    items: tuple[Unchecked, ...] = ()
    default_mode: int | None = None
    optional: bool = False


class ProjectedObject(Struct, frozen=True):
    """The keys of a Secret or ConfigMap in a projected volume."""

    name: str = ""
    items: tuple[Unchecked, ...] = ()
    optional: bool = False


class VolumeProjection(Struct, frozen=True):
    """A source of a projected volume."""

    secret: ProjectedObject | None = None
    config_map: ProjectedObject | None = None
    downward_api: DownwardProjection | None = msgspec.field(default=None, name="downwardAPI")
    cluster_trust_bundle: Unchecked | None = None
    service_account_token: Unchecked | None = None
    pod_certificate: Unchecked | None = None


class ProjectedVolume(Struct, frozen=True):
    """Several sources in one folder."""

    sources: tuple[VolumeProjection, ...] = ()
    default_mode: int | None = None


class ClaimVolume(Struct, frozen=True):
    """A PersistentVolumeClaim."""

    claim_name: str
    read_only: bool = False


class ImageVolume(Struct, frozen=True):
    """The files of a container image."""

    reference: str
    pull_policy: str = ""


class CSIVolume(Struct, frozen=True):
    """A volume of a CSI driver without a claim."""

    driver: str
    fs_type: str = ""
    read_only: bool = False
    volume_attributes: dict[str, str] = msgspec.field(default_factory=dict)
    node_publish_secret_ref: LocalObjectReference | None = None


class Volume(Struct, frozen=True):
    """A volume of one of the types that the Pod Security level `restricted` allows."""

    name: str
    empty_dir: EmptyDirVolume | None = None
    config_map: Unchecked | None = None
    secret: SecretVolume | None = None
    downward_api: DownwardVolume | None = msgspec.field(default=None, name="downwardAPI")
    projected: ProjectedVolume | None = None
    persistent_volume_claim: ClaimVolume | None = None
    ephemeral: Unchecked | None = None
    image: ImageVolume | None = None
    csi: CSIVolume | None = None


class SchedulingGate(Struct, frozen=True):
    """A condition before the pod is scheduled."""

    name: str


class ReadinessGate(Struct, frozen=True):
    """A condition before the pod is ready."""

    condition_type: str


class PodClaim(Struct, frozen=True):
    """A claim of devices."""

    name: str
    resource_claim_name: str = ""
    resource_claim_template_name: str = ""


class PodParts(Struct, frozen=True):
    """The supported fields of a PodSpec; lists of containers and volumes are checked item by item."""

    init_containers: tuple[ContainerParts, ...] = ()
    containers: tuple[ContainerParts, ...] = ()
    volumes: tuple[Volume, ...] = ()
    security_context: PodSecurityContext = PodSecurityContext()
    tolerations: tuple[Toleration, ...] = ()
    node_selector: dict[str, str] = msgspec.field(default_factory=dict)
    affinity: Affinity | None = None
    topology_spread_constraints: tuple[TopologySpreadConstraint, ...] = ()
    priority_class_name: str = ""
    preemption_policy: str = ""
    runtime_class_name: str = ""
    scheduler_name: str = ""
    scheduling_gates: tuple[SchedulingGate, ...] = ()
    readiness_gates: tuple[ReadinessGate, ...] = ()
    resource_claims: tuple[PodClaim, ...] = ()
    dns_policy: str = ""
    hostname: str = ""
    subdomain: str = ""
    set_hostname_as_fqdn: bool | None = msgspec.field(default=None, name="setHostnameAsFQDN")
    host_users: bool | None = None
