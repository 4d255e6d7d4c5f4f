"""A model's configuration, as a user writes it in `spec.models[].config`.

The types follow Triton's ModelConfig message (github.com/triton-inference-server/common, protobuf/model_config.proto)
with the conventions of Kubernetes: camel case names and plural lists. They cover the fields that TorchScript models
need. The schema documents each field. `triton.config.typed_config` converts them to Triton's message, and
`triton.config.fields` lists the omitted fields with reasons. None and empty values mean that the user did not set the
field; its default is resolved at rendering.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from triton_operator.api.batching import DynamicBatching, SequenceBatching
from triton_operator.api.struct import Struct
from triton_operator.api.tensor import DataType


class Input(Struct, frozen=True):
    """An input of the model; `dims` does not include the batch dimension, and -1 matches any size.

    `reshape` is the shape that the model receives instead of `dims`; () is a scalar for each element of the batch.
    """

    name: str
    data_type: DataType
    dims: tuple[int, ...]
    reshape: tuple[int, ...] | None = None
    optional: bool = False


class Output(Struct, frozen=True):
    """An output of the model; `reshape` is the shape that the model returns, `dims` the shape that clients receive."""

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
    """Instances of the model that run concurrently; `gpus` are indices of the GPUs in the pod."""

    name: str | None = None
    count: int | None = None
    kind: InstanceKind | None = None
    gpus: tuple[int, ...] = ()


class WarmupData(StrEnum):
    """The generated content of a warm-up input."""

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
    """A request that Triton runs `count` times before the model becomes ready."""

    name: str
    batch_size: int
    inputs: tuple[WarmupInput, ...]
    count: int | None = None


class Optimization(Struct, frozen=True):
    """Options for the transfer of tensors to and from the model."""

    input_pinned_memory: bool | None = None
    output_pinned_memory: bool | None = None
    eager_batching: bool = False


class EnsembleStep(Struct, frozen=True):
    """One model of an ensemble; the maps have the model's tensors as keys and the ensemble's tensors as values.

    `model_version` None selects the latest version.
    """

    model_name: str
    input_map: dict[str, str]
    output_map: dict[str, str]
    model_version: int | None = None


class Ensemble(Struct, frozen=True):
    """The models that process a request."""

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
