"""Environment and shared memory of the server: from limits and tensors, with a reason for each value."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import a_deployment
from triton_operator.api.quantity import format_bytes, parse_bytes, whole_cpus
from triton_operator.resources.server_environment import server_environment
from triton_operator.resources.shared_memory import CAP, FLOOR, shared_memory_size
from triton_operator.triton.text.parser import parse

DIGITS = """
max_batch_size: 64
input { data_type: TYPE_FP32 dims: [1, 28, 28] }
output { data_type: TYPE_FP32 dims: [10] }
instance_group { count: 2 kind: KIND_CPU }
"""
IMAGES = DIGITS.replace("[1, 28, 28]", "[3, 1024, 1024]")


def environment(**spec: Any) -> dict[str, str]:
    """The variables as a mapping; each must have a reason."""
    variables = server_environment(a_deployment(**spec).spec)
    assert all(variable.reason.endswith(".") for variable in variables)
    return {variable.name: variable.value for variable in variables}


def size(*configs: str, **spec: Any) -> int:
    """Bytes of shared memory for models with these configurations."""
    size = shared_memory_size(a_deployment(**spec).spec, {f"m{i}": parse(text) for i, text in enumerate(configs)})
    assert size.why.endswith(".")
    return parse_bytes(size.quantity) or 0


def test_the_allocator_keeps_memory_on_a_cpu() -> None:
    """The values were measured on a CPU."""
    allocator = {
        "MALLOC_MMAP_THRESHOLD_": "1073741824",
        "MALLOC_TRIM_THRESHOLD_": "1073741824",
        "MALLOC_TOP_PAD_": "33554432",
    }
    assert environment() == allocator
    assert environment(gpu={"count": 1}) == {}


@pytest.mark.parametrize(("limit", "threads"), [("500m", "1"), ("1500m", "1"), (2, "2"), ("4", "4"), ("3.9", "3")])
def test_torch_gets_the_cpus_of_the_limit(limit: str | int, threads: str) -> None:
    """Otherwise, it would use the CPUs of the node."""
    assert environment(resources={"limits": {"cpu": limit}})["OMP_NUM_THREADS"] == threads


def test_without_a_cpu_limit_the_number_of_threads_is_not_set() -> None:
    """A request is not a limit."""
    assert "OMP_NUM_THREADS" not in environment(resources={"requests": {"cpu": 2}})


def test_small_tensors_get_the_minimum() -> None:
    """Models with unknown sizes get the minimum, too."""
    assert size(DIGITS) == size() == FLOOR
    assert size(DIGITS.replace("28]", "-1]")) == FLOOR


def test_large_tensors_get_enough_for_full_batches_in_every_instance() -> None:
    """3 Mi pixels of four bytes, batches of 64, two instances, four copies; twice that for two models."""
    one = 3 * 1024 * 1024 * 4 * 64 * 2 * 4
    memory = {"limits": {"memory": "100Gi"}}
    assert one < size(IMAGES, resources=memory) < one * 1.05
    assert 2 * one < size(IMAGES, IMAGES, resources=memory) < 2 * one * 1.05


def test_a_group_on_gpus_counts_for_each_gpu() -> None:
    """One instance per GPU on two GPUs gives two instances."""
    on_gpus = IMAGES.replace("count: 2 kind: KIND_CPU", "count: 1 kind: KIND_GPU")
    memory = {"limits": {"memory": "100Gi"}}
    assert size(on_gpus, gpu={"count": 2}, resources=memory) == size(IMAGES, resources=memory)


def test_the_size_has_a_maximum() -> None:
    """The maximum is half of the memory limit, if set, but never less than the minimum."""
    assert size(IMAGES, IMAGES) == CAP
    assert size(IMAGES, resources={"limits": {"memory": "4Gi"}}) == 2 << 30
    assert size(IMAGES, resources={"limits": {"memory": "128Mi"}}) == FLOOR


def test_the_users_size_takes_precedence() -> None:
    """In its original form."""
    size = shared_memory_size(a_deployment(triton={"sharedMemorySize": "1500M"}).spec, {"digits": parse(IMAGES)})
    assert size.quantity == "1500M"


def test_the_reason_names_models_that_are_not_counted() -> None:
    """So that the user knows which fields to set."""
    spec = a_deployment(models=[{"name": "digits"}, {"name": "words"}]).spec
    assert "because their dims are not known: words." in shared_memory_size(spec, {"digits": parse(DIGITS)}).why


@given(st.integers(0, 1 << 60))
def test_formatted_bytes_are_parsed_to_the_same_number(count: int) -> None:
    """With any suffix."""
    assert parse_bytes(format_bytes(count)) == count


@pytest.mark.parametrize("text", ["", "two", "-1", "1 Gi", "1GB", "1e", "0x10"])
def test_text_that_is_not_a_quantity_gives_none(text: str) -> None:
    """The API server rejects it, but an old object may contain it."""
    assert parse_bytes(text) is None
    assert whole_cpus(text) is None
