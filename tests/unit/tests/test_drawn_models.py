"""Models that end-to-end tests deploy: each is valid for Triton's protobuf and for this project's checks."""

from __future__ import annotations

from pathlib import Path
from random import Random

import msgspec
import torch
from google.protobuf import text_format
from hypothesis import given, settings
from hypothesis import strategies as st
from tritonclient.grpc import model_config_pb2

from tests.builders import SETTINGS, a_deployment
from tests.drawn_models import draw_models
from tests.model_folders import write_model
from tests.typed_config import format_of, from_message, name_of
from training import torchscript
from triton_operator.api.model import Format
from triton_operator.resources.build import render
from triton_operator.triton.config.check import check
from triton_operator.triton.config.typed_config import to_message
from triton_operator.triton.config.version_policy import version_policy_of
from triton_operator.triton.text.parser import parse
from triton_operator.triton.text.writer import write


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32))
def test_whatever_a_spec_says_is_read_back_out_of_what_triton_reads(seed: int) -> None:
    for model in draw_models(Random(seed), 6):
        assert model.config
        check(model.config)
        text = write(
            to_message(model.config, name=model.name, format=model.format, version_policy=model.version_policy)
        )
        text_format.Parse(text, model_config_pb2.ModelConfig())
        message = parse(text)
        assert from_message(message) == model.config
        assert (name_of(message), format_of(message)) == (model.name, model.format or Format.TORCHSCRIPT)
        assert version_policy_of(message) == model.version_policy


def test_all_of_them_fit_into_one_pod() -> None:
    """With defaults, Triton's parser still accepts every text of the ConfigMap."""
    models = draw_models(Random(1), 16)
    children = render(a_deployment(models=msgspec.to_builtins(models)), SETTINGS)
    data = next(child for child in children if child["kind"] == "ConfigMap")["data"]
    texts = [text for key, text in data.items() if key.endswith(".pbtxt")]
    read = [text_format.Parse(text, model_config_pb2.ModelConfig()) for text in texts]
    assert {config.name for config in read} == {model.name for model in models}


def test_a_torchscript_file_answers_what_its_configuration_promises(tmp_path: Path) -> None:
    model = draw_models(Random(2), 1)[0]
    assert model.config
    write_model(model, tmp_path)
    module = torchscript.load(tmp_path / model.folder / "1" / (model.config.default_model_filename or "model.pt"))
    answer = module(*(torch.zeros(2, 3) for _ in model.config.inputs))
    answers = answer if isinstance(answer, tuple) else (answer,)
    assert len(answers) == len(model.config.outputs)
