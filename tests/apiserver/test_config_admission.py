"""Which model configurations a real API server accepts and rejects, and which field the error names."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import msgspec
import pytest

from tests.apiserver.api_client import Api, RequestRefusedError
from tests.apiserver.specs import MINIMAL, NOTHING, changed, create, deployment
from tests.drawn_models import draw_models
from triton_operator.api.model import Model

TENSOR = {"name": "INPUT__0", "dataType": "FP32", "dims": [4]}
OUTPUT = {"name": "OUTPUT__0", "dataType": "FP32", "dims": [2], "labelFilename": "labels.txt"}
WARMUP = {"name": "zeros", "batchSize": 8, "count": 3, "inputs": [TENSOR | {"data": "Zero"}]}
STATE = {"inputName": "IN__1", "outputName": "OUT__1", "dataType": "FP32", "dims": [-1]}
STEP = {"modelName": "tokenizer", "inputMap": {"TEXT": "TEXT"}, "outputMap": {"TOKENS": "TOKENS"}}
CONFIG = {"inputs": [TENSOR], "outputs": [OUTPUT], "maxBatchSize": 8}
QUEUE = {
    "maxQueueSize": 64,
    "defaultTimeoutMicroseconds": 100_000,
    "timeoutAction": "Reject",
    "allowTimeoutOverride": True,
}
MODEL: dict[str, Any] = {"name": "digits", "config": CONFIG}
GPUS = {"gpu": {"count": 2}}
"""What instances on GPUs need in addition to the models."""

FULL_MODELS: dict[str, list[dict[str, Any]]] = {
    "batches as large as public configurations have": [
        MODEL
        | {
            "config": CONFIG
            | {"maxBatchSize": 100_000, "dynamicBatching": {"preferredBatchSizes": [*range(1, 20)]}}
            | {"warmup": [WARMUP | {"batchSize": 100_000}]}
        }
    ],
    "dynamic batching": [
        MODEL
        | {
            "format": "TorchScript",
            "versionPolicy": {"specific": {"versions": [1, 3]}},
            "digest": "sha256:" + "0" * 64,
            "objective": "Latency",
            "config": CONFIG
            | {
                "inputs": [TENSOR | {"reshape": [2, 2], "optional": True}, TENSOR | {"name": "文字", "dims": [-1]}],
                "defaultModelFilename": "digits.pt",
                "instanceGroups": [
                    {"name": "fast", "count": 2, "kind": "GPU", "gpus": [0, 1]},
                    {"count": 1, "kind": "CPU"},
                ],
                "dynamicBatching": {
                    "preferredBatchSizes": [4, 8],
                    "maxQueueDelayMicroseconds": 500,
                    "priorityLevels": 2,
                    "defaultPriorityLevel": 2,
                    "defaultQueuePolicy": QUEUE,
                    "priorityQueuePolicies": [{"priorityLevel": 1, "policy": {"maxQueueSize": 8}}],
                },
                "optimization": {"inputPinnedMemory": True, "outputPinnedMemory": False, "eagerBatching": True},
                "warmup": [WARMUP, {"name": "f", "batchSize": 1, "inputs": [TENSOR | {"dataFile": "raw.bin"}]}],
                "responseCache": True,
                "parameters": {"INFERENCE_MODE": "true"},
            },
        }
    ],
    "sequence batching": [
        MODEL
        | {
            "config": CONFIG
            | {
                "sequenceBatching": {
                    "maxSequenceIdleMicroseconds": 5_000_000,
                    "controlInputs": [
                        {"name": "START__2", "kind": "Start", "dataType": "FP32"},
                        {"name": "ID__3", "kind": "CorrelationID", "dataType": "INT64"},
                    ],
                    "states": [STATE | {"initialState": {"name": "zeros", "dims": [1], "dataFile": "start.bin"}}],
                    "oldest": {
                        "maxCandidateSequences": 64,
                        "preferredBatchSizes": [8],
                        "maxQueueDelayMicroseconds": 1,
                        "preserveOrdering": True,
                    },
                }
            },
        },
        MODEL
        | {
            "name": "other",
            "config": {
                "sequenceBatching": {"direct": {"maxQueueDelayMicroseconds": 9, "minimumSlotUtilizationPercent": 50}}
            },
        },
    ],
    "ensemble": [
        {"name": "tokenizer", "format": "Python", "versionPolicy": {"all": {}}},
        {"name": "tagger", "format": "AOTInductor", "versionPolicy": {"latest": {"count": 2}}},
        {"name": "hand", "format": "ONNX", "configMapRef": {"name": "hand", "key": "hand.pbtxt"}},
        {
            "name": "pipeline",
            "format": "Ensemble",
            "config": CONFIG | {"ensemble": {"steps": [STEP | {"modelVersion": 3}, STEP | {"modelName": "tagger"}]}},
        },
    ],
    "ordered answers": [MODEL | {"config": CONFIG | {"dynamicBatching": {"preserveOrdering": True}}}],
    "any format's data types": [MODEL | {"format": "ONNX", "config": {"inputs": [TENSOR | {"dataType": "BF16"}]}}],
}

# What somebody wrote, where in the model, the field that the server names below it, and words of the reason.
BAD: dict[str, tuple[str, Any, str, str]] = {
    "unknown format": ("format", "torchscript", "", "Unsupported value"),
    "no version policy": ("versionPolicy", {}, "", "exactly one of latest, all and specific"),
    "two version policies": ("versionPolicy", {"all": {}, "latest": {"count": 1}}, "", "exactly one of latest"),
    "no latest version": ("versionPolicy.latest", {"count": 0}, "versionPolicy.latest.count", "equal to 1"),
    "latest without a count": ("versionPolicy.latest", {}, "versionPolicy.latest.count", "Required value"),
    "no version": ("versionPolicy.specific", {"versions": []}, "versionPolicy.specific.versions", "at least 1"),
    "the same version twice": (
        "versionPolicy.specific",
        {"versions": [1, 1]},
        "versionPolicy.specific.versions[1]",
        "Duplicate value",
    ),
    "digest without its kind": ("digest", "0" * 64, "", "match"),
    "digest in capitals": ("digest", "sha256:" + "A" * 64, "", "match"),
    "unknown objective": ("objective", "Cost", "", "Unsupported value"),
    "config twice": ("configMapRef", {"name": "digits"}, "", "together with config"),
    "ConfigMap's name in capitals": ("configMapRef", {"name": "Digits"}, "configMapRef.name", "match"),
    "ConfigMap's key is a path": (
        "configMapRef",
        {"name": "digits", "key": "../secret"},
        "configMapRef.key",
        "match",
    ),
    "ConfigMap's key leaves the repository": (
        "configMapRef",
        {"name": "digits", "key": ".."},
        "configMapRef.key",
        "two dots",
    ),
    "input without a type": ("config.inputs", [{"name": "a", "dims": [1]}], "config.inputs[0].dataType", "Required"),
    "input without a name": (
        "config.inputs",
        [{"dataType": "FP32", "dims": [1]}],
        "config.inputs[0].name",
        "Required",
    ),
    "input without dims": ("config.inputs", [TENSOR | {"dims": []}], "config.inputs[0].dims", "at least 1"),
    "type by torch's name": ("config.inputs.0.dataType", "float32", "config.inputs[0].dataType", "Unsupported value"),
    "type by Triton's prefix": ("config.inputs.0.dataType", "TYPE_FP32", "config.inputs[0].dataType", "Unsupported"),
    "type that TorchScript lacks": ("config.inputs.0.dataType", "BF16", "config.inputs", "cannot pass to TorchScript"),
    "output that TorchScript lacks": (
        "config.outputs.0.dataType",
        "UINT16",
        "config.outputs",
        "cannot receive from TorchScript",
    ),
    "dimension of nothing": ("config.inputs.0.dims", [3, 0], "config.inputs[0].dims[1]", "at least 1, or -1"),
    "dimension of -2": ("config.inputs.0.dims", [-2], "config.inputs[0].dims[0]", "equal to -1"),
    "dimension in words": ("config.inputs.0.dims", ["any"], "config.inputs[0].dims[0]", "must be of type integer"),
    "reshape to nothing": ("config.inputs.0.reshape", [0], "config.inputs[0].reshape[0]", "at least 1, or -1"),
    "scalars without a batch": (
        "config",
        {"inputs": [TENSOR | {"dims": [1], "reshape": []}], "maxBatchSize": 0},
        "config.maxBatchSize",
        "if a reshape is empty",
    ),
    "the same input twice": ("config.inputs", [TENSOR, TENSOR], "config.inputs", "must have unique names"),
    "the same output twice": ("config.outputs", [OUTPUT, OUTPUT], "config.outputs", "must have unique names"),
    "line break in a name": ("config.inputs.0.name", "a\nb", "config.inputs[0].name", "match"),
    "labels from elsewhere": (
        "config.outputs.0.labelFilename",
        "../labels.txt",
        "config.outputs[0].labelFilename",
        "match",
    ),
    "negative batch": ("config.maxBatchSize", -1, "", "equal to 0"),
    "model file from elsewhere": ("config.defaultModelFilename", "/etc/passwd", "", "match"),
    "model file that a shell would run": ("config.defaultModelFilename", "$(reboot).pt", "", "match"),
    "model file of two words": ("config.defaultModelFilename", "my model.pt", "", "match"),
    "hidden model file": ("config.defaultModelFilename", ".model.pt", "", "match"),
    "no instance": ("config.instanceGroups", [{"count": 0}], "config.instanceGroups[0].count", "equal to 1"),
    "kind by Triton's prefix": (
        "config.instanceGroups",
        [{"kind": "KIND_CPU"}],
        "config.instanceGroups[0].kind",
        "Unsupported value",
    ),
    "GPUs for CPUs": (
        "config.instanceGroups",
        [{"kind": "CPU", "gpus": [0]}],
        "config.instanceGroups[0].gpus",
        "unless the kind is GPU",
    ),
    "GPUs of no kind": ("config.instanceGroups", [{"gpus": [0]}], "config.instanceGroups[0].gpus", "kind is GPU"),
    "the same GPU twice": (
        "config.instanceGroups",
        [{"kind": "GPU", "gpus": [0, 0]}],
        "config.instanceGroups[0].gpus[1]",
        "Duplicate value",
    ),
    "batching without a batch": (
        "config",
        {"maxBatchSize": 0, "dynamicBatching": {}},
        "config.dynamicBatching",
        "at least 1",
    ),
    "preferred size beyond the largest": (
        "config.dynamicBatching",
        {"preferredBatchSizes": [4, 16]},
        "config.dynamicBatching.preferredBatchSizes",
        "greater than maxBatchSize",
    ),
    "preferred size of nothing": (
        "config.dynamicBatching",
        {"preferredBatchSizes": [0]},
        "config.dynamicBatching.preferredBatchSizes[0]",
        "equal to 1",
    ),
    "delay with a unit": (
        "config.dynamicBatching",
        {"maxQueueDelayMicroseconds": "5ms"},
        "config.dynamicBatching.maxQueueDelayMicroseconds",
        "must be of type integer",
    ),
    "priorities without a default": (
        "config.dynamicBatching",
        {"priorityLevels": 2},
        "config.dynamicBatching.defaultPriorityLevel",
        "together with priorityLevels",
    ),
    "default beyond the priorities": (
        "config.dynamicBatching",
        {"priorityLevels": 2, "defaultPriorityLevel": 3},
        "config.dynamicBatching.defaultPriorityLevel",
        "greater than priorityLevels",
    ),
    "policy beyond the priorities": (
        "config.dynamicBatching",
        {
            "priorityLevels": 1,
            "defaultPriorityLevel": 1,
            "priorityQueuePolicies": [{"priorityLevel": 2, "policy": {}}],
        },
        "config.dynamicBatching.priorityQueuePolicies",
        "greater than priorityLevels",
    ),
    "two policies of a priority": (
        "config.dynamicBatching",
        {
            "priorityLevels": 1,
            "defaultPriorityLevel": 1,
            "priorityQueuePolicies": [{"priorityLevel": 1, "policy": {}}] * 2,
        },
        "config.dynamicBatching.priorityQueuePolicies[1]",
        "Duplicate value",
    ),
    "order among priorities": (
        "config.dynamicBatching",
        {"priorityLevels": 2, "defaultPriorityLevel": 1, "preserveOrdering": True},
        "config.dynamicBatching.preserveOrdering",
        "several priorityLevels",
    ),
    "order of the delayed": (
        "config.dynamicBatching",
        {"preserveOrdering": True, "defaultQueuePolicy": QUEUE | {"timeoutAction": "Delay"}},
        "config.dynamicBatching.preserveOrdering",
        "changes the order",
    ),
    "unknown action": (
        "config.dynamicBatching",
        {"defaultQueuePolicy": QUEUE | {"timeoutAction": "Drop"}},
        "config.dynamicBatching.defaultQueuePolicy.timeoutAction",
        "Unsupported value",
    ),
    "action without a time": (
        "config.dynamicBatching",
        {"defaultQueuePolicy": {"timeoutAction": "Reject"}},
        "config.dynamicBatching.defaultQueuePolicy.timeoutAction",
        "requires defaultTimeoutMicroseconds",
    ),
    "two batchers": (
        "config",
        {"dynamicBatching": {}, "sequenceBatching": {}},
        "config.sequenceBatching",
        "together with dynamicBatching",
    ),
    "two strategies": (
        "config.sequenceBatching",
        {"direct": {}, "oldest": {"maxCandidateSequences": 1}},
        "config.sequenceBatching.oldest",
        "together with direct",
    ),
    "no candidate": (
        "config.sequenceBatching",
        {"oldest": {"maxCandidateSequences": 0}},
        "config.sequenceBatching.oldest.maxCandidateSequences",
        "equal to 1",
    ),
    "preferred size of sequences": (
        "config.sequenceBatching",
        {"oldest": {"maxCandidateSequences": 9, "preferredBatchSizes": [9]}},
        "config.sequenceBatching.oldest.preferredBatchSizes",
        "greater than maxBatchSize",
    ),
    "more than all slots": (
        "config.sequenceBatching",
        {"direct": {"minimumSlotUtilizationPercent": 101}},
        "config.sequenceBatching.direct.minimumSlotUtilizationPercent",
        "equal to 100",
    ),
    "start as a number of 64 bits": (
        "config.sequenceBatching",
        {"controlInputs": [{"name": "a", "kind": "Start", "dataType": "INT64"}]},
        "config.sequenceBatching.controlInputs[0].dataType",
        "must be BOOL, INT32 or FP32",
    ),
    "the same control twice": (
        "config.sequenceBatching",
        {"controlInputs": [{"name": name, "kind": "Start", "dataType": "BOOL"} for name in "ab"]},
        "config.sequenceBatching.controlInputs[1]",
        "Duplicate value",
    ),
    "state that begins in another shape": (
        "config.sequenceBatching",
        {"states": [STATE | {"initialState": {"name": "zeros", "dims": [1, 1]}}]},
        "config.sequenceBatching.states[0].initialState",
        "the same number of dims",
    ),
    "cached sequences": (
        "config",
        {"responseCache": True, "sequenceBatching": {}},
        "config.responseCache",
        "together with sequenceBatching",
    ),
    "warm-up beyond the largest batch": (
        "config.warmup",
        [WARMUP | {"batchSize": 9}],
        "config.warmup",
        "greater than maxBatchSize",
    ),
    "warm-up of any shape": (
        "config.warmup",
        [WARMUP | {"inputs": [TENSOR | {"data": "Zero", "dims": [-1]}]}],
        "config.warmup[0].inputs[0].dims[0]",
        "equal to 1",
    ),
    "warm-up with nothing": (
        "config.warmup",
        [WARMUP | {"inputs": [TENSOR]}],
        "config.warmup[0].inputs[0]",
        "exactly one of data and dataFile",
    ),
    "warm-up with a file from elsewhere": (
        "config.warmup",
        [WARMUP | {"inputs": [TENSOR | {"dataFile": "../../secret"}]}],
        "config.warmup[0].inputs[0].dataFile",
        "match",
    ),
    "the same warm-up twice": ("config.warmup", [WARMUP, WARMUP], "config.warmup[1]", "Duplicate value"),
    "parameter as a number": (
        "config.parameters",
        {"INTRA_OP_THREAD_COUNT": 1},
        "config.parameters.INTRA_OP_THREAD_COUNT",
        "must be of type string",
    ),
    "parameter without a name": ("config.parameters", {"": "true"}, "", "1 to 128 characters"),
    "ensemble without its format": (
        "config.ensemble",
        {"steps": [STEP | {"modelName": "other"}]},
        "format",
        "must be Ensemble",
    ),
    "format without its ensemble": ("format", "Ensemble", "config", "must contain ensemble"),
}


def spec_with(models: list[dict[str, Any]], **others: Any) -> dict[str, Any]:
    """A spec of these models."""
    return MINIMAL | {"models": models} | others


@pytest.mark.parametrize("case", BAD)
def test_bad_config_is_refused_at_its_field(api: Api, namespace: str, case: str) -> None:
    """The error names the invalid field, and not one of its parents."""
    place, value, field, words = BAD[case]
    model = MODEL | {"config": NOTHING} if place == "configMapRef" and case != "config twice" else MODEL
    model = {name: content for name, content in model.items() if content is not NOTHING}
    spec = changed(spec_with([model, {"name": "other"}], **GPUS), f"models.0.{place}", value)
    with pytest.raises(RequestRefusedError) as refused:
        create(api, namespace, deployment(spec))
    assert refused.value.code == 422, refused.value
    expected = f"spec.models[0].{field or place}"
    assert words in refused.value.fields.get(expected, ""), refused.value.fields
    assert len(refused.value.fields) == 1, refused.value.fields


ENSEMBLE: dict[str, Any] = {
    "name": "pipeline",
    "format": "Ensemble",
    "config": CONFIG | {"ensemble": {"steps": [STEP]}},
}


@pytest.mark.parametrize(
    ("place", "value", "field", "words"),
    [
        ("config.ensemble.steps.0.modelName", "other", "spec.models", "that a step of an ensemble names"),
        ("config.ensemble.steps.0.modelName", "pipeline", "spec.models[1].config.ensemble", "the ensemble itself"),
        ("config.ensemble.steps", [], "spec.models[1].config.ensemble.steps", "at least 1"),
        ("config.ensemble.steps.0.inputMap", {}, "spec.models[1].config.ensemble.steps[0].inputMap", "at least 1"),
        (
            "config.ensemble.steps.0.modelVersion",
            0,
            "spec.models[1].config.ensemble.steps[0].modelVersion",
            "equal to 1",
        ),
        ("config.inputs", NOTHING, "spec.models[1].config.ensemble", "requires inputs and outputs"),
        ("config.dynamicBatching", {}, "spec.models[1].config.ensemble", "belong to the ensemble's models"),
        ("config.warmup", [WARMUP], "spec.models[1].config.ensemble", "belong to the ensemble's models"),
        ("config.instanceGroups", [{"count": 1}], "spec.models[1].config.ensemble", "belong to the ensemble's models"),
    ],
)
def test_bad_ensemble_is_refused_at_its_field(
    api: Api, namespace: str, place: str, value: Any, field: str, words: str
) -> None:
    spec = changed(spec_with([{"name": "tokenizer"}, ENSEMBLE]), f"models.1.{place}", value)
    with pytest.raises(RequestRefusedError) as refused:
        create(api, namespace, deployment(spec))
    assert words in refused.value.fields.get(field, ""), refused.value.fields
    assert len(refused.value.fields) == 1, refused.value.fields


@pytest.mark.parametrize(
    ("config", "others", "words"),
    [
        ({"instanceGroups": [{"kind": "GPU"}]}, {}, "spec.gpu is not set"),
        ({"instanceGroups": [{"kind": "GPU", "gpus": [1]}]}, {"gpu": {}}, "not below spec.gpu.count"),
        ({"instanceGroups": [{"kind": "GPU", "gpus": [0, 2]}]}, {"gpu": {"count": 2}}, "not below spec.gpu.count"),
    ],
)
def test_what_the_pod_does_not_have_is_refused(
    api: Api, namespace: str, config: dict[str, Any], others: dict[str, Any], words: str
) -> None:
    with pytest.raises(RequestRefusedError) as refused:
        create(api, namespace, deployment(spec_with([{"name": "digits", "config": config}], **others)))
    assert set(refused.value.fields) == {"spec.models"}
    assert words in refused.value.fields["spec.models"]


@pytest.mark.parametrize("place", ["config.dynamicBatch", "config.inputs.0.shape", "config.ensemble.scheduler"])
def test_misspelt_field_of_a_config_is_refused(api: Api, namespace: str, place: str) -> None:
    with pytest.raises(RequestRefusedError) as refused:
        create(api, namespace, deployment(changed(spec_with([MODEL]), f"models.0.{place}", 1)))
    assert f'unknown field "spec.models[0].{place.replace(".0", "[0]")}"' in refused.value.message


@pytest.mark.parametrize("case", FULL_MODELS)
def test_every_field_is_accepted_and_kept(api: Api, namespace: str, case: str) -> None:
    """Every field of a configuration is stored unchanged, and the operator can read it."""
    models = FULL_MODELS[case]
    stored = create(api, namespace, deployment(spec_with(models, **GPUS)))["spec"]["models"]
    assert stored == models
    assert json.loads(msgspec.json.encode(msgspec.convert(stored, tuple[Model, ...]))) == models


@pytest.mark.parametrize("seed", range(5))
def test_models_that_triton_loads_are_accepted(api: Api, namespace: str, seed: int) -> None:
    """The rules reject no valid configuration: end-to-end tests deploy the same models."""
    create(api, namespace, deployment(spec_with(msgspec.to_builtins(draw_models(Random(seed), 11)))))
