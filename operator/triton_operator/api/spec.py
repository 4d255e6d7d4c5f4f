"""The ModelDeployment as types. Input: the object as the API server stores it.

`parse` turns it into frozen structs; the reconciler, the CLI and the tests call it. The schema in
`crds/modeldeployments.yaml` is the contract and has the documentation of each field; a unit test walks both and
compares names, defaults and enumerations. Unknown fields are ignored: an older operator must survive a newer CRD. No
default that touches pods lives in the CRD, so `None` means "not said": defaults are resolved at rendering.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from triton_operator.api.cache import Cache
from triton_operator.api.errors import InvalidSpecError
from triton_operator.api.model import Model
from triton_operator.api.references import SecretName
from triton_operator.api.repository import ModelRepository
from triton_operator.api.resources import Resources
from triton_operator.api.struct import Struct


class Profile(StrEnum):
    """How much is closed by default."""

    OPEN = "Open"
    PRIVATE = "Private"


class TLSMode(StrEnum):
    """Where serving certificates come from."""

    OFF = "Off"


class LogLevel(StrEnum):
    """The least severe messages that Triton logs."""

    ERROR = "Error"
    WARNING = "Warning"
    INFO = "Info"


class Endpoint(StrEnum):
    """Groups of Triton's API that are closed under profile Private and may be opened: they tell no tensor."""

    STATISTICS = "Statistics"
    MODEL_CONFIG = "ModelConfig"


class ServiceType(StrEnum):
    """Kinds of Service that a deployment may ask for."""

    CLUSTER_IP = "ClusterIP"
    NODE_PORT = "NodePort"
    LOAD_BALANCER = "LoadBalancer"


class MetricType(StrEnum):
    """What an autoscaler looks at."""

    CPU = "CPU"


class Metric(Struct, frozen=True):
    """One measure the autoscaler follows; `average_utilization` is percent of the requested CPU."""

    type: MetricType
    average_utilization: int | None = None


class Autoscaling(Struct, frozen=True):
    """Bounds and measures of a HorizontalPodAutoscaler."""

    max_replicas: int
    min_replicas: int = 1
    metrics: tuple[Metric, ...] = ()


class Gpu(Struct, frozen=True):
    """Whole GPUs for each serving pod."""

    count: int = 1
    resource_name: str = "nvidia.com/gpu"


class Prepare(Struct, frozen=True):
    """The init container that makes the models ready; its resources are Triton's where they are not named."""

    resources: Resources = Resources()


class Triton(Struct, frozen=True):
    """Which server runs the models, and how much it says; `shared_memory_size` is a quantity of bytes.

    `open_endpoints` None leaves it to the profile; an empty one opens nothing.
    """

    image: str | None = None
    version: str | None = None
    log_level: LogLevel | None = None
    open_endpoints: tuple[Endpoint, ...] | None = None
    extra_args: tuple[str, ...] = ()
    shared_memory_size: str | None = None


class Service(Struct, frozen=True):
    """The Service before the pods."""

    type: ServiceType = ServiceType.CLUSTER_IP
    annotations: dict[str, str] = msgspec.field(default_factory=dict)


class Scheduling(Struct, frozen=True):
    """Where pods may run; the members are those of a Kubernetes PodSpec, handed through as they are."""

    node_selector: dict[str, str] | None = None
    tolerations: tuple[dict[str, Any], ...] | None = None
    affinity: dict[str, Any] | None = None
    topology_spread_constraints: tuple[dict[str, Any], ...] | None = None
    priority_class_name: str | None = None
    runtime_class_name: str | None = None


class Lifecycle(Struct, frozen=True):
    """How long things may take, in seconds."""

    startup_timeout_seconds: int | None = None
    progress_deadline_seconds: int | None = None


class Network(Struct, frozen=True):
    """Who may open connections to the serving pods; NetworkPolicyPeers as Kubernetes defines them."""

    allow_from: tuple[dict[str, Any], ...] = ()
    metrics_from: tuple[dict[str, Any], ...] = ()


class TLS(Struct, frozen=True):
    """Encryption of traffic to the serving pods."""

    mode: TLSMode | None = None


class Privacy(Struct, frozen=True):
    """Network access to and from serving pods."""

    profile: Profile = Profile.PRIVATE
    network: Network = Network()
    tls: TLS = TLS()


class Spec(Struct, frozen=True):
    """The spec of a ModelDeployment."""

    models: tuple[Model, ...]
    model_repository: ModelRepository | None = None
    cache: Cache | None = None
    replicas: int = 1
    autoscaling: Autoscaling | None = None
    gpu: Gpu | None = None
    resources: Resources = Resources()
    prepare: Prepare = Prepare()
    image_pull_secrets: tuple[SecretName, ...] = ()
    triton: Triton = Triton()
    service: Service = Service()
    scheduling: Scheduling = Scheduling()
    lifecycle: Lifecycle = Lifecycle()
    privacy: Privacy = Privacy()
    suspend: bool = False


class Metadata(Struct, frozen=True):
    """The part of an object's metadata that the operator reads."""

    name: str
    namespace: str
    uid: str = ""
    generation: int = 0
    deletion_timestamp: str | None = None


class ModelDeployment(Struct, frozen=True):
    """A ModelDeployment without its status."""

    metadata: Metadata
    spec: Spec

    @property
    def key(self) -> tuple[str, str]:
        """(namespace, name), the identity under which the operator works on it."""
        return self.metadata.namespace, self.metadata.name


def parse(body: dict[str, Any]) -> ModelDeployment:
    """Read a ModelDeployment from its JSON form; raises InvalidSpecError with the field's path."""
    try:
        return msgspec.convert(body, ModelDeployment)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$.")
        raise InvalidSpecError("InvalidSpec", path.rstrip("`") or "spec", message) from error
