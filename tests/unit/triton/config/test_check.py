"""Contradictions that the schema cannot detect: reported before a pod is created, at the field that the user wrote."""

from __future__ import annotations

import pytest

from triton_operator.api.batching import ControlInput, ControlKind, SequenceBatching
from triton_operator.api.model_config import (
    Ensemble,
    EnsembleStep,
    Input,
    ModelConfig,
    Output,
    Warmup,
    WarmupData,
    WarmupInput,
)
from triton_operator.api.tensor import DataType
from triton_operator.triton.config.check import check
from triton_operator.triton.text.errors import ConfigError

FP32, INT64 = DataType.FP32, DataType.INT64
STEPS = (
    EnsembleStep("tokenizer", {"T": "TEXT"}, {"I": "IDS"}),
    EnsembleStep("tagger", {"INPUT__0": "IDS"}, {"OUTPUT__0": "TAGS"}),
)


def an_ensemble(
    *steps: EnsembleStep, inputs: tuple[str, ...] = ("TEXT",), outputs: tuple[str, ...] = ("TAGS",)
) -> ModelConfig:
    """An ensemble of these steps, by default from TEXT to TAGS."""
    return ModelConfig(
        inputs=tuple(Input(name, FP32, (1,)) for name in inputs),
        outputs=tuple(Output(name, FP32, (1,)) for name in outputs),
        ensemble=Ensemble(steps),
    )


def a_warmup(*inputs: WarmupInput, sequence_batching: SequenceBatching | None = None) -> ModelConfig:
    """A model with two inputs, one of them optional, and a warm-up with these inputs."""
    known = (Input("A", FP32, (-1, 4)), Input("B", INT64, (1,), optional=True))
    return ModelConfig(inputs=known, warmup=(Warmup("w", 1, inputs),), sequence_batching=sequence_batching)


def zeros(name: str, data_type: DataType, *dims: int) -> WarmupInput:
    """One input of a warm-up."""
    return WarmupInput(name, data_type, dims, WarmupData.ZERO)


@pytest.mark.parametrize(
    ("dims", "reshape"),
    [((4,), (2, 2)), ((1,), ()), ((1, 1), ()), ((2, 4, -1, 6), (8, -1, 1, 6)), ((-1,), (-1,)), ((-1, 3), (-1, 1, 3))],
)
def test_a_reshape_that_keeps_the_number_of_elements_is_valid(dims: tuple[int, ...], reshape: tuple[int, ...]) -> None:
    check(ModelConfig(inputs=(Input("A", FP32, dims, reshape),), outputs=(Output("B", FP32, reshape or (1,), dims),)))


@pytest.mark.parametrize(
    ("dims", "reshape"),
    [((4,), (2,)), ((2,), ()), ((-1,), (1,)), ((2, -1, 3), (3, -1, 2)), ((-1, -1), (-1,)), ((3, -1), (-1, 3))],
)
def test_a_reshape_that_loses_elements_is_rejected(dims: tuple[int, ...], reshape: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match=r"^inputs\[0\].reshape: .* does not have the same number of elements"):
        check(ModelConfig(inputs=(Input("A", FP32, dims, reshape),)))


def test_a_warm_up_with_every_required_input_is_valid() -> None:
    check(a_warmup(zeros("A", FP32, 7, 4)))
    check(a_warmup(zeros("A", FP32, 7, 4), zeros("B", INT64, 1)))
    check(ModelConfig(warmup=a_warmup(zeros("X", FP32, 1)).warmup))
    start = SequenceBatching(control_inputs=(ControlInput("S", ControlKind.START, FP32),))
    check(a_warmup(zeros("A", FP32, 7, 4), zeros("S", FP32, 1), sequence_batching=start))


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (a_warmup(zeros("B", INT64, 1)), "warmup[0].inputs: must contain A"),
        (
            a_warmup(zeros("A", FP32, 1, 4), zeros("C", FP32, 1)),
            'inputs[1].name: the model has no input "C"; it has A, B',
        ),
        (a_warmup(zeros("A", INT64, 1, 4)), "inputs[0].dataType: is INT64, but the input is FP32"),
        (a_warmup(zeros("A", FP32, 4)), "inputs[0].dims: [4] does not match the input's [-1, 4]"),
        (a_warmup(zeros("A", FP32, 1, 5)), "inputs[0].dims: [1, 5] does not match the input's [-1, 4]"),
        (an_ensemble(*STEPS, outputs=("TAGS", "MORE")), 'outputs: no step produces "MORE"'),
        (an_ensemble(*STEPS, inputs=("TEXT", "MORE")), 'inputs: no step uses "MORE"'),
        (an_ensemble(*STEPS, outputs=("IDS",)), '"TAGS" is neither used by a step nor an output'),
        (an_ensemble(STEPS[1]), 'ensemble.steps[0].inputMap[INPUT__0]: "IDS" is neither an input'),
        (an_ensemble(*STEPS, STEPS[1]), 'ensemble.steps[2].outputMap[OUTPUT__0]: "TAGS" is already the output'),
        (
            an_ensemble(EnsembleStep("a", {"X": "P"}, {"Y": "Q"}), EnsembleStep("b", {"X": "Q"}, {"Y": "P"})),
            'ensemble.steps[0].inputMap[X]: "P" is neither an input',
        ),
    ],
)
def test_what_triton_would_reject_is_reported_at_its_field(config: ModelConfig, words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check(config)
    assert words in str(refused.value)


def test_steps_may_be_in_any_order() -> None:
    check(an_ensemble(*STEPS))
    check(an_ensemble(*reversed(STEPS)))
