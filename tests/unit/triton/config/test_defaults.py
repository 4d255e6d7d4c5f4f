"""Defaults of a configuration: fast according to measurements, and they never change a value that is set."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from google.protobuf import text_format
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from tritonclient.grpc import model_config_pb2

from tests.configs import configs
from tests.typed_config import from_message
from triton_operator.api.model import Format
from triton_operator.api.model_config import ModelConfig
from triton_operator.triton.config.defaults import LATENCY, THROUGHPUT, Completed, TuningInputs, complete
from triton_operator.triton.config.typed_config import to_message
from triton_operator.triton.text.parser import Message, parse
from triton_operator.triton.text.writer import write

TENSORS = """
input { name: "INPUT__0" data_type: TYPE_FP32 dims: [1, 28, 28] }
output { name: "OUTPUT__0" data_type: TYPE_FP32 dims: [10] }
"""
DIGITS = f'name: "digits" backend: "pytorch" max_batch_size: 64 {TENSORS}'


def completed(text: str = DIGITS, **tuning: Any) -> Completed:
    """The text, completed for a pod with these tuning inputs."""
    return complete(parse(text), TuningInputs(**tuning))


def instances(outcome: Completed) -> tuple[int, str]:
    """Number and kind of the only instance group."""
    (group,) = outcome.message["instance_group"]
    assert isinstance(group, dict)
    return group["count"][0], group["kind"][0]  # type: ignore[return-value]


def parameters(outcome: Completed) -> dict[Any, Any]:
    """The parameters as a mapping."""
    return {
        entry["key"][0]: entry["value"][0]["string_value"][0]  # type: ignore[index]
        for entry in outcome.message.get("parameters", [])
    }


@pytest.mark.parametrize(
    ("tuning", "group", "threads"),
    [
        ({}, (1, "KIND_CPU"), "1"),
        ({"cpus": 1}, (1, "KIND_CPU"), "1"),
        ({"cpus": 4}, (4, "KIND_CPU"), "1"),
        ({"cpus": 4, "objective": THROUGHPUT}, (4, "KIND_CPU"), "1"),
        ({"cpus": 4, "objective": LATENCY}, (1, "KIND_CPU"), "4"),
        ({"objective": LATENCY}, (1, "KIND_CPU"), None),
        ({"cpus": 8, "gpus": 2}, (1, "KIND_GPU"), None),
        ({"gpus": 1, "objective": LATENCY}, (1, "KIND_GPU"), None),
    ],
)
def test_instances_and_threads_follow_the_pod(
    tuning: dict[str, Any], group: tuple[int, str], threads: str | None
) -> None:
    """Together, they never use more CPUs than the limit."""
    outcome = completed(**tuning)
    assert instances(outcome) == group
    assert parameters(outcome).get("INTRA_OP_THREAD_COUNT") == threads


def test_a_minimal_configuration_is_completed() -> None:
    """The entire configuration of the digits network on two CPUs, with the reasons."""
    outcome = completed(cpus=2)
    assert outcome.message == parse(
        DIGITS
        + """
        instance_group { count: 2 kind: KIND_CPU }
        parameters { key: "INTRA_OP_THREAD_COUNT" value { string_value: "1" } }
        dynamic_batching {}
        model_warmup {
          name: "zeros for INPUT__0 [1, 28, 28]" batch_size: 1 count: 3
          inputs { key: "INPUT__0" value { data_type: TYPE_FP32 dims: [1, 28, 28] zero_data: true } }
        }
        """
    )
    assert [choice.field for choice in outcome.choices] == [
        "instanceGroups",
        "parameters.INTRA_OP_THREAD_COUNT",
        "dynamicBatching",
        "warmup",
    ]
    assert all(choice.value and choice.why.endswith(".") for choice in outcome.choices)


@pytest.mark.parametrize(
    "text",
    [
        "instance_group { count: 7 }",
        'parameters { key: "INTRA_OP_THREAD_COUNT" value { string_value: "7" } }',
        "dynamic_batching { max_queue_delay_microseconds: 100 }",
        'model_warmup { name: "mine" batch_size: 8 }',
    ],
)
def test_a_field_that_is_set_stays_unchanged(text: str) -> None:
    """Any field; defaults are still chosen for the others."""
    outcome = completed(DIGITS + text, cpus=2)
    (field,) = parse(text)
    assert outcome.message[field] == parse(text)[field]
    assert len(outcome.choices) == 3


def test_other_parameters_stay_next_to_the_number_of_threads() -> None:
    """An entry is added to the map."""
    outcome = completed(DIGITS + 'parameters { key: "INFERENCE_MODE" value { string_value: "true" } }')
    assert parameters(outcome) == {"INFERENCE_MODE": "true", "INTRA_OP_THREAD_COUNT": "1"}


def test_the_users_instances_share_the_cpus() -> None:
    """With the objective Latency, the CPUs are divided among the user's instances."""
    outcome = completed(DIGITS + "instance_group { count: 2 }", cpus=8, objective=LATENCY)
    assert parameters(outcome)["INTRA_OP_THREAD_COUNT"] == "4"


def test_a_model_without_batches_gets_no_dynamic_batching() -> None:
    """Triton would reject it."""
    outcome = completed(f'backend: "pytorch" {TENSORS}')
    assert "dynamic_batching" not in outcome.message


def test_a_sequence_model_gets_neither_dynamic_batching_nor_a_warmup() -> None:
    """The sequence scheduler batches requests, and a warm-up request would not belong to any sequence."""
    outcome = completed(DIGITS + "sequence_batching { max_sequence_idle_microseconds: 1 }")
    assert not {"dynamic_batching", "model_warmup"} & outcome.message.keys()


@pytest.mark.parametrize("kind", ['platform: "ensemble"', "ensemble_scheduling { step { model_name: 'a' } }"])
def test_an_ensemble_stays_as_it_is(kind: str) -> None:
    """An ensemble has no instances; the models of its steps do."""
    text = f'name: "pipeline" max_batch_size: 8 {TENSORS} {kind}'
    assert completed(text, cpus=4) == (parse(text), ())


@pytest.mark.parametrize("dims", ["[-1, 28]", "[]", "[100000, 100000]"])
def test_without_known_dims_there_is_no_warmup(dims: str) -> None:
    """The shape of the request is unknown, or the request would be too large."""
    text = f'backend: "pytorch" input {{ name: "x" data_type: TYPE_FP32 dims: {dims} }}'
    assert "model_warmup" not in completed(text).message


def test_optional_inputs_are_not_sent_in_a_warmup() -> None:
    """Most requests do not contain them."""
    text = DIGITS + 'input { name: "mask" data_type: TYPE_BOOL dims: [1] optional: true }'
    (warmup,) = completed(text).message["model_warmup"]
    assert [entry["key"] for entry in warmup["inputs"]] == [["INPUT__0"]]  # type: ignore[index]


def test_string_inputs_are_warmed_up_with_empty_strings() -> None:
    """Triton creates them for zero data."""
    text = 'backend: "pytorch" input { name: "TEXT" data_type: TYPE_STRING dims: [1] }'
    assert "TEXT [1]" in completed(text).choices[-1].value


def test_onnx_has_its_own_name_for_threads() -> None:
    """And the same rule."""
    outcome = completed(f'backend: "onnxruntime" max_batch_size: 4 {TENSORS}', cpus=2)
    assert (instances(outcome), parameters(outcome)) == ((2, "KIND_CPU"), {"intra_op_thread_count": "1"})


@pytest.mark.parametrize(
    "backend", ['backend: "python"', 'platform: "torch_aoti"', 'backend: "pytorch" runtime: "model.py"']
)
def test_a_backend_that_was_not_measured_gets_one_instance_and_no_warmup(backend: str) -> None:
    """The author of the model decides about processes, threads and warm-ups."""
    outcome = completed(f"{backend} max_batch_size: 4 {TENSORS}", cpus=8)
    assert instances(outcome) == (1, "KIND_CPU")
    assert parameters(outcome) == {}
    assert "model_warmup" not in outcome.message
    assert "dynamic_batching" in outcome.message


@pytest.mark.parametrize(("objective", "expected"), [("", False), (THROUGHPUT, True), (LATENCY, True)])
def test_a_hand_written_file_is_completed_only_for_an_objective(objective: str, expected: bool) -> None:
    """Otherwise, the author's file is used unchanged."""
    assert TuningInputs(objective=objective).may_complete(hand_written=True) is expected
    assert TuningInputs(objective=objective).may_complete(hand_written=False)


@settings(deadline=None, max_examples=100)
@given(config=configs, cpus=st.none() | st.integers(1, 64), gpus=st.integers(0, 2), latency=st.booleans())
def test_triton_reads_any_completed_typed_configuration(
    config: ModelConfig, cpus: int | None, gpus: int, *, latency: bool
) -> None:
    """It is also read back as a typed configuration that contains the user's values."""
    tuning = TuningInputs(cpus=cpus, gpus=gpus, objective=LATENCY if latency else "")
    model_format = Format.ENSEMBLE if config.ensemble else Format.TORCHSCRIPT
    outcome = complete(to_message(config, name="m", format=model_format), tuning)
    assert text_format.Parse(write(outcome.message), model_config_pb2.ModelConfig()).name == "m"
    read = from_message(outcome.message)
    for field in structs.fields(ModelConfig):
        original, result = getattr(config, field.name), getattr(read, field.name)
        assert result == original or not original or (field.name == "parameters" and original.items() <= result.items())


PARTS = [
    'name: "m"',
    'backend: "pytorch"',
    'backend: "python"',
    'platform: "ensemble"',
    "max_batch_size: 8",
    'input { name: "x" data_type: TYPE_FP32 dims: [4] }',
    'input { name: "y" data_type: TYPE_INT64 dims: [-1] }',
    "instance_group { count: 3 }",
    "dynamic_batching {}",
    "sequence_batching {}",
    'parameters { key: "a" value { string_value: "b" } }',
]


@given(
    parts=st.lists(st.sampled_from(PARTS), unique=True),
    cpus=st.none() | st.integers(1, 64),
    gpus=st.integers(0, 8),
    objective=st.sampled_from(["", THROUGHPUT, LATENCY]),
)
def test_completing_a_configuration_is_idempotent(
    parts: list[str], cpus: int | None, gpus: int, objective: str
) -> None:
    """The output has all fields of the input unchanged, and the input message is not modified."""
    before: Message = parse("\n".join(parts))
    kept = copy.deepcopy(before)
    tuning = TuningInputs(cpus=cpus, gpus=gpus, objective=objective)
    once = complete(before, tuning)
    assert complete(once.message, tuning) == (once.message, ())
    assert before == kept
    for field, values in before.items():
        assert once.message[field][: len(values)] == values
