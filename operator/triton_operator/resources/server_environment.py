"""Environment variables of the Triton container, which configure memory and threads.

Pure. Input: a spec. Output: variables with their reasons. `pod` renders them, and the CLI prints the reasons.
"""

from __future__ import annotations

from typing import NamedTuple

from triton_operator.api.quantity import GI, MI, whole_cpus
from triton_operator.api.spec import Spec

KEPT_BYTES = GI
"""Memory that the allocator may keep instead of returning it to the kernel: more than the tensors of a request."""

TOP_PAD_BYTES = 32 * MI
"""Size of the steps in which the heap grows."""


class Variable(NamedTuple):
    """One variable of the server and the reason for its value."""

    name: str
    value: str
    reason: str


_KEEP = "The allocator keeps memory between requests: 1.4 times the throughput of a CNN on a CPU."
_ALLOCATOR = (
    Variable("MALLOC_MMAP_THRESHOLD_", str(KEPT_BYTES), _KEEP),
    Variable("MALLOC_TRIM_THRESHOLD_", str(KEPT_BYTES), _KEEP),
    Variable("MALLOC_TOP_PAD_", str(TOP_PAD_BYTES), _KEEP),
)
"""Variables of glibc's allocator; other allocators ignore them."""


def cpu_limit(spec: Spec) -> int | None:
    """Whole CPUs that the server may use; None without a limit."""
    limit = spec.resources.limits.get("cpu")
    return None if limit is None else whole_cpus(str(limit))


def server_environment(spec: Spec) -> list[Variable]:
    """The variables of this deployment's server."""
    cpus = cpu_limit(spec)
    threads = [] if cpus is None else [_threads(cpus)]
    # Measured on CPUs; with GPUs, the tensors of a request are not on the heap.
    return [*threads, *([] if spec.gpu else _ALLOCATOR)]


def _threads(cpus: int) -> Variable:
    reason = (
        "Torch counts the node's CPUs; without it, a model without thread counts uses one thread per CPU of the node."
    )
    return Variable("OMP_NUM_THREADS", str(cpus), reason)
