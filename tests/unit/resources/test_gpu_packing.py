"""Models with a declared memory are distributed over the GPUs of a pod, the same way every time."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import SETTINGS, a_deployment
from triton_operator.api.errors import InvalidSpecError
from triton_operator.reconcile.validate import validate
from triton_operator.resources.applied_defaults import applied_defaults
from triton_operator.resources.gpu_packing import Demand, NoRoomError, pack, place_models
from triton_operator.resources.model_configs import config_files, render_configs
from triton_operator.triton.text.parser import parse

CONFIG = {
    "inputs": [{"name": "x", "dataType": "FP32", "dims": [3]}],
    "outputs": [{"name": "y", "dataType": "FP32", "dims": [3]}],
}


def models(**memory: Any) -> list[dict[str, Any]]:
    return [{"name": name, "gpuMemory": value} for name, value in memory.items()]


def placed(count: int, each: str, *further: dict[str, Any], **memory: Any) -> dict[str, tuple[int, ...]]:
    spec = a_deployment(gpu={"count": count, "memory": each}, models=[*models(**memory), *further]).spec
    validate(spec)
    return place_models(spec)


@pytest.mark.parametrize(
    ("memory", "expected"),
    [
        ({"a": "6Gi", "b": "8Gi"}, {"a": (), "b": ()}),
        ({"a": "6Gi", "b": "10Gi", "c": "7Gi"}, {"b": (0,), "c": (1,), "a": (0, 1)}),
        ({"a": "16Gi", "b": "16Gi"}, {"a": (0,), "b": (1,)}),
        ({"small": "1Gi", "big": "15Gi", "other": "15Gi"}, {"big": (0,), "other": (1,), "small": ()}),
    ],
    ids=["all fit on each GPU", "the largest first, then what is left", "one on each", "copies where they fit"],
)
def test_models_get_the_gpus_on_which_they_fit(memory: dict[str, str], expected: dict[str, tuple[int, ...]]) -> None:
    assert placed(2, "16Gi", **memory) == {name: () if len(gpus) == 2 else gpus for name, gpus in expected.items()}


def test_instances_in_a_configuration_stay_where_they_are() -> None:
    fixed = {
        "name": "own",
        "gpuMemory": "5Gi",
        "config": {"instanceGroups": [{"kind": "GPU", "gpus": [0], "count": 2}]},
    }
    assert placed(2, "16Gi", fixed, free="8Gi") == {"free": (1,)}
    on_cpu = {"name": "own", "gpuMemory": "16Gi", "config": {"instanceGroups": [{"kind": "CPU"}]}}
    assert placed(1, "16Gi", on_cpu, free="16Gi") == {"free": ()}


@pytest.mark.parametrize(
    ("gpu", "memory", "parts"),
    [
        (
            {"count": 2, "memory": "16Gi"},
            {"a": "10Gi", "b": "10Gi", "c": "10Gi"},
            ["c needs 10Gi", "at most 6Gi are left", "30Gi in total", "2 GPUs have 16Gi each"],
        ),
        (
            {"count": 2, "memory": "10Gi"},
            {"a": "5Gi", "b": "4Gi", "c": "3Gi", "d": "3Gi", "e": "3Gi", "f": "2Gi"},
            ["no distribution over the GPUs was found: f needs 2Gi", "20Gi in total", "config.instanceGroups"],
        ),
        ({"memory": "4Gi"}, {"a": "5Gi"}, ["a needs 5Gi", "5Gi in total", "the GPU has 4Gi"]),
    ],
)
def test_what_does_not_fit_is_rejected_with_the_sums(
    gpu: dict[str, Any], memory: dict[str, str], parts: list[str]
) -> None:
    with pytest.raises(InvalidSpecError) as caught:
        validate(a_deployment(gpu=gpu, models=models(**memory)).spec)
    assert caught.value.path == "spec.gpu.memory"
    for part in parts:
        assert part in str(caught.value)


def test_instances_in_a_configuration_that_do_not_fit_are_rejected() -> None:
    own = {"name": "own", "gpuMemory": "9Gi", "config": {"instanceGroups": [{"count": 2}]}}
    with pytest.raises(InvalidSpecError, match=r"with own, the instances on GPU 0 need 18Gi; .* 18Gi in total"):
        validate(a_deployment(gpu={"memory": "16Gi"}, models=[own]).spec)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"models": models(digits="1Gi")}, r"spec\.models\[0\]\.gpuMemory: has no effect without spec\.gpu"),
        ({"models": models(digits="1Gi"), "gpu": {}}, r"spec\.gpu\.memory: is required"),
        ({"gpu": {"memory": "16Gi"}}, r"spec\.gpu\.memory: has no effect"),
        (
            {"gpu": {"memory": "16Gi"}, "models": [{"name": "a", "gpuMemory": "1Gi", "format": "Ensemble"}]},
            r"spec\.models\[0\]\.gpuMemory: has no effect for an ensemble",
        ),
        ({"gpu": {"memory": "16 GB"}, "models": models(digits="1 GB")}, r"16 GB is not.*1 GB is not a quantity"),
    ],
)
def test_the_memory_of_models_and_gpus_belongs_together(spec: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSpecError, match=message):
        validate(a_deployment(**spec).spec)


def test_the_configurations_name_the_gpus() -> None:
    large = {"name": "large", "gpuMemory": "12Gi", "config": CONFIG}
    small = {"name": "small", "gpuMemory": "3Gi", "config": CONFIG}
    other = {"name": "other", "gpuMemory": "12Gi", "config": CONFIG}
    plain = {"name": "plain", "config": CONFIG}
    deployment = a_deployment(gpu={"count": 2, "memory": "16Gi"}, models=[large, small, other, plain])
    texts = list(config_files(render_configs(deployment.spec)).values())
    groups = [message["instance_group"] for message in map(parse, texts)]
    on_all = [{"count": [1], "kind": ["KIND_GPU"]}]
    assert groups == [[{**on_all[0], "gpus": [0]}], on_all, [{**on_all[0], "gpus": [1]}], on_all]
    shown = {each.field: each.value for each in applied_defaults(deployment, SETTINGS)}
    assert shown["spec.models[2].config.instanceGroups"] == "1 of KIND_GPU on 1"
    assert shown["spec.models[1].config.instanceGroups"] == "1 of KIND_GPU"


@given(st.lists(st.integers(1, 20), max_size=8), st.integers(1, 4), st.integers(1, 30))
def test_no_gpu_is_over_committed_and_no_model_is_lost(sizes: list[int], gpus: int, memory: int) -> None:
    demands = [Demand(f"m{index}", size) for index, size in enumerate(sizes)]
    try:
        found = pack(demands, gpus, memory)
    except NoRoomError:
        assert max(sizes) > memory or sum(sizes) * 2 > gpus * memory, "at least half full, or one is too large"
        return
    used = [sum(size for index, size in enumerate(sizes) if gpu in found[f"m{index}"]) for gpu in range(gpus)]
    assert max(used) <= memory
    assert all(found.values())
    assert found == pack(demands, gpus, memory)
