"""The types of a ModelDeployment, and `parse`, which reads one from its JSON form.

Input: the object as the API server stores it. Output: frozen structs for the reconciler and the CLI. The schema in
`crds/modeldeployments.yaml` is the contract and documents each field; a unit test compares its names, defaults and
enumerations with these types. Unknown fields are ignored, because an older operator must work with a newer CRD. The CRD
has no defaults that affect pods, so `None` means that the field is not set; its default is resolved at rendering.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from triton_operator.api.adoption import Adopt
from triton_operator.api.autoscaling import Autoscaling
from triton_operator.api.cache import Cache
from triton_operator.api.decryption import Decryption
from triton_operator.api.environment import EnvFromSource, EnvVar
from triton_operator.api.errors import InvalidSpecError
from triton_operator.api.exposure import Exposure
from triton_operator.api.gpu import Gpu
from triton_operator.api.http_proxy import HttpProxy
from triton_operator.api.model import Model
from triton_operator.api.pod_settings import DnsConfig, HostAlias, ServiceAccount
from triton_operator.api.pod_template import PodTemplate
from triton_operator.api.privacy import Privacy
from triton_operator.api.references import SecretName
from triton_operator.api.repository import ModelRepository, PullPolicy
from triton_operator.api.resources import Resources
from triton_operator.api.rollout import Rollout
from triton_operator.api.service import Service
from triton_operator.api.struct import Struct
from triton_operator.api.verification import Verification


class LogLevel(StrEnum):
    """The least severe messages that Triton logs."""

    ERROR = "Error"
    WARNING = "Warning"
    INFO = "Info"


class Endpoint(StrEnum):
    """Groups of Triton's APIs that private profiles close and a user may open; they do not expose tensors."""

    STATISTICS = "Statistics"
    MODEL_CONFIG = "ModelConfig"


class Prepare(Struct, frozen=True):
    """The init container that prepares the models; its resources default to those of the Triton container.

    `http_proxy` also applies to the Job that fills a cache; None selects that of the installation.
    """

    resources: Resources = Resources()
    http_proxy: HttpProxy | None = None


class Triton(Struct, frozen=True):
    """The server's image, arguments and log level; `shared_memory_size` is a quantity of bytes.

    `open_endpoints` None selects the profile's default; an empty tuple opens none.
    """

    image: str | None = None
    version: str | None = None
    log_level: LogLevel | None = None
    open_endpoints: tuple[Endpoint, ...] | None = None
    extra_args: tuple[str, ...] = ()
    shared_memory_size: str | None = None


class Scheduling(Struct, frozen=True):
    """Scheduling constraints of the pods; the members are fields of a Kubernetes PodSpec, copied unchanged."""

    node_selector: dict[str, str] | None = None
    tolerations: tuple[dict[str, Any], ...] | None = None
    affinity: dict[str, Any] | None = None
    topology_spread_constraints: tuple[dict[str, Any], ...] | None = None
    priority_class_name: str | None = None
    runtime_class_name: str | None = None


class Lifecycle(Struct, frozen=True):
    """Timeouts in seconds."""

    startup_timeout_seconds: int | None = None
    termination_grace_period_seconds: int | None = None
    pre_stop_seconds: int | None = None


class Spec(Struct, frozen=True):
    """The spec of a ModelDeployment."""

    models: tuple[Model, ...]
    model_repository: ModelRepository | None = None
    verification: Verification | None = None
    decryption: Decryption | None = None
    cache: Cache | None = None
    replicas: int = 1
    autoscaling: Autoscaling | None = None
    gpu: Gpu | None = None
    resources: Resources = Resources()
    prepare: Prepare = Prepare()
    image_pull_secrets: tuple[SecretName, ...] = ()
    image_pull_policy: PullPolicy | None = None
    service_account: ServiceAccount = ServiceAccount()
    dns_config: DnsConfig | None = None
    host_aliases: tuple[HostAlias, ...] = ()
    env: tuple[EnvVar, ...] = ()
    env_from: tuple[EnvFromSource, ...] = ()
    pod_labels: dict[str, str] = msgspec.field(default_factory=dict)
    pod_annotations: dict[str, str] = msgspec.field(default_factory=dict)
    triton: Triton = Triton()
    service: Service = Service()
    exposure: Exposure | None = None
    scheduling: Scheduling = Scheduling()
    lifecycle: Lifecycle = Lifecycle()
    pod_template: PodTemplate = PodTemplate()
    rollout: Rollout = Rollout()
    privacy: Privacy = Privacy()
    suspend: bool = False
    adopt: Adopt = Adopt.NEVER


class Metadata(Struct, frozen=True):
    """The part of an object's metadata that the operator reads.

    `spec_digest` is added by the operator's projection: a new definition can change the spec that the API server shows
    for the same generation, because it removes fields that the definition does not have.
    """

    name: str
    namespace: str
    uid: str = ""
    generation: int = 0
    deletion_timestamp: str | None = None
    spec_digest: str = ""


class ModelDeployment(Struct, frozen=True):
    """A ModelDeployment, without its status."""

    metadata: Metadata
    spec: Spec

    @property
    def key(self) -> tuple[str, str]:
        """(namespace, name), which identifies the object in the work queue and the caches."""
        return self.metadata.namespace, self.metadata.name


def parse(body: dict[str, Any]) -> ModelDeployment:
    """Read a ModelDeployment from its JSON form; raises InvalidSpecError with the field's path."""
    try:
        return msgspec.convert(body, ModelDeployment)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$.")
        raise InvalidSpecError("InvalidSpec", path.rstrip("`") or "spec", message) from error
