"""A configuration and the model's signature: missing fields are added, and contradictions are reported."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc import model_config_pb2

from tests.archives import SIGNATURE
from triton_operator.triton.config.signature_merge import merge
from triton_operator.triton.model_file.signature import TORCHSCRIPT_TYPES, Signature, TensorSpec
from triton_operator.triton.text.errors import ConfigError
from triton_operator.triton.text.parser import Identifier, Message, parse
from triton_operator.triton.text.values import DATA_TYPES

INPUT = "input { name: 'INPUT__0' data_type: TYPE_FP32 dims: [1, 28, 28] }"
OUTPUT = "output { name: 'OUTPUT__0' data_type: TYPE_FP32 dims: 10 }"
RESHAPE = "reshape { shape: [1, 28, 28] }"
WHOLE = f"max_batch_size: 64 {INPUT} {OUTPUT}"
TWO = Signature(
    inputs=(TensorSpec("left", "INT64", (-1,)), TensorSpec("right", "INT64", (-1,))),
    outputs=(TensorSpec("sum", "INT64", (-1,)), TensorSpec("product", "INT64", (-1,))),
)


def test_data_types_have_tritons_numbers() -> None:
    assert [f"TYPE_{name}" for name in DATA_TYPES] == [
        value.name for value in model_config_pb2.DataType.DESCRIPTOR.values
    ]
    assert set(DATA_TYPES) >= TORCHSCRIPT_TYPES


@pytest.mark.parametrize(
    "config",
    [
        "",
        "max_batch_size: 64",
        INPUT,
        OUTPUT,
        "input { name: 'INPUT__0' }",
        "input { name: 'INPUT__0' data_type: TYPE_FP32 } output { name: 'OUTPUT__0' dims: 10 }",
        "input { name: 'INPUT__0' dims: [] }",
        WHOLE,
    ],
)
def test_missing_fields_come_from_the_signature(config: str) -> None:
    assert merge(parse(config), SIGNATURE) == parse(WHOLE)


def test_other_fields_stay_unchanged() -> None:
    config = parse("backend: 'pytorch' dynamic_batching { } parameters { key: 'a' value { string_value: 'b' } }")
    assert merge(config, SIGNATURE) == config | parse(WHOLE)


@pytest.mark.parametrize(
    "config",
    [
        f"max_batch_size: 8 {INPUT} {OUTPUT}",
        f"max_batch_size: 64 input {{ name: 'INPUT__0' data_type: 11 dims: [1, 28, 28] }} {OUTPUT}",
        f"{OUTPUT} max_batch_size: 64 input {{ name: 'INPUT__0' data_type: TYPE_FP32 dims: 784 {RESHAPE} }}",
        f"max_batch_size: 0 {INPUT.replace('[1', '[-1, 1')} {OUTPUT.replace('10', '[4, 10]')}",
    ],
)
def test_a_matching_config_stays_unchanged(config: str) -> None:
    """Also with smaller batches, other shapes for clients, or no batching."""
    assert merge(parse(config), SIGNATURE) == parse(config)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (
            "input { name: 'INPUT__0' data_type: TYPE_FP32 dims: 64 }",
            "config.pbtxt declares INPUT__0 as FP32 [64], but the model's signature declares FP32 [1,28,28]",
        ),
        (
            "input { name: 'INPUT__0' data_type: TYPE_INT64 }",
            "declares INPUT__0 as INT64 [1,28,28], but the model's signature",
        ),
        ("input { name: 'INPUT__0' data_type: 9 }", "declares INPUT__0 as INT64"),
        (
            "input { name: 'INPUT__0' dims: [1, -1, 28] }",
            "[1,-1,28], but the model's signature declares FP32 [1,28,28]",
        ),
        (
            "output { name: 'OUTPUT__0' dims: [64, 10] }",
            "FP32 [10]; with max_batch_size, dims do not include the batch",
        ),
        ("max_batch_size: 0 input { name: 'INPUT__0' dims: [1, 28, 28] }", "dims begin with the batch"),
        ("input { name: 'images' }", 'declares the input "images", but the model\'s signature declares INPUT__0'),
        ("max_batch_size: 65", "declares max_batch_size 65, but the model's signature allows at most 64"),
        ("max_batch_size: many", "max_batch_size: must be a whole number"),
        ("input: 5", "input: must be a message"),
        ("input { }", "input: has no name"),
        ("input { name: 'INPUT__0' } input { name: 'INPUT__0' }", '"INPUT__0" is set twice'),
        ("input { name: 'INPUT__0' dims: 'x' }", "dims: must be a whole number"),
        ("input { name: 'INPUT__0' data_type: 'FP32' }", "data_type: must be a word such as TYPE_FP32"),
        ("input { name: 'INPUT__0' reshape: 1 }", "reshape: must be a message"),
    ],
)
def test_a_contradiction_names_both_sides(config: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        merge(parse(config), SIGNATURE)
    assert words in str(caught.value)


def test_a_model_without_a_batch_cannot_be_batched() -> None:
    with pytest.raises(
        ConfigError, match=r"max_batch_size 8, .* allows only 0, because the model has no batch dimension"
    ):
        merge(parse("max_batch_size: 8"), TWO)
    assert "max_batch_size" not in merge({}, TWO)


def test_tensors_get_the_order_of_forward() -> None:
    """Triton assigns other names by position, so a wrong order would go unnoticed."""
    merged = merge(parse("input [{ name: 'right' }, { name: 'left' }]"), TWO)
    assert [each["name"] for each in merged["input"] if isinstance(each, dict)] == [["left"], ["right"]]


def test_all_inputs_and_outputs_of_forward_are_required() -> None:
    """An output may be omitted if the names contain the positions."""
    with pytest.raises(ConfigError, match="the inputs left, but the model's signature also declares right"):
        merge(parse("input { name: 'left' }"), TWO)
    with pytest.raises(ConfigError, match="also declares sum"):
        merge(parse("output { name: 'product' }"), TWO)
    numbered = Signature(TWO.inputs, (TensorSpec("OUT__0", "FP32", (1,)), TensorSpec("OUT__1", "FP32", (2,))))
    assert len(merge(parse("output { name: 'OUT__1' }"), numbered)["output"]) == 1


def test_a_tensor_with_one_value_per_row_is_reshaped() -> None:
    """Triton requires at least one dimension, but the model has only the batch dimension."""
    scores = Signature(SIGNATURE.inputs, (TensorSpec("score", "FP32", ()),), 8)
    (output,) = merge({}, scores)["output"]
    assert output == parse("name: 'score' data_type: TYPE_FP32 dims: 1 reshape { }")
    with pytest.raises(ConfigError, match=r"score as FP32 \[1\], but the model's signature declares FP32 \[\]"):
        merge(parse("output { name: 'score' dims: 1 }"), scores)
    assert merge(parse("max_batch_size: 0"), scores)["output"] == [parse("name: 'score' data_type: TYPE_FP32 dims: -1")]


sizes = st.lists(st.integers(-1, 100), min_size=1, max_size=4)


@given(st.sampled_from(sorted(TORCHSCRIPT_TYPES)), sizes, st.sampled_from(DATA_TYPES), sizes)
def test_a_config_passes_exactly_if_the_model_accepts_its_shapes(
    own_type: str, own: list[int], data_type: str, dims: list[int]
) -> None:
    signature = Signature((TensorSpec("x", own_type, tuple(own)),), (TensorSpec("y", "FP32", (1,)),))
    config: Message = {"input": [{"name": ["x"], "data_type": [Identifier(f"TYPE_{data_type}")], "dims": [*dims]}]}
    fits = own_type == data_type and len(own) == len(dims)
    fits = fits and all(mine in {-1, declared} for mine, declared in zip(own, dims, strict=True))
    if fits:
        assert merge(config, signature)["input"] == config["input"]
    else:
        with pytest.raises(ConfigError, match=r"x as .*, but the model's signature declares"):
            merge(config, signature)


SEQUENCE = """
sequence_batching {
  control_input { name: "START__1" control { kind: CONTROL_SEQUENCE_START int32_false_true: [0, 1] } }
  state { input_name: "STATE__2" output_name: "STATE__1" data_type: TYPE_FP32 dims: 1 }
}
batch_input {
  kind: BATCH_ELEMENT_COUNT target_name: "COUNTS__3" data_type: TYPE_INT32 source_input: "X__0"
}
"""


@pytest.mark.parametrize("inputs", ["", "input { name: 'X__0' data_type: TYPE_FP32 dims: 2 }"])
def test_inputs_that_triton_fills_are_not_missing(inputs: str) -> None:
    """A signature has all inputs and outputs of forward(); clients send and receive only some of them."""
    signature = Signature(
        inputs=tuple(TensorSpec(name, "FP32", (2,)) for name in ("X__0", "START__1", "STATE__2", "COUNTS__3")),
        outputs=(TensorSpec("Y__0", "FP32", (2,)), TensorSpec("STATE__1", "FP32", (1,))),
    )
    merged = merge(parse(inputs + SEQUENCE), signature)
    assert [[entry["name"] for entry in merged[field] if isinstance(entry, dict)] for field in ("input", "output")] == [
        [["X__0"]],
        [["Y__0"]],
    ]
    assert {field: merged[field] for field in ("sequence_batching", "batch_input")} == parse(SEQUENCE)
