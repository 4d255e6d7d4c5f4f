"""The typed configuration, compared with Triton's protobuf: rendered, parsed by protobuf, and read back."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import text_format
from google.protobuf.descriptor import Descriptor
from hypothesis import given, settings
from tritonclient.grpc import model_config_pb2

from tests.configs import configs, version_policies
from tests.typed_config import format_of, from_message, name_of
from triton_operator.api.batching import DynamicBatching, QueuePolicy, TimeoutAction
from triton_operator.api.model import AllVersions, Format, LatestVersions, VersionPolicy
from triton_operator.api.model_config import Ensemble, EnsembleStep, Input, ModelConfig, Warmup, WarmupData, WarmupInput
from triton_operator.api.tensor import DataType
from triton_operator.triton.config.fields import COVERED, REFUSED
from triton_operator.triton.config.typed_config import to_message
from triton_operator.triton.config.version_policy import version_policy_of
from triton_operator.triton.text.errors import ConfigError
from triton_operator.triton.text.parser import parse
from triton_operator.triton.text.writer import write

MESSAGES: dict[str, Descriptor] = {}


def collect(descriptor: Descriptor) -> None:
    """Add a message type and those of its covered fields."""
    if descriptor.name in MESSAGES:
        assert MESSAGES[descriptor.name] is descriptor, f"two message types are called {descriptor.name}"
        return
    MESSAGES[descriptor.name] = descriptor
    for field in descriptor.fields:
        if field.message_type is not None and field.name in COVERED.get(descriptor.name, {}):
            collect(field.message_type)


collect(model_config_pb2.ModelConfig.DESCRIPTOR)


def protobuf(text: str) -> Any:
    """The text as parsed by Triton's protobuf; raises an error for an unknown field or value."""
    return text_format.Parse(text, model_config_pb2.ModelConfig())


@settings(deadline=None, max_examples=100)
@given(config=configs)
def test_any_config_is_read_back_from_its_text(config: ModelConfig) -> None:
    message = to_message(config, name="digits")
    assert parse(write(message)) == message
    assert from_message(parse(write(message))) == config


@settings(deadline=None, max_examples=100)
@given(config=configs, policy=version_policies)
def test_triton_reads_any_config_correctly(config: ModelConfig, policy: VersionPolicy) -> None:
    """The text that protobuf prints is read back as the same configuration."""
    read = protobuf(write(to_message(config, name="digits", version_policy=policy)))
    assert read.name == "digits"
    assert [tensor.name for tensor in read.input] == [tensor.name for tensor in config.inputs]
    assert read.max_batch_size == (config.max_batch_size or 0)
    assert {key: value.string_value for key, value in read.parameters.items()} == config.parameters
    again = parse(text_format.MessageToString(read, as_utf8=True))
    assert version_policy_of(again) == policy
    assert protobuf(write(to_message(from_message(again), name="digits", version_policy=policy))) == read


@pytest.mark.parametrize("model_format", Format)
def test_name_and_format_are_read_back(model_format: Format) -> None:
    message = to_message(ModelConfig(), name="digits", format=model_format)
    protobuf(write(message))
    assert (name_of(message), format_of(message)) == ("digits", model_format)


def test_a_config_looks_like_a_hand_written_one() -> None:
    config = ModelConfig(
        inputs=(Input("INPUT__0", DataType.FP32, (1, 28, 28)),),
        max_batch_size=8,
        dynamic_batching=DynamicBatching(default_queue_policy=QueuePolicy(64, 100_000, TimeoutAction.REJECT)),
        warmup=(Warmup("zeros", 1, (WarmupInput("INPUT__0", DataType.FP32, (1, 28, 28), WarmupData.ZERO),), 3),),
        response_cache=True,
        parameters={"INFERENCE_MODE": "true"},
    )
    policy = VersionPolicy(latest=LatestVersions(2))
    assert write(to_message(config, name="digits", version_policy=policy)) == EXPECTED


EXPECTED = """\
name: "digits"
backend: "pytorch"
version_policy {
  latest {
    num_versions: 2
  }
}
max_batch_size: 8
input {
  name: "INPUT__0"
  data_type: TYPE_FP32
  dims: [1, 28, 28]
}
dynamic_batching {
  default_queue_policy {
    max_queue_size: 64
    default_timeout_microseconds: 100000
    timeout_action: REJECT
  }
}
model_warmup {
  name: "zeros"
  batch_size: 1
  count: 3
  inputs {
    key: "INPUT__0"
    value {
      data_type: TYPE_FP32
      dims: [1, 28, 28]
      zero_data: true
    }
  }
}
response_cache {
  enable: true
}
parameters {
  key: "INFERENCE_MODE"
  value {
    string_value: "true"
  }
}
"""


def test_a_step_without_a_version_uses_the_latest() -> None:
    """Triton uses 0, the protobuf default, as a version."""
    config = ModelConfig(ensemble=Ensemble((EnsembleStep("tagger", {"INPUT__0": "TEXT"}, {"OUTPUT__0": "TAG"}),)))
    read = protobuf(write(to_message(config, name="pipeline", format=Format.ENSEMBLE)))
    assert read.ensemble_scheduling.step[0].model_version == -1
    assert read.platform == "ensemble"


def test_a_string_cannot_add_fields() -> None:
    hostile = 'a"\nbackend: "python'
    message = to_message(ModelConfig(parameters={"K": hostile}), name="digits")
    read = protobuf(write(message))
    assert read.backend == "pytorch"
    assert read.parameters["K"].string_value == hostile


@pytest.mark.parametrize("name", MESSAGES)
def test_every_field_of_triton_is_covered_or_rejected(name: str) -> None:
    """Each field that a new release adds requires a decision."""
    covered, refused = set(COVERED.get(name, {})), set(REFUSED.get(name, {}))
    assert covered | refused == {field.name for field in MESSAGES[name].fields}
    assert not covered & refused


def test_the_tables_contain_only_messages_of_triton() -> None:
    assert (COVERED.keys() | REFUSED.keys()) == MESSAGES.keys()


@pytest.mark.parametrize("field", REFUSED["ModelConfig"])
def test_a_rejected_field_is_named_with_the_reason(field: str) -> None:
    with pytest.raises(ConfigError, match=f"^{field}: not part of the typed config .*configMapRef"):
        from_message({field: [{}]})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('input { name: "a" data_type: TYPE_FP32 dims: 1 format: FORMAT_NCHW }', "input[0].format: not part"),
        ('input { name: "a" data_type: TYPE_FP32 }', "input[0].dims: is missing"),
        ('input { name: "a" data_type: TYPE_FP33 dims: 1 }', "input[0].data_type: must be one of TYPE_BOOL"),
        ('input { name: "a" data_type: 11 dims: 1 }', "input[0].data_type: must be one of"),
        ("input: 1", "input[0]: must be a message"),
        ("max_batch_size: 1 max_batch_size: 2", "max_batch_size: is set 2 times"),
        ("max_batch_size: '8'", "max_batch_size: must be a whole number, not '8'"),
        ("default_model_filename: model", "default_model_filename: must be a string in quotes, not model"),
        ("instance_group { count: 1 rate_limiter { priority: 1 } }", "instance_group[0].rate_limiter: not part"),
        ("dynamic_batching { preserve_ordering: yes }", "dynamic_batching.preserve_ordering: must be true or false"),
        ("batching { }", "batching: Triton's ModelConfig has no field of this name"),
        ("response_cache { enabel: true }", "response_cache.enabel: Triton's ModelResponseCache has no field"),
        ("parameters { key: 'a' value { } } parameters { key: 'a' value { } }", 'parameters[1].key: "a" is set twice'),
        ("parameters { key: 'a' }", "parameters[0].value: is missing"),
        (
            "sequence_batching { direct { minimum_slot_utilization: 0.333 } }",
            "sequence_batching.direct.minimum_slot_utilization: must be between 0 and 1 with at most two decimals",
        ),
        (
            "sequence_batching { control_input { name: 'a' control { int32_false_true: [1, 0] } } }",
            "control_input[0].control.int32_false_true: must be 0 for false",
        ),
        ("sequence_batching { control_input { name: 'a' } }", "control_input[0].control: is set 0 times"),
        (
            "sequence_batching { control_input { name: 'a' control { kind: CONTROL_SEQUENCE_CORRID } } }",
            "exactly one of data_type must be set",
        ),
        (
            "sequence_batching { state { data_type: TYPE_FP32 initial_state { data_type: TYPE_FP16 } } }",
            "state[0].initial_state.data_type: must be the state's own",
        ),
        (
            "model_warmup { name: 'z' batch_size: 1 inputs { key: 'a' value { data_type: TYPE_FP32 dims: 1 } } }",
            "model_warmup[0].inputs[0]: exactly one of zero_data, random_data, input_data_file must be set",
        ),
    ],
)
def test_content_that_cannot_be_typed_is_rejected_with_its_path(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        from_message(parse(text))
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('backend: "pytorch"', Format.TORCHSCRIPT),
        ('platform: "pytorch_libtorch"', Format.TORCHSCRIPT),
        ('backend: "pytorch" platform: "torch_aoti"', Format.AOT_INDUCTOR),
        ('platform: "onnxruntime_onnx"', Format.ONNX),
    ],
)
def test_a_format_is_recognised_by_its_other_names(text: str, expected: Format) -> None:
    assert format_of(parse(text)) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", 'backend: "" is not one of pytorch'),
        ('backend: "tensorrt"', 'backend: "tensorrt" is not one of'),
        ('platform: "tensorrt_plan"', 'platform: "tensorrt_plan" is not one of'),
        ('backend: "python" platform: "torch_aoti"', 'backend: "python" does not run the platform "torch_aoti"'),
    ],
)
def test_an_unsupported_format_is_rejected(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        format_of(parse(text))


def test_a_version_policy_has_exactly_one_member() -> None:
    assert version_policy_of(parse("version_policy { all { } }")) == VersionPolicy(all=AllVersions())
    assert version_policy_of({}) is None
    with pytest.raises(ConfigError, match="exactly one of latest, all, specific"):
        version_policy_of(parse("version_policy { all { } latest { num_versions: 1 } }"))
