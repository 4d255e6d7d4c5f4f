"""config.pbtxt: what is written is what protobuf reads."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import text_format
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc import model_config_pb2

from training import MODELS, REPOSITORY, pbtxt
from training.model_config import Tensor, pytorch_config


def _read(text: str) -> Any:
    return text_format.Parse(text, model_config_pb2.ModelConfig())


@given(st.text(st.characters(codec="utf-8")))
def test_any_text_comes_back(value: str) -> None:
    """Quotes, line breaks, control characters and Chinese."""
    assert _read(pbtxt.to_text({"name": value})).name == value


def test_any_structure_comes_back() -> None:
    """Blocks, lists, enums, booleans, maps and empty messages."""
    message: pbtxt.Message = {
        "max_batch_size": 4,
        "input": [
            {"name": "a", "dims": [-1, 2], "data_type": pbtxt.Word("TYPE_BOOL")},
            {"name": "b", "optional": True},
        ],
        "parameters": [{"key": "K", "value": {"string_value": "v"}}],
        "dynamic_batching": {},
    }
    config = _read(pbtxt.to_text(message))
    assert config.max_batch_size == 4
    assert [each.name for each in config.input] == ["a", "b"]
    assert list(config.input[0].dims) == [-1, 2]
    assert config.input[0].data_type == model_config_pb2.TYPE_BOOL
    assert config.input[1].optional
    assert config.parameters["K"].string_value == "v"
    assert config.HasField("dynamic_batching")


def test_a_model_with_fixed_shapes_is_warmed_up_with_zeros() -> None:
    """Nobody's first request waits for the compiler."""
    tensor = Tensor("INPUT__0", "FP32", (1, 28, 28))
    config = _read(
        pbtxt.to_text(
            pytorch_config("m", inputs=[tensor], outputs=[Tensor("OUTPUT__0", "FP32", (10,))], max_batch_size=8)
        )
    )
    (warm_up,) = config.model_warmup
    assert (warm_up.batch_size, warm_up.count) == (1, 3)
    sample = warm_up.inputs["INPUT__0"]
    assert (list(sample.dims), sample.zero_data, sample.data_type) == ([1, 28, 28], True, model_config_pb2.TYPE_FP32)
    assert config.HasField("dynamic_batching")


def test_a_model_without_batches_or_fixed_shapes_gets_neither_batching_nor_warm_up() -> None:
    """Triton refuses dynamic batching without a batch dimension, and zeros of any length cannot be made."""
    tensor = Tensor("INPUT__0", "STRING", (-1,))
    config = _read(pbtxt.to_text(pytorch_config("m", inputs=[tensor], outputs=[tensor], max_batch_size=0)))
    assert not config.HasField("dynamic_batching")
    assert not config.model_warmup


@pytest.mark.parametrize("name", MODELS)
def test_committed_models_declare_what_triton_needs(name: str) -> None:
    """The name of the folder, the backend, tensors by position, and a processor when there is no GPU."""
    config = _read((REPOSITORY / name / "config.pbtxt").read_text(encoding="utf-8"))
    assert config.name == name
    assert config.backend == "pytorch"
    assert config.max_batch_size == 64
    assert [(each.name, each.data_type) for each in config.input] == [("INPUT__0", model_config_pb2.TYPE_FP32)]
    assert [(each.name, each.data_type) for each in config.output] == [("OUTPUT__0", model_config_pb2.TYPE_FP32)]
    assert [each.kind for each in config.instance_group] == [model_config_pb2.ModelInstanceGroup.KIND_AUTO]
