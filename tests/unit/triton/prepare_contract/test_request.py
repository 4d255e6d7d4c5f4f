"""The list of models that `prepare` reads: nothing is written that nobody asked for, and old lists stay readable."""

from __future__ import annotations

import pytest

from triton_operator.triton.config.defaults import TuningInputs
from triton_operator.triton.prepare_contract.request import Preparation, PreparationModel, decode, encode


def test_what_is_unset_is_not_written() -> None:
    """So that the list, and with it the name of the ConfigMap, is the same for an operator that knows less."""
    wanted = Preparation(models=(PreparationModel(name="digits", path="vision/digits"),))
    assert encode(wanted) == b'{"models":[{"name":"digits","path":"vision/digits"}]}'


def test_a_list_of_an_older_operator_is_read() -> None:
    """It asks for nothing that came later."""
    read = decode(b'{"models":[{"name":"digits","path":"digits"}],"sourcePath":"/models"}')
    assert read == Preparation(models=(PreparationModel(name="digits", path="digits"),), source_path="/models")
    assert read.models[0].tuning is None


def test_everything_comes_back() -> None:
    """As it was written."""
    model = PreparationModel(
        name="digits",
        path="a",
        config="0.pbtxt",
        config_map="mine",
        config_key="config.pbtxt",
        format="TorchScript",
        digest="sha256:00",
        tuning=TuningInputs(cpus=2, gpus=1, objective="Latency"),
    )
    wanted = Preparation(models=(model,), source_path="/models")
    assert decode(encode(wanted)) == wanted


def test_what_is_no_list_is_an_error_that_names_the_field() -> None:
    """As the pod's status will say it."""
    with pytest.raises(ValueError, match=r"models\[0\]\.tuning\.cpus"):
        decode(b'{"models":[{"name":"a","path":"a","tuning":{"cpus":"two"}}]}')
