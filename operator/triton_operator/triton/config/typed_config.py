"""Convert the typed configuration to Triton's ModelConfig.

Input: the `config` of a model in the spec. Output: the Message that `text.writer` writes as config.pbtxt. It contains
only the user's values, without defaults. The table CONFIG works in both directions; tests read configurations back with
it. `resources`, `check` and `prepare` call `to_message`.
"""

from __future__ import annotations

from triton_operator.api import batching, model_config
from triton_operator.api.model import Format, VersionPolicy
from triton_operator.api.model_config import ModelConfig
from triton_operator.triton.config.codecs import (
    Boolean,
    Enumerated,
    Field,
    Integer,
    Repeated,
    StructCodec,
    Text,
    Wrapped,
)
from triton_operator.triton.config.formats import format_fields
from triton_operator.triton.config.message_codecs import DATA_TYPE, DIMS, Entries
from triton_operator.triton.config.sequence_codecs import SEQUENCE_BATCHING
from triton_operator.triton.config.version_policy import version_policy_fields
from triton_operator.triton.config.warmup_codec import WARMUP_INPUT
from triton_operator.triton.text.parser import Message

_RESHAPE = Wrapped("ModelTensorReshape", "shape", DIMS, absent=())
_PINNED = Wrapped("PinnedMemoryBuffer", "enable", Boolean(), absent=False)

_TENSOR = {
    "name": Field("name", Text()),
    "data_type": Field("data_type", DATA_TYPE),
    "dims": Field("dims", DIMS),
    "reshape": Field("reshape", _RESHAPE),
}
"""The common fields of inputs and outputs."""

_INPUT = StructCodec(
    model_config.Input,
    "ModelInput",
    {
        **_TENSOR,
        "optional": Field("optional", Boolean()),
    },
)
_OUTPUT = StructCodec(
    model_config.Output,
    "ModelOutput",
    {
        **_TENSOR,
        "label_filename": Field("label_filename", Text()),
    },
)
_INSTANCE_GROUP = StructCodec(
    model_config.InstanceGroup,
    "ModelInstanceGroup",
    {
        "name": Field("name", Text()),
        "count": Field("count", Integer()),
        "kind": Field("kind", Enumerated({f"KIND_{kind.upper()}": kind for kind in model_config.InstanceKind})),
        "gpus": Field("gpus", Repeated(Integer())),
    },
)
_QUEUE_POLICY = StructCodec(
    batching.QueuePolicy,
    "ModelQueuePolicy",
    {
        "max_queue_size": Field("max_queue_size", Integer()),
        "default_timeout_microseconds": Field("default_timeout_microseconds", Integer()),
        "timeout_action": Field(
            "timeout_action", Enumerated({action.upper(): action for action in batching.TimeoutAction})
        ),
        "allow_timeout_override": Field("allow_timeout_override", Boolean()),
    },
)
_PRIORITY_QUEUE_POLICY = StructCodec(
    batching.PriorityQueuePolicy,
    "PriorityQueuePolicyEntry",
    {"priority_level": Field("key", Integer()), "policy": Field("value", _QUEUE_POLICY)},
)
_DYNAMIC_BATCHING = StructCodec(
    batching.DynamicBatching,
    "ModelDynamicBatching",
    {
        "preferred_batch_sizes": Field("preferred_batch_size", Repeated(Integer())),
        "max_queue_delay_microseconds": Field("max_queue_delay_microseconds", Integer()),
        "preserve_ordering": Field("preserve_ordering", Boolean()),
        "priority_levels": Field("priority_levels", Integer()),
        "default_priority_level": Field("default_priority_level", Integer()),
        "default_queue_policy": Field("default_queue_policy", _QUEUE_POLICY),
        "priority_queue_policies": Field("priority_queue_policy", Repeated(_PRIORITY_QUEUE_POLICY)),
    },
)
_STEP = StructCodec(
    model_config.EnsembleStep,
    "Step",
    {
        "model_name": Field("model_name", Text()),
        "model_version": Field("model_version", Integer(), unset=-1),
        "input_map": Field("input_map", Entries("InputMapEntry", Text())),
        "output_map": Field("output_map", Entries("OutputMapEntry", Text())),
    },
)
_ENSEMBLE = StructCodec(model_config.Ensemble, "ModelEnsembling", {"steps": Field("step", Repeated(_STEP))})
_OPTIMIZATION = StructCodec(
    model_config.Optimization,
    "ModelOptimizationPolicy",
    {
        "input_pinned_memory": Field("input_pinned_memory", _PINNED),
        "output_pinned_memory": Field("output_pinned_memory", _PINNED),
        "eager_batching": Field("eager_batching", Boolean()),
    },
)
_WARMUP = StructCodec(
    model_config.Warmup,
    "ModelWarmup",
    {
        "name": Field("name", Text()),
        "batch_size": Field("batch_size", Integer()),
        "count": Field("count", Integer()),
        "inputs": Field("inputs", Repeated(WARMUP_INPUT)),
    },
)
CONFIG = StructCodec(
    ModelConfig,
    "ModelConfig",
    {
        "default_model_filename": Field("default_model_filename", Text()),
        "max_batch_size": Field("max_batch_size", Integer()),
        "inputs": Field("input", Repeated(_INPUT)),
        "outputs": Field("output", Repeated(_OUTPUT)),
        "instance_groups": Field("instance_group", Repeated(_INSTANCE_GROUP)),
        "dynamic_batching": Field("dynamic_batching", _DYNAMIC_BATCHING),
        "sequence_batching": Field("sequence_batching", SEQUENCE_BATCHING),
        "ensemble": Field("ensemble_scheduling", _ENSEMBLE),
        "optimization": Field("optimization", _OPTIMIZATION),
        "warmup": Field("model_warmup", Repeated(_WARMUP)),
        "response_cache": Field("response_cache", Wrapped("ModelResponseCache", "enable", Boolean(), absent=False)),
        "parameters": Field(
            "parameters", Entries("ParametersEntry", Wrapped("ModelParameter", "string_value", Text(), absent=""))
        ),
    },
)
"""The codec of `spec.models[].config`."""


def to_message(
    config: ModelConfig,
    *,
    name: str,
    format: Format | None = None,  # noqa: A002 -- the field's name in spec.models
    version_policy: VersionPolicy | None = None,
) -> Message:
    """The configuration of the model `name`; the default format is TorchScript.

    Raises ConfigError only for values that the CRD rejects, too.
    """
    message: Message = {"name": [name]}
    message |= format_fields(format or Format.TORCHSCRIPT)
    message |= version_policy_fields(version_policy)
    return message | CONFIG.to_message(config)
