"""Checks of `spec.gpu`, which the CRD also has. Pure.

Input: a spec. Raises InvalidSpecError with everything that is wrong. What depends on the installation's catalogue is
checked when new pods are rendered (`resources.accelerators`, `resources.server_image`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from triton_operator.api.errors import InvalidSpecError, Problem
from triton_operator.api.gpu import NVIDIA_GPU, SHARED, Gpu
from triton_operator.api.spec import Spec

PROFILE = re.compile(r"[1-9]g\.[1-9][0-9]{0,2}gb([+-][a-z]{1,8}(\.[a-z]{1,8})?)?", re.ASCII)
"""NVIDIA's names of slices: compute and memory, and optionally attributes such as +me (media engines)."""

_ISOLATION = (
    "shares GPUs with other pods, without isolation of memory and faults; only the profile Open allows it; request "
    "whole GPUs, or a slice with mig"
)


def check_gpu(spec: Spec) -> None:
    """Raise InvalidSpecError with everything that is wrong."""
    if spec.gpu is None:
        return
    problems = [*_wrong_ways(spec.gpu), *_wrong_count(spec.gpu)]
    if spec.privacy.profile.is_private:
        problems += _shared(spec.gpu)
    if problems:
        raise InvalidSpecError.of(problems)


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
    if gpu.mig and not PROFILE.fullmatch(gpu.mig.profile):
        message = f"{gpu.mig.profile!r} is not a profile such as 1g.10gb or 1g.10gb+me"
        yield Problem("spec.gpu.mig.profile", message)


def _wrong_count(gpu: Gpu) -> Iterator[Problem]:
    if gpu.count == 1:
        return
    if gpu.mig:
        message = (
            "must be 1 with mig, because CUDA uses only one slice in a process; choose a larger profile or replicas"
        )
        yield Problem("spec.gpu.count", message)
    if gpu.sharing:
        message = "must be 1 with sharing, because several shares of a pod can be of the same GPU; increase replicas"
        yield Problem("spec.gpu.count", message)


def _shared(gpu: Gpu) -> Iterator[Problem]:
    if gpu.sharing:
        yield Problem("spec.gpu.sharing", _ISOLATION)
    elif gpu.extended_resource.endswith(SHARED):
        yield Problem("spec.gpu.resourceName", f"{gpu.extended_resource} {_ISOLATION}")
