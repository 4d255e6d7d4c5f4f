"""Compute the size of /dev/shm of a serving pod, through which model processes exchange tensors with Triton.

Pure. Input: a spec and the configurations of its models that are known. Output: a size with its reason. `pod` renders
it, and the CLI prints the reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from triton_operator.api.quantity import GI, MI, format_bytes, parse_bytes
from triton_operator.api.spec import Spec
from triton_operator.triton.text.parser import Message
from triton_operator.triton.text.values import integer_in, messages_in

FLOOR = 256 * MI
"""Minimum size, which covers models with unknown sizes: measured were 1 MiB per process and 10 MiB for eight images in
flight."""

STEP = 64 * MI
CAP = 8 * GI
"""Maximum size without a memory limit. Used pages count as memory of the pod; the size does not reserve memory."""

IN_FLIGHT = 4
"""Copies of a full batch: its inputs and outputs, and those of the next batch, which overlaps with it."""

UNKNOWN_TEXT_BYTES = 1024
"""Assumed bytes of one string, because configurations do not specify the length."""

_BYTES = {
    "TYPE_BOOL": 1,
    "TYPE_UINT8": 1,
    "TYPE_INT8": 1,
    "TYPE_UINT16": 2,
    "TYPE_INT16": 2,
    "TYPE_FP16": 2,
    "TYPE_BF16": 2,
    "TYPE_UINT32": 4,
    "TYPE_INT32": 4,
    "TYPE_FP32": 4,
    "TYPE_UINT64": 8,
    "TYPE_INT64": 8,
    "TYPE_FP64": 8,
    "TYPE_STRING": UNKNOWN_TEXT_BYTES,
}


class Size(NamedTuple):
    """A size as a Kubernetes quantity, and its reason as a sentence."""

    quantity: str
    why: str


def shared_memory_size(spec: Spec, configs: Mapping[str, Message]) -> Size:
    """The user's size, or the size that the tensors need; `configs` has the known, completed configurations."""
    if spec.triton.shared_memory_size is not None:
        return Size(spec.triton.shared_memory_size, "Set in spec.triton.sharedMemorySize.")
    needs = {name: _needed(config, spec.gpu.count if spec.gpu else 1) for name, config in configs.items()}
    needed = sum(bytes_ or 0 for bytes_ in needs.values())
    size = min(max(FLOOR, STEP + -(-needed // STEP) * STEP), _cap(spec))
    return Size(format_bytes(size), _reason(spec, needs, needed, size))


def _cap(spec: Spec) -> int:
    """Half of the memory limit; with more, the kernel would kill the server before Triton rejects a request."""
    limit = parse_bytes(str(spec.resources.limits.get("memory", "")))
    return CAP if limit is None else max(FLOOR, limit // 2 // STEP * STEP)


def _needed(config: Message, gpus: int) -> int | None:
    """Bytes of all tensors in flight of one model; None if a dimension is variable.

    An ensemble needs none, because it has no process; the tensors of its steps are counted with the steps.
    """
    if "ensemble_scheduling" in config:
        return 0
    tensors = [tensor for field in ("input", "output") for tensor in messages_in(config, field)]
    sizes = [tensor_bytes(tensor) for tensor in tensors]
    if not sizes or None in sizes:
        return None
    batch = max(1, integer_in(config, "max_batch_size"))
    return sum(size or 0 for size in sizes) * batch * _instances(config, gpus) * IN_FLIGHT


def tensor_bytes(tensor: Message) -> int | None:
    """Bytes of one row of a tensor in a configuration; None if a dimension is variable."""
    size = _BYTES.get(str(next(iter(tensor.get("data_type", ())), "")))
    for length in tensor.get("dims", ()):
        if size is None or not isinstance(length, int) or length < 0:
            return None
        size *= length
    return size


def _instances(config: Message, gpus: int) -> int:
    """Processes of a model; a group of kind KIND_GPU has `count` instances on each GPU."""
    groups = messages_in(config, "instance_group")
    counts = (max(1, integer_in(group, "count")) * (gpus if _is_on_gpus(group) else 1) for group in groups)
    return sum(counts) or 1


def _is_on_gpus(group: Message) -> bool:
    return "KIND_GPU" in group.get("kind", ())


def _reason(spec: Spec, needs: Mapping[str, int | None], needed: int, size: int) -> str:
    unknown = [model.name for model in spec.models if needs.get(model.name) is None]
    omitted = f" Not included, because their dims are not known: {', '.join(unknown)}." if unknown else ""
    tensors = f"the tensors of full batches in every instance need {needed // MI} MiB"
    if size < needed:
        return f"The maximum for this memory limit, although {tensors}.{omitted}"
    return f"{'The minimum' if size == FLOOR else 'With a margin'}: {tensors}.{omitted}"
