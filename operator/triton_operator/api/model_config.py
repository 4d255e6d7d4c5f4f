"""A model's configuration, as a user writes it in `spec.models[].config`.

Triton's ModelConfig message (github.com/triton-inference-server/common, protobuf/model_config.proto) in the manner of
Kubernetes: what a TorchScript model needs, with Triton's names in camel case and plural lists. The schema documents
each field. `triton.typed_config` turns it into Triton's message and back, `triton.config_fields` says which of
Triton's fields are left out and why. None and empty mean that nothing was said: defaults are resolved at rendering.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from triton_operator.api.batching import DynamicBatching, SequenceBatching
from triton_operator.api.struct import Struct
from triton_operator.api.tensor import DataType


class Input(Struct, frozen=True):
    """An input of the model; `dims` does not include the batch dimension, and -1 is any size.

    `reshape` is the shape that the model gets instead of `dims`, () a scalar for each element of the batch.
    """

    name: str
    data_type: DataType
    dims: tuple[int, ...]
    reshape: tuple[int, ...] | None = None
    optional: bool = False


class Output(Struct, frozen=True):
    """An output of the model; `reshape` is the model's shape, `dims` the shape for clients."""

    name: str
    data_type: DataType
    dims: tuple[int, ...]
    reshape: tuple[int, ...] | None = None
    label_filename: str | None = None


class InstanceKind(StrEnum):
    """Where instances of a model run."""

    AUTO = "Auto"
    CPU = "CPU"
    GPU = "GPU"
    MODEL = "Model"


class InstanceGroup(Struct, frozen=True):
    """Copies of the model that work at the same time; `gpus` are indices among the pod's own GPUs."""

    name: str | None = None
    count: int | None = None
    kind: InstanceKind | None = None
    gpus: tuple[int, ...] = ()


class WarmupData(StrEnum):
    """What a warm-up request is filled with."""

    ZERO = "Zero"
    RANDOM = "Random"


class WarmupInput(Struct, frozen=True):
    """One tensor of a warm-up request; exactly one of `data` and `data_file` is set."""

    name: str
    data_type: DataType
    dims: tuple[int, ...]
    data: WarmupData | None = None
    data_file: str | None = None


class Warmup(Struct, frozen=True):
    """A request that is made `count` times before the model counts as ready."""

    name: str
    batch_size: int
    inputs: tuple[WarmupInput, ...]
    count: int | None = None


class Optimization(Struct, frozen=True):
    """How tensors get to the model and back."""

    input_pinned_memory: bool | None = None
    output_pinned_memory: bool | None = None
    eager_batching: bool = False


class EnsembleStep(Struct, frozen=True):
    """One model of an ensemble; the maps go from the model's tensors to the ensemble's. No version is the latest."""

    model_name: str
    input_map: dict[str, str]
    output_map: dict[str, str]
    model_version: int | None = None


class Ensemble(Struct, frozen=True):
    """The models that a request passes through."""

    steps: tuple[EnsembleStep, ...]


class ModelConfig(Struct, frozen=True):
    """The configuration of a model; at most one of dynamic_batching, sequence_batching and ensemble is set.

    `max_batch_size` 0 means that the model has no batch dimension.
    """

    inputs: tuple[Input, ...] = ()
    outputs: tuple[Output, ...] = ()
    max_batch_size: int | None = None
    default_model_filename: str | None = None
    instance_groups: tuple[InstanceGroup, ...] = ()
    dynamic_batching: DynamicBatching | None = None
    sequence_batching: SequenceBatching | None = None
    ensemble: Ensemble | None = None
    optimization: Optimization | None = None
    warmup: tuple[Warmup, ...] = ()
    response_cache: bool = False
    parameters: dict[str, str] = msgspec.field(default_factory=dict)
