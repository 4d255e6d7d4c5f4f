"""The configurations of this project's models."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from training import MODELS, REPOSITORY
from triton_operator.export.config import config_text
from triton_operator.triton.model_file.archive import read_signature
from triton_operator.triton.model_file.signature import Signature, TensorSpec


def _read(text: str) -> Any:
    return text_format.Parse(text, model_config_pb2.ModelConfig())


def test_a_model_with_fixed_shapes_is_warmed_up_with_zeros() -> None:
    """The first request does not wait for the compiler."""
    signature = Signature((TensorSpec("INPUT__0", "FP32", (1, 28, 28)),), (TensorSpec("OUTPUT__0", "FP32", (10,)),), 8)
    config = _read(config_text("m", signature))
    (warm_up,) = config.model_warmup
    assert (warm_up.batch_size, warm_up.count) == (1, 3)
    sample = warm_up.inputs["INPUT__0"]
    assert (list(sample.dims), sample.zero_data, sample.data_type) == ([1, 28, 28], True, model_config_pb2.TYPE_FP32)
    assert config.HasField("dynamic_batching")
    assert not config.parameters


def test_a_model_without_batches_or_fixed_shapes_gets_neither_batching_nor_warm_up() -> None:
    """Triton rejects dynamic batching without a batch dimension, and a warm-up needs fixed shapes."""
    tensors = (TensorSpec("INPUT__0", "STRING", (-1,)),)
    config = _read(config_text("m", Signature(tensors, tensors)))
    assert not config.HasField("dynamic_batching")
    assert not config.model_warmup


@pytest.mark.parametrize("name", MODELS)
def test_committed_models_declare_what_triton_needs(name: str) -> None:
    """The name of the folder, the backend, tensors by position, and a processor when there is no GPU."""
    config = _read((REPOSITORY / name / "config.pbtxt").read_text(encoding="utf-8"))
    assert config.name == name
    assert config.backend == "pytorch"
    assert config.max_batch_size == 64
    assert [each.name for each in config.input] == [f"INPUT__{index}" for index in range(len(config.input))]
    assert [(each.name, each.data_type) for each in config.output] == [("OUTPUT__0", model_config_pb2.TYPE_FP32)]
    assert [each.kind for each in config.instance_group] == [model_config_pb2.ModelInstanceGroup.KIND_AUTO]


@pytest.mark.parametrize("name", MODELS)
def test_committed_configurations_match_the_signature_of_the_file(name: str) -> None:
    """The signature in the file generates the committed configuration."""
    signature = read_signature(REPOSITORY / name / "1" / "model.pt")
    assert signature
    assert (REPOSITORY / name / "config.pbtxt").read_text(encoding="utf-8") == config_text(name, signature)
