"""The list of models that `prepare` reads: unset fields are not written, and lists of older versions can be read."""

from __future__ import annotations

import pytest

from triton_operator.triton.config.defaults import TuningInputs
from triton_operator.triton.prepare_contract.request import Preparation, PreparationModel, decode, encode


def test_what_is_unset_is_not_written() -> None:
    """A new field therefore does not change the list, and with it the name of the ConfigMap, until it is used."""
    request = Preparation(models=(PreparationModel(name="digits", path="vision/digits"),))
    assert encode(request) == b'{"models":[{"name":"digits","path":"vision/digits"}]}'


def test_a_list_of_an_older_operator_is_read() -> None:
    """Fields that were added later have their default values."""
    read = decode(b'{"models":[{"name":"digits","path":"digits"}],"sourcePath":"/models"}')
    assert read == Preparation(models=(PreparationModel(name="digits", path="digits"),), source_path="/models")
    assert read.models[0].tuning is None


def test_everything_comes_back() -> None:
    """The decoded list equals the encoded list."""
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
    request = Preparation(models=(model,), source_path="/models")
    assert decode(encode(request)) == request


def test_what_is_no_list_is_an_error_that_names_the_field() -> None:
    """The message, which the pod's status contains, names the field."""
    with pytest.raises(ValueError, match=r"models\[0\]\.tuning\.cpus"):
        decode(b'{"models":[{"name":"a","path":"a","tuning":{"cpus":"two"}}]}')
