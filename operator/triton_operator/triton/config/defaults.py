"""Defaults for fields that a model's configuration does not set, and the reasons for them.

Input: a message and the TuningInputs of its pod. Output: the completed message and a Choice for each added field. Pure.
`resources` calls it when it renders a typed configuration, and `prepare` calls it again after it has merged the model's
signature, so it is idempotent. A field that is set, even to an empty list, stays unchanged. The figures were measured
on two cores with the server of 24.10, for a CNN, an LSTM, a transformer and a small perceptron.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from triton_operator.api.struct import Struct
from triton_operator.triton.config.constants import AOT_INDUCTOR_BACKEND, AOT_INDUCTOR_PLATFORM
from triton_operator.triton.text.parser import Identifier, Message, Value
from triton_operator.triton.text.values import integer_in, messages_in, text_in

THROUGHPUT = "Throughput"
LATENCY = "Latency"
"""Values of `spec.models[].objective`; the default is Throughput."""

WARMUP_RUNS = 3
"""TorchScript compiles during the first two runs of a shape; the third run uses the compiled code."""

WARMUP_LIMIT = 64 * 1024 * 1024
"""Maximum number of elements of a warm-up request; larger requests take too long."""


class TuningInputs(Struct, frozen=True):
    """The inputs of the defaults besides the configuration itself.

    `cpus` are the whole CPUs of the server's limit (at least 1), None without a limit; `gpus` are the GPUs of a pod;
    `objective` is the user's value, "" without one; `placed_on` are the GPUs on which the model has room, () for all.
    """

    cpus: int | None = None
    gpus: int = 0
    objective: str = ""
    placed_on: tuple[int, ...] = ()

    def may_complete(self, *, hand_written: bool) -> bool:
        """Whether missing fields may be added: to a hand-written configuration only if the user sets an objective."""
        return not hand_written or bool(self.objective)


class Choice(Struct, frozen=True):
    """A default that was applied: `field` is its path in `spec`, `why` the reason in a sentence."""

    field: str
    value: str
    why: str


class Completed(NamedTuple):
    """A complete message and the defaults in it, in the order of the fields."""

    message: Message
    choices: tuple[Choice, ...]


class _BackendKind(StrEnum):
    """What runs the model, as far as the defaults depend on it."""

    TORCHSCRIPT = "TorchScript"
    COMPILED = "AOTInductor"
    ONNX = "ONNX"
    ENSEMBLE = "Ensemble"
    OTHER = "other"


_THREADS = {
    _BackendKind.TORCHSCRIPT: "INTRA_OP_THREAD_COUNT",
    _BackendKind.COMPILED: "INTRA_OP_THREAD_COUNT",
    _BackendKind.ONNX: "intra_op_thread_count",
}
"""The backend's parameter for the number of threads per request."""


def complete(message: Message, tuning: TuningInputs) -> Completed:
    """Add missing fields; fields that are set are never changed."""
    kind = _kind(message)
    if kind is _BackendKind.ENSEMBLE:
        # The models of its steps have these fields; Triton rejects them for an ensemble.
        return Completed(message, ())
    completed = dict(message)
    choices: list[Choice] = []
    for choose in (_instances, _threads, _batching, _warmup):
        choices += choose(completed, tuning, kind)
    return Completed(completed, tuple(choices))


def _kind(message: Message) -> _BackendKind:
    backend, platform = text_in(message, "backend"), text_in(message, "platform")
    if platform == "ensemble" or "ensemble_scheduling" in message:
        return _BackendKind.ENSEMBLE
    if platform == AOT_INDUCTOR_PLATFORM or text_in(message, "runtime"):
        return _BackendKind.OTHER
    if backend == AOT_INDUCTOR_BACKEND:
        return _BackendKind.COMPILED
    if backend == "pytorch" or platform == "pytorch_libtorch":
        return _BackendKind.TORCHSCRIPT
    if backend == "onnxruntime" or platform == "onnxruntime_onnx":
        return _BackendKind.ONNX
    return _BackendKind.OTHER


def place(message: Message, tuning: TuningInputs) -> Message:
    """A hand-written configuration without instances, on the GPUs on which the model has room; nothing else changes."""
    if not tuning.placed_on or "instance_group" in message or _kind(message) is _BackendKind.ENSEMBLE:
        return message
    placed = dict(message)
    _instances(placed, tuning, _kind(message))
    return placed


def _instances(message: Message, tuning: TuningInputs, kind: _BackendKind) -> list[Choice]:
    if "instance_group" in message:
        return []
    count, device, why = _instance_group(tuning, kind)
    group: Message = {"count": [count], "kind": [Identifier(device)]}
    if tuning.placed_on:
        group["gpus"] = list(tuning.placed_on)
    message["instance_group"] = [group]
    where = f" on {', '.join(map(str, tuning.placed_on))}" if tuning.placed_on else ""
    return [Choice("instanceGroups", f"{count} of {device}{where}", why)]


def _instance_group(tuning: TuningInputs, kind: _BackendKind) -> tuple[int, str, str]:
    if tuning.placed_on:
        return 1, "KIND_GPU", "One instance on each GPU on which the declared memory (gpuMemory) fits."
    if tuning.gpus:
        return 1, "KIND_GPU", "One instance per GPU, because a second one would need the model's memory again."
    if kind not in _THREADS:
        return 1, "KIND_CPU", "The number of instances that fit, and their threads, depend on the model's code."
    if tuning.objective == LATENCY:
        return 1, "KIND_CPU", "Objective Latency: one request at a time uses all CPUs."
    if tuning.cpus is None:
        return 1, "KIND_CPU", "The number of CPUs is not known without resources.limits.cpu."
    return (
        tuning.cpus,
        "KIND_CPU",
        "One instance per whole CPU of the limit, each with one thread and a copy of the model.",
    )


def _threads(message: Message, tuning: TuningInputs, kind: _BackendKind) -> list[Choice]:
    name = _THREADS.get(kind)
    if name is None or tuning.gpus or name in _parameter_names(message):
        return []
    threads, why = _thread_count(message, tuning)
    if threads is None:
        return []
    parameter: Message = {"key": [name], "value": [{"string_value": [str(threads)]}]}
    message["parameters"] = [*message.get("parameters", ()), parameter]
    return [Choice(f"parameters.{name}", str(threads), why)]


def _thread_count(message: Message, tuning: TuningInputs) -> tuple[int | None, str]:
    """The number of threads; None leaves it to the backend if the number of CPUs is not known."""
    if tuning.objective != LATENCY:
        return (
            1,
            "With more threads than CPUs, a CNN ran at 1/12 of the speed; several instances use the CPUs instead.",
        )
    if tuning.cpus is None:
        return None, ""
    share = max(1, tuning.cpus // max(1, _instance_count(message)))
    return share, "Objective Latency: the CPUs of resources.limits.cpu are divided among the model's instances."


def _batching(message: Message, tuning: TuningInputs, kind: _BackendKind) -> list[Choice]:
    """Enable dynamic batching; the two kinds of batching exclude each other."""
    del tuning, kind  # Every backend supports batches.
    if {"dynamic_batching", "sequence_batching"} & message.keys() or integer_in(message, "max_batch_size") < 1:
        return []
    message["dynamic_batching"] = [{}]
    why = "Waiting requests run as one batch: up to 2.5 times the throughput, without a delay if no others wait."
    return [Choice("dynamicBatching", "on, without delay", why)]


def _warmup(message: Message, tuning: TuningInputs, kind: _BackendKind) -> list[Choice]:
    """Add a warm-up for backends that compile during the first requests; Python models can warm up themselves."""
    del tuning  # Independent of the device.
    if kind in {_BackendKind.COMPILED, _BackendKind.OTHER} or {"model_warmup", "sequence_batching"} & message.keys():
        return []
    inputs = messages_in(message, "input")
    if not inputs or not all(_has_known_shape(tensor) for tensor in inputs):
        return []
    sent = [tensor for tensor in inputs if text_in(tensor, "optional") != "true"]
    if not sent:
        return []
    shown = ", ".join(f"{text_in(tensor, 'name')} {_dims(tensor)}" for tensor in sent)
    sample: Message = {
        # If a warm-up fails, Triton reports only its name.
        "name": [f"zeros for {shown}"],
        "batch_size": [1],
        "count": [WARMUP_RUNS],
        "inputs": [_zeros(tensor) for tensor in sent],
    }
    message["model_warmup"] = [sample]
    why = "The first requests compile the model and take longer than later ones."
    return [Choice("warmup", f"{WARMUP_RUNS} requests of zeros: {shown}", why)]


def _zeros(tensor: Message) -> Message:
    """An entry of the map `inputs`; zero data for STRING is an empty string."""
    value: Message = {"data_type": tensor["data_type"], "dims": list(tensor["dims"]), "zero_data": [Identifier("true")]}
    return {"key": [text_in(tensor, "name")], "value": [value]}


def _has_known_shape(tensor: Message) -> bool:
    dims = _dims(tensor)
    elements = 1
    for size in dims:
        elements *= size
    return bool(dims) and min(dims) > 0 and elements <= WARMUP_LIMIT and "data_type" in tensor


def _dims(tensor: Message) -> list[int]:
    return [size for size in tensor.get("dims", ()) if isinstance(size, int)]


def _instance_count(message: Message) -> int:
    groups = messages_in(message, "instance_group")
    return sum(max(1, integer_in(group, "count")) for group in groups)


def _parameter_names(message: Message) -> set[Value]:
    entries = messages_in(message, "parameters")
    return {name for entry in entries for name in entry.get("key", ()) if isinstance(name, str)}
