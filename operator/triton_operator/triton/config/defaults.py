"""What a model's configuration says where its author is silent, and why.

A message and the Facts of its pod go in; the message with the missing fields and a Choice for each leave. Pure.
`resources` calls it when it renders a typed configuration, `prepare` again when the model's signature has told more,
so completing twice is the same as once. A field that is there, even an empty list, was chosen and stays. Figures are
measurements on two cores with the server of 24.10: a CNN, an LSTM, a transformer and a small perceptron.
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
"""What `spec.models[].objective` may say; Throughput counts where it says nothing."""

WARMUP_RUNS = 3
"""TorchScript compiles during the first two runs of a shape: the third shows that it is done."""

WARMUP_LIMIT = 64 * 1024 * 1024
"""Elements of one warm-up request, beyond which it would itself be a load."""


class TuningInputs(Struct, frozen=True):
    """What decides besides the configuration itself.

    `cpus` are the whole CPUs of the server's limit (at least 1), None without a limit; `gpus` the GPUs of a pod;
    `objective` what the user said, "" for nothing.
    """

    cpus: int | None = None
    gpus: int = 0
    objective: str = ""

    def may_complete(self, *, hand_written: bool) -> bool:
        """Whether open fields are filled in: in a file that a person wrote only when an objective is asked for."""
        return not hand_written or bool(self.objective)


class Choice(Struct, frozen=True):
    """A value that nobody wrote: `field` as a user would write it in `spec`, and the reason in a sentence."""

    field: str
    value: str
    why: str


class Completed(NamedTuple):
    """A message with nothing left open, and what was chosen for it, in the order of the fields."""

    message: Message
    choices: tuple[Choice, ...]


class _BackendKind(StrEnum):
    """What runs the model, as far as defaults differ."""

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
"""The parameter by which a backend takes the number of threads that one request may use."""


def complete(message: Message, tuning: TuningInputs) -> Completed:
    """Fill what is missing; fields that are there are never changed."""
    kind = _kind(message)
    if kind is _BackendKind.ENSEMBLE:
        # Its steps have instances, batches and warm-ups of their own, and Triton refuses them here.
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


def _instances(message: Message, tuning: TuningInputs, kind: _BackendKind) -> list[Choice]:
    if "instance_group" in message:
        return []
    count, device, why = _instance_group(tuning, kind)
    message["instance_group"] = [{"count": [count], "kind": [Identifier(device)]}]
    return [Choice("instanceGroups", f"{count} of {device}", why)]


def _instance_group(tuning: TuningInputs, kind: _BackendKind) -> tuple[int, str, str]:
    if tuning.gpus:
        return 1, "KIND_GPU", "One on each GPU: a second one would need the model's memory a second time."
    if kind not in _THREADS:
        return 1, "KIND_CPU", "How many of them fit, and how many threads each has, only its author knows."
    if tuning.objective == LATENCY:
        return 1, "KIND_CPU", "Latency: one request at a time gets every CPU."
    if tuning.cpus is None:
        return 1, "KIND_CPU", "Without resources.limits.cpu nobody knows how many CPUs there are."
    return tuning.cpus, "KIND_CPU", "One for each whole CPU of the limit, each with one thread and a copy of the model."


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
    """None leaves it to the backend: what is best depends on CPUs that nobody has counted."""
    if tuning.objective != LATENCY:
        return 1, "More threads than CPUs cost a CNN 12 times its throughput; instances use the CPUs instead."
    if tuning.cpus is None:
        return None, ""
    share = max(1, tuning.cpus // max(1, _instance_count(message)))
    return share, "Latency: the CPUs of resources.limits.cpu, shared by the model's instances."


def _batching(message: Message, tuning: TuningInputs, kind: _BackendKind) -> list[Choice]:
    """Only one of the two kinds of batching may be there."""
    del tuning, kind  # Wherever it runs: every backend takes several requests at once.
    if {"dynamic_batching", "sequence_batching"} & message.keys() or integer_in(message, "max_batch_size") < 1:
        return []
    message["dynamic_batching"] = [{}]
    why = "Requests that wait run as one: up to 2.5 times the throughput, and nothing is lost where none waits."
    return [Choice("dynamicBatching", "on, without delay", why)]


def _warmup(message: Message, tuning: TuningInputs, kind: _BackendKind) -> list[Choice]:
    """Only where a backend compiles during the first requests; a Python model warms itself up."""
    del tuning  # Wherever it runs.
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
        # Of a warm-up that fails Triton tells the name, and nothing else of what it sent.
        "name": [f"zeros for {shown}"],
        "batch_size": [1],
        "count": [WARMUP_RUNS],
        "inputs": [_zeros(tensor) for tensor in sent],
    }
    message["model_warmup"] = [sample]
    why = "The first requests compile the model, which takes longer than the rest: no client should wait for it."
    return [Choice("warmup", f"{WARMUP_RUNS} requests of zeros: {shown}", why)]


def _zeros(tensor: Message) -> Message:
    """An entry of the map `inputs`; a text of zeros is an empty text."""
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
