"""One model to serve, as a user writes it in `spec.models`."""

from __future__ import annotations

from enum import StrEnum

from triton_operator.api.model_config import ModelConfig
from triton_operator.api.references import ConfigMapKey
from triton_operator.api.repository import ModelRepository
from triton_operator.api.struct import Struct


class Format(StrEnum):
    """Format of a model's file, which determines the backend."""

    TORCHSCRIPT = "TorchScript"
    AOT_INDUCTOR = "AOTInductor"
    ONNX = "ONNX"
    PYTHON = "Python"
    ENSEMBLE = "Ensemble"


class Objective(StrEnum):
    """What the operator's defaults optimize for."""

    THROUGHPUT = "Throughput"
    LATENCY = "Latency"


class LatestVersions(Struct, frozen=True):
    """The `count` highest versions."""

    count: int


class AllVersions(Struct, frozen=True):
    """Every version in the repository."""


class SpecificVersions(Struct, frozen=True):
    """Only these versions."""

    versions: tuple[int, ...]


class VersionPolicy(Struct, frozen=True):
    """Which versions of a model are served; exactly one member is set."""

    latest: LatestVersions | None = None
    all: AllVersions | None = None
    specific: SpecificVersions | None = None


class ConfigFileKey(ConfigMapKey, frozen=True):
    """A config.pbtxt in a ConfigMap of the same namespace."""

    key: str = "config.pbtxt"


class Model(Struct, frozen=True):
    """One model to serve; `path` is its folder in the repository and defaults to its name.

    The configuration is `config`, the ConfigMap key in `config_map_ref`, or the config.pbtxt in the repository.
    `gpu_memory` is what one instance needs on a GPU, a quantity of bytes. `model_repository` overrides the deployment's
    common repository for this model.
    """

    name: str
    path: str | None = None
    format: Format | None = None
    version_policy: VersionPolicy | None = None
    digest: str | None = None
    objective: Objective | None = None
    gpu_memory: str | int | None = None
    config: ModelConfig | None = None
    config_map_ref: ConfigFileKey | None = None
    model_repository: ModelRepository | None = None

    @property
    def folder(self) -> str:
        """The model's folder, relative to the repository's root."""
        return self.path or self.name
