"""Distribute models with a declared `gpuMemory` over the GPUs of a pod.

Pure and deterministic. Input: a spec. Output: for each of these models the GPUs that get an instance of it, or an
InvalidSpecError. Best-fit decreasing: the largest model first, on the GPU with the least free memory that suffices.
What is free afterwards gets further instances in the same order, because the default is one on each GPU. Models whose
configuration in the spec has instances stay where it says, and models without a `gpuMemory` are not counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from triton_operator.api.conditions import Reason
from triton_operator.api.errors import InvalidSpecError
from triton_operator.api.model import Model
from triton_operator.api.model_config import InstanceKind
from triton_operator.api.quantity import format_bytes, parse_bytes
from triton_operator.api.spec import Spec
from triton_operator.errors import TritonOperatorError


class Demand(NamedTuple):
    """What one instance of a model needs, in bytes, and the instances on each GPU; None if they can be chosen."""

    name: str
    memory: int
    fixed: tuple[int, ...] | None = None


class NoRoomError(TritonOperatorError):
    """There is no GPU with enough free memory for a model; the message names it."""


def place_models(spec: Spec) -> dict[str, tuple[int, ...]]:
    """The indices of the GPUs for each model that can be placed; () if it fits on all of them.

    Raises InvalidSpecError with the sums if a model does not fit.
    """
    gpu = spec.gpu
    memory = parse_bytes(str(gpu.memory)) if gpu and gpu.memory is not None else None
    if gpu is None or memory is None:
        return {}
    demands = [_demand(model, needed, gpu.count) for model in spec.models if (needed := _needed(model))]
    try:
        placed = pack(demands, gpu.count, memory)
    except NoRoomError as error:
        total = sum(demand.memory * (sum(demand.fixed) if demand.fixed else 1) for demand in demands)
        gpus = f"{gpu.count} GPUs have" if gpu.count > 1 else "the GPU has"
        is_too_much = total > gpu.count * memory
        what = "the models do not fit" if is_too_much else "no distribution over the GPUs was found"
        message = (
            f"{what}: {error}; their declared gpuMemory is {format_bytes(total)} in total, and {gpus} "
            f"{format_bytes(memory)}{' each' if gpu.count > 1 else ''}. Request more or larger GPUs, serve fewer "
            "models, or name the GPUs of each model in its config.instanceGroups"
        )
        raise InvalidSpecError(Reason.INVALID_SPEC, "spec.gpu.memory", message) from error
    return {name: () if len(indices) == gpu.count else indices for name, indices in placed.items()}


def pack(demands: Sequence[Demand], gpus: int, memory: int) -> dict[str, tuple[int, ...]]:
    """The GPUs of each demand that is not fixed, in ascending order; raises NoRoomError."""
    free = _without_fixed(demands, gpus, memory)
    movable = sorted((each for each in demands if each.fixed is None), key=lambda demand: -demand.memory)
    placed: dict[str, set[int]] = {}
    for demand in movable:
        fitting = [index for index in range(gpus) if free[index] >= demand.memory]
        if not fitting:
            most = format_bytes(max(free))
            raise NoRoomError(
                f"{demand.name} needs {format_bytes(demand.memory)}, and at most {most} are left on a GPU"
            )
        best = min(fitting, key=lambda index: free[index])
        placed[demand.name] = {best}
        free[best] -= demand.memory
    for demand in movable:
        for index in range(gpus):
            if index not in placed[demand.name] and free[index] >= demand.memory:
                placed[demand.name].add(index)
                free[index] -= demand.memory
    return {name: tuple(sorted(indices)) for name, indices in placed.items()}


def _without_fixed(demands: Sequence[Demand], gpus: int, memory: int) -> list[int]:
    free = [memory] * gpus
    for demand in demands:
        for index, instances in enumerate(demand.fixed or ()):
            free[index] -= instances * demand.memory
            if free[index] < 0:
                over = format_bytes(memory - free[index])
                raise NoRoomError(f"with {demand.name}, the instances on GPU {index} need {over}")
    return free


def _needed(model: Model) -> int:
    return parse_bytes(str(model.gpu_memory)) or 0 if model.gpu_memory is not None else 0


def _demand(model: Model, memory: int, gpus: int) -> Demand:
    groups = model.config.instance_groups if model.config else ()
    if not groups:
        return Demand(model.name, memory)
    fixed = [0] * gpus
    for group in groups:
        # A model that chooses its devices may use any of them.
        if group.kind is not InstanceKind.CPU:
            for index in set(group.gpus or range(gpus)) & set(range(gpus)):
                fixed[index] += group.count or 1
    return Demand(model.name, memory, tuple(fixed))
