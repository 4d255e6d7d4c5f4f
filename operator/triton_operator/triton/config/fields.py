"""Every field of Triton's ModelConfig: its path in the typed configuration, or the reason why it is not supported.

`codecs` uses it to reject unsupported fields. A test compares it with Triton's protobuf and fails if a new release adds
a field. Keys are Triton's message types without the package, and then the fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from triton_operator.triton.text.errors import ConfigError

Fields = Mapping[str, Mapping[str, str]]

COVERED: Fields = MappingProxyType(
    {
        "ModelConfig": {
            "name": "name",
            "platform": "format",
            "backend": "format",
            "version_policy": "versionPolicy",
            "max_batch_size": "config.maxBatchSize",
            "input": "config.inputs",
            "output": "config.outputs",
            "optimization": "config.optimization",
            "dynamic_batching": "config.dynamicBatching",
            "sequence_batching": "config.sequenceBatching",
            "ensemble_scheduling": "config.ensemble",
            "instance_group": "config.instanceGroups",
            "default_model_filename": "config.defaultModelFilename",
            "parameters": "config.parameters",
            "model_warmup": "config.warmup",
            "response_cache": "config.responseCache",
        },
        "ModelVersionPolicy": {
            "latest": "versionPolicy.latest",
            "all": "versionPolicy.all",
            "specific": "versionPolicy.specific",
        },
        "Latest": {"num_versions": "versionPolicy.latest.count"},
        "All": {},
        "Specific": {"versions": "versionPolicy.specific.versions"},
        "ModelInput": {
            "name": "config.inputs[].name",
            "data_type": "config.inputs[].dataType",
            "dims": "config.inputs[].dims",
            "reshape": "config.inputs[].reshape",
            "optional": "config.inputs[].optional",
        },
        "ModelOutput": {
            "name": "config.outputs[].name",
            "data_type": "config.outputs[].dataType",
            "dims": "config.outputs[].dims",
            "reshape": "config.outputs[].reshape",
            "label_filename": "config.outputs[].labelFilename",
        },
        "ModelTensorReshape": {"shape": "reshape"},
        "ModelOptimizationPolicy": {
            "input_pinned_memory": "config.optimization.inputPinnedMemory",
            "output_pinned_memory": "config.optimization.outputPinnedMemory",
            "eager_batching": "config.optimization.eagerBatching",
        },
        "PinnedMemoryBuffer": {"enable": "config.optimization"},
        "ModelDynamicBatching": {
            "preferred_batch_size": "config.dynamicBatching.preferredBatchSizes",
            "max_queue_delay_microseconds": "config.dynamicBatching.maxQueueDelayMicroseconds",
            "preserve_ordering": "config.dynamicBatching.preserveOrdering",
            "priority_levels": "config.dynamicBatching.priorityLevels",
            "default_priority_level": "config.dynamicBatching.defaultPriorityLevel",
            "default_queue_policy": "config.dynamicBatching.defaultQueuePolicy",
            "priority_queue_policy": "config.dynamicBatching.priorityQueuePolicies",
        },
        "ModelQueuePolicy": {
            "timeout_action": "timeoutAction",
            "default_timeout_microseconds": "defaultTimeoutMicroseconds",
            "allow_timeout_override": "allowTimeoutOverride",
            "max_queue_size": "maxQueueSize",
        },
        "PriorityQueuePolicyEntry": {"key": "priorityLevel", "value": "policy"},
        "ModelSequenceBatching": {
            "direct": "config.sequenceBatching.direct",
            "oldest": "config.sequenceBatching.oldest",
            "max_sequence_idle_microseconds": "config.sequenceBatching.maxSequenceIdleMicroseconds",
            "control_input": "config.sequenceBatching.controlInputs",
            "state": "config.sequenceBatching.states",
        },
        "StrategyDirect": {
            "max_queue_delay_microseconds": "config.sequenceBatching.direct.maxQueueDelayMicroseconds",
            "minimum_slot_utilization": "config.sequenceBatching.direct.minimumSlotUtilizationPercent",
        },
        "StrategyOldest": {
            "max_candidate_sequences": "config.sequenceBatching.oldest.maxCandidateSequences",
            "preferred_batch_size": "config.sequenceBatching.oldest.preferredBatchSizes",
            "max_queue_delay_microseconds": "config.sequenceBatching.oldest.maxQueueDelayMicroseconds",
            "preserve_ordering": "config.sequenceBatching.oldest.preserveOrdering",
        },
        "ControlInput": {
            "name": "config.sequenceBatching.controlInputs[].name",
            "control": "config.sequenceBatching.controlInputs[]",
        },
        "Control": {
            "kind": "config.sequenceBatching.controlInputs[].kind",
            "int32_false_true": "config.sequenceBatching.controlInputs[].dataType",
            "fp32_false_true": "config.sequenceBatching.controlInputs[].dataType",
            "bool_false_true": "config.sequenceBatching.controlInputs[].dataType",
            "data_type": "config.sequenceBatching.controlInputs[].dataType",
        },
        "State": {
            "input_name": "config.sequenceBatching.states[].inputName",
            "output_name": "config.sequenceBatching.states[].outputName",
            "data_type": "config.sequenceBatching.states[].dataType",
            "dims": "config.sequenceBatching.states[].dims",
            "initial_state": "config.sequenceBatching.states[].initialState",
        },
        "InitialState": {
            "name": "config.sequenceBatching.states[].initialState.name",
            "data_type": "config.sequenceBatching.states[].dataType",
            "dims": "config.sequenceBatching.states[].initialState.dims",
            "zero_data": "config.sequenceBatching.states[].initialState",
            "data_file": "config.sequenceBatching.states[].initialState.dataFile",
        },
        "ModelEnsembling": {"step": "config.ensemble.steps"},
        "Step": {
            "model_name": "config.ensemble.steps[].modelName",
            "model_version": "config.ensemble.steps[].modelVersion",
            "input_map": "config.ensemble.steps[].inputMap",
            "output_map": "config.ensemble.steps[].outputMap",
        },
        "InputMapEntry": {"key": "inputMap", "value": "inputMap"},
        "OutputMapEntry": {"key": "outputMap", "value": "outputMap"},
        "ModelInstanceGroup": {
            "name": "config.instanceGroups[].name",
            "kind": "config.instanceGroups[].kind",
            "count": "config.instanceGroups[].count",
            "gpus": "config.instanceGroups[].gpus",
        },
        "ParametersEntry": {"key": "config.parameters", "value": "config.parameters"},
        "ModelParameter": {"string_value": "config.parameters"},
        "ModelWarmup": {
            "name": "config.warmup[].name",
            "batch_size": "config.warmup[].batchSize",
            "inputs": "config.warmup[].inputs",
            "count": "config.warmup[].count",
        },
        "InputsEntry": {"key": "config.warmup[].inputs[].name", "value": "config.warmup[].inputs[]"},
        "Input": {
            "data_type": "config.warmup[].inputs[].dataType",
            "dims": "config.warmup[].inputs[].dims",
            "zero_data": "config.warmup[].inputs[].data",
            "random_data": "config.warmup[].inputs[].data",
            "input_data_file": "config.warmup[].inputs[].dataFile",
        },
        "ModelResponseCache": {"enable": "config.responseCache"},
    }
)
"""Fields of the typed configuration, with their path in `spec.models[]` or in the repeated struct."""

_TENSORRT = "it applies to TensorRT models only"
_RAGGED = "TorchScript has no ragged tensors"
_ONE_SERVER = "the operator treats all models of a server equally"

REFUSED: Fields = MappingProxyType(
    {
        "ModelConfig": {
            "runtime": "the format chooses the library that runs the model",
            "batch_input": _RAGGED,
            "batch_output": _RAGGED,
            "cc_model_filenames": "all GPUs of a deployment use the same file",
            "metric_tags": "the metrics collector adds labels",
            "model_operations": "it loads operator libraries into the server",
            "model_transaction_policy": "TorchScript returns one response per request",
            "model_repository_agents": "it runs programs while the model is loaded",
            "model_metrics": "histograms are configured for the whole server",
        },
        "ModelInput": {
            "format": "the PyTorch backend ignores it",
            "is_shape_tensor": _TENSORRT,
            "allow_ragged_batch": _RAGGED,
            "is_non_linear_format_io": _TENSORRT,
        },
        "ModelOutput": {"is_shape_tensor": _TENSORRT, "is_non_linear_format_io": _TENSORRT},
        "ModelOptimizationPolicy": {
            "graph": "the PyTorch backend ignores it",
            "priority": _TENSORRT,
            "cuda": _TENSORRT,
            "execution_accelerators": "they replace the PyTorch backend",
            "gather_kernel_buffer_threshold": "the PyTorch backend ignores it",
        },
        "ModelSequenceBatching": {"iterative_sequence": "TorchScript cannot request another iteration"},
        "State": {
            "use_same_buffer_for_input_output": "the state must not change while the model writes the next one",
            "use_growable_memory": _TENSORRT,
        },
        "ModelEnsembling": {"max_inflight_requests": "older servers reject a configuration with it"},
        "Step": {"model_namespace": "the server has one repository"},
        "ModelInstanceGroup": {
            "rate_limiter": _ONE_SERVER,
            "secondary_devices": _TENSORRT,
            "profile": _TENSORRT,
            "passive": _ONE_SERVER,
            "host_policy": _ONE_SERVER,
        },
    }
)
"""Fields of these messages that the typed configuration does not have, with the reason."""


SINCE = MappingProxyType(
    {"is_non_linear_format_io": "24.08", "model_metrics": "24.11", "max_inflight_requests": "25.11"}
)
"""First release with a field; older releases reject the whole file (common, protobuf/model_config.proto)."""


def refusal(path: str, message_type: str, field: str) -> ConfigError:
    """The error for a field at `path` that the typed configuration does not have."""
    why = REFUSED.get(message_type, {}).get(field)
    if why is None:
        return ConfigError(f"{path}: Triton's {message_type} has no field of this name")
    return ConfigError(f"{path}: not part of the typed config ({why}); configMapRef supports it")
