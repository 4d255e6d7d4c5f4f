"""Checks of `spec.gpu`, which the CRD also has. Pure.

Input: a spec. Raises InvalidSpecError with everything that is wrong. What depends on the installation's catalogue is
checked when new pods are rendered (`resources.accelerators`, `resources.server_image`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from triton_operator.api.errors import InvalidSpecError, Problem
from triton_operator.api.gpu import NVIDIA_GPU, SHARED, SLICE, DeviceClaim, Gpu
from triton_operator.api.model import Format, Model
from triton_operator.api.quantity import parse_bytes
from triton_operator.api.spec import Spec
from triton_operator.resources.gpu_packing import place_models

PROFILE = re.compile(r"[1-9]g\.[1-9][0-9]{0,2}gb([+-][a-z]{1,8}(\.[a-z]{1,8})?)?", re.ASCII)
"""NVIDIA's names of slices: compute and memory, and optionally attributes such as +me (media engines)."""

_ISOLATION = (
    "shares GPUs with other pods, without isolation of memory and faults; only the profile Open allows it; request "
    "whole GPUs, or a slice with mig"
)
_UNKNOWN_DEVICES = (
    "can be of a network device of the node, to which no network policy applies; only the profile Open allows claims "
    "of devices; request an extended resource, which a DeviceClass can also provide (extendedResourceName)"
)


def check_gpu(spec: Spec) -> None:
    """Raise InvalidSpecError with everything that is wrong."""
    problems = list(_wrong_memory(spec))
    if spec.gpu:
        problems += [*_wrong_ways(spec.gpu), *_wrong_count(spec.gpu), *_absent_gpus(spec.models, spec.gpu.count)]
    if spec.gpu and spec.privacy.profile.is_private:
        problems += _not_isolated(spec.gpu)
    if not problems:
        problems += _packing(spec)
    if problems:
        raise InvalidSpecError.of(problems)


def _wrong_memory(spec: Spec) -> Iterator[Problem]:
    declared = {f"spec.models[{index}].gpuMemory": model.gpu_memory for index, model in enumerate(spec.models)}
    declared = {path: value for path, value in declared.items() if value is not None}
    memory = spec.gpu.memory if spec.gpu else None
    if spec.gpu is None:
        yield from (Problem(path, "has no effect without spec.gpu; remove it") for path in declared)
    elif declared and memory is None:
        yield Problem("spec.gpu.memory", "is required with models[].gpuMemory; set it to the memory of each GPU")
    elif memory is not None and not declared:
        yield Problem("spec.gpu.memory", "has no effect, because no model has gpuMemory; remove it")
    for index, model in enumerate(spec.models):
        if model.gpu_memory is not None and _is_ensemble(model):
            message = "has no effect for an ensemble, which has no instances; set it for the models of its steps"
            yield Problem(f"spec.models[{index}].gpuMemory", message)
    for path, value in {"spec.gpu.memory": memory, **declared}.items():
        if value is not None and parse_bytes(str(value)) is None:
            yield Problem(path, f"{value} is not a quantity such as 16Gi")


def _is_ensemble(model: Model) -> bool:
    return model.format is Format.ENSEMBLE or bool(model.config and model.config.ensemble)


def _packing(spec: Spec) -> Iterator[Problem]:
    try:
        place_models(spec)
    except InvalidSpecError as error:
        yield Problem(error.path, error.message, error.reason)


def _wrong_ways(gpu: Gpu) -> Iterator[Problem]:
    """There is exactly one way to name the GPUs."""
    is_named = gpu.resource_name != NVIDIA_GPU
    if gpu.mig and is_named:
        yield Problem("spec.gpu.resourceName", "must not be set with mig, which determines the name of the resource")
    if gpu.sharing and is_named:
        yield Problem(
            "spec.gpu.resourceName",
            f"must not be set with sharing; a shared resource has a name that ends with {SHARED}",
        )
    if gpu.resource_claims and (is_named or gpu.mig or gpu.sharing):
        yield Problem("spec.gpu.resourceClaims", "must not be set with resourceName, mig or sharing")
    yield from _wrong_claims(gpu.resource_claims)
    if gpu.mig and not PROFILE.fullmatch(gpu.mig.profile):
        message = f"{gpu.mig.profile!r} is not a profile such as 1g.10gb or 1g.10gb+me"
        yield Problem("spec.gpu.mig.profile", message)


def _wrong_claims(claims: Sequence[DeviceClaim]) -> Iterator[Problem]:
    for name in (name for name, count in Counter(claim.name for claim in claims).items() if count > 1):
        yield Problem("spec.gpu.resourceClaims", f"{name} is used twice")
    for index, claim in enumerate(claims):
        path = f"spec.gpu.resourceClaims[{index}]"
        if (claim.resource_claim_name is None) == (claim.resource_claim_template_name is None):
            yield Problem(path, "set exactly one of resourceClaimName and resourceClaimTemplateName")


def _wrong_count(gpu: Gpu) -> Iterator[Problem]:
    if gpu.count == 1:
        return
    if gpu.extended_resource.startswith(SLICE):
        message = (
            "must be 1 with mig, because CUDA uses only one slice in a process; choose a larger profile or replicas"
        )
        yield Problem("spec.gpu.count", message)
    if gpu.sharing:
        message = "must be 1 with sharing, because several shares of a pod can be of the same GPU; increase replicas"
        yield Problem("spec.gpu.count", message)


def _absent_gpus(models: Sequence[Model], count: int) -> Iterator[Problem]:
    """Instances on GPUs that the pod does not have."""
    for index, model in enumerate(models):
        for number, group in enumerate(model.config.instance_groups if model.config else ()):
            path = f"spec.models[{index}].config.instanceGroups[{number}].gpus"
            for gpu in (gpu for gpu in group.gpus if gpu >= count):
                yield Problem(path, f"GPU {gpu} does not exist: spec.gpu.count is {count}, and the first GPU is 0")


def _not_isolated(gpu: Gpu) -> Iterator[Problem]:
    if gpu.resource_claims:
        yield Problem("spec.gpu.resourceClaims", _UNKNOWN_DEVICES)
    if gpu.sharing:
        yield Problem("spec.gpu.sharing", _ISOLATION)
    elif gpu.extended_resource.endswith(SHARED):
        yield Problem("spec.gpu.resourceName", f"{gpu.extended_resource} {_ISOLATION}")
