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
    """The variables as a mapping, each seen to have a reason."""
    variables = server_environment(a_deployment(**spec).spec)
    assert all(variable.reason.endswith(".") for variable in variables)
    return {variable.name: variable.value for variable in variables}


def size(*configs: str, **spec: Any) -> int:
    """Bytes of shared memory for models with these configurations."""
    found = shared_memory_size(a_deployment(**spec).spec, {f"m{i}": parse(text) for i, text in enumerate(configs)})
    assert found.why.endswith(".")
    return parse_bytes(found.quantity) or 0


def test_the_allocator_keeps_memory_on_a_cpu() -> None:
    """Measured there."""
    allocator = {
        "MALLOC_MMAP_THRESHOLD_": "1073741824",
        "MALLOC_TRIM_THRESHOLD_": "1073741824",
        "MALLOC_TOP_PAD_": "33554432",
    }
    assert environment() == allocator
    assert environment(gpu={"count": 1}) == {}


@pytest.mark.parametrize(("limit", "threads"), [("500m", "1"), ("1500m", "1"), (2, "2"), ("4", "4"), ("3.9", "3")])
def test_torch_is_told_the_cpus_of_the_limit(limit: str | int, threads: str) -> None:
    """It would count those of the node."""
    assert environment(resources={"limits": {"cpu": limit}})["OMP_NUM_THREADS"] == threads


def test_without_a_cpu_limit_nobody_knows_them() -> None:
    """A request is no bound."""
    assert "OMP_NUM_THREADS" not in environment(resources={"requests": {"cpu": 2}})


def test_small_tensors_get_the_least() -> None:
    """As does what is not known."""
    assert size(DIGITS) == size() == FLOOR
    assert size(DIGITS.replace("28]", "-1]")) == FLOOR


def test_large_tensors_get_what_full_batches_in_every_instance_need() -> None:
    """3 MiB of pixels in four bytes each, 64 of them, in two instances, four times; two models twice that."""
    one = 3 * 1024 * 1024 * 4 * 64 * 2 * 4
    memory = {"limits": {"memory": "100Gi"}}
    assert one < size(IMAGES, resources=memory) < one * 1.05
    assert 2 * one < size(IMAGES, IMAGES, resources=memory) < 2 * one * 1.05


def test_a_group_on_gpus_is_there_on_each() -> None:
    """One instance on two GPUs is two."""
    on_gpus = IMAGES.replace("count: 2 kind: KIND_CPU", "count: 1 kind: KIND_GPU")
    memory = {"limits": {"memory": "100Gi"}}
    assert size(on_gpus, gpu={"count": 2}, resources=memory) == size(IMAGES, resources=memory)


def test_it_is_never_more_than_is_sound() -> None:
    """Half of the memory limit, where there is one; a limit below the least changes nothing."""
    assert size(IMAGES, IMAGES) == CAP
    assert size(IMAGES, resources={"limits": {"memory": "4Gi"}}) == 2 << 30
    assert size(IMAGES, resources={"limits": {"memory": "128Mi"}}) == FLOOR


def test_the_users_word_counts() -> None:
    """As it was written."""
    found = shared_memory_size(a_deployment(triton={"sharedMemorySize": "1500M"}).spec, {"digits": parse(IMAGES)})
    assert found.quantity == "1500M"


def test_the_reason_names_models_that_are_not_counted() -> None:
    """So that the user knows what to set."""
    spec = a_deployment(models=[{"name": "digits"}, {"name": "words"}]).spec
    assert "because their dims are not known: words." in shared_memory_size(spec, {"digits": parse(DIGITS)}).why


@given(st.integers(0, 1 << 60))
def test_bytes_are_read_as_they_were_written(count: int) -> None:
    """With whatever suffix."""
    assert parse_bytes(format_bytes(count)) == count


@pytest.mark.parametrize("text", ["", "two", "-1", "1 Gi", "1GB", "1e", "0x10"])
def test_what_is_no_quantity_is_none(text: str) -> None:
    """The API server refuses it; an old object may still have it."""
    assert parse_bytes(text) is None
    assert whole_cpus(text) is None
