"""The GPUs of a serving pod: an extended resource of the nodes, such as whole GPUs or slices of a type (MIG).

The schema documents each field, and has the rules about their combinations.
"""

from __future__ import annotations

from enum import StrEnum

from triton_operator.api.struct import Struct

NVIDIA_GPU = "nvidia.com/gpu"
"""The resource of NVIDIA's device plugin for whole GPUs."""

SLICE = "nvidia.com/mig-"
"""The beginning of the names of resources for slices of GPUs (MIG)."""

SHARED = ".shared"
"""What NVIDIA's device plugin appends to the name of a resource whose GPUs several pods share (renameByDefault)."""


class Sharing(StrEnum):
    """How pods share a GPU."""

    TIME_SLICING = "TimeSlicing"


class Mig(Struct, frozen=True):
    """A slice of one of NVIDIA's GPUs; `profile` is its size in NVIDIA's notation, such as 1g.10gb."""

    profile: str


class DeviceClaim(Struct, frozen=True):
    """A claim of devices of the namespace, or a template of one for each pod; exactly one of them is set.

    `request` is a request of the claim whose devices the container gets, None for all.
    """

    name: str
    resource_claim_name: str | None = None
    resource_claim_template_name: str | None = None
    request: str | None = None


class Gpu(Struct, frozen=True):
    """GPUs for each serving pod: `count` of a resource, or a slice of one (`mig`), or a share of its time (`sharing`).

    With `resource_claims`, `count` is the number of GPUs in all claims.

    CUDA uses only one slice in a process, and several shares can be of the same GPU, so the count is then 1.
    `memory` is that of each GPU, a quantity of bytes; the models with a `gpu_memory` are distributed by it.
    """

    count: int = 1
    resource_name: str = NVIDIA_GPU
    memory: str | int | None = None
    mig: Mig | None = None
    sharing: Sharing | None = None
    resource_claims: tuple[DeviceClaim, ...] = ()

    @property
    def extended_resource(self) -> str:
        """The name of the resource that a node advertises, and that the pod requests; "" with claims of devices."""
        if self.resource_claims:
            return ""
        # NVIDIA's device plugin replaces the character, which a name cannot contain.
        whole = f"{SLICE}{self.mig.profile.replace('+', '.')}" if self.mig else self.resource_name
        return f"{whole}{SHARED}" if self.sharing else whole
