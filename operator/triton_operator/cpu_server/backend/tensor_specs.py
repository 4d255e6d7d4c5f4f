"""Read the inputs and outputs of a model from config.pbtxt, including batch inputs, controls and states.

Input: the model's configuration as a dictionary, as Triton passes it. Output: a `ModelTensor` for each tensor. Pure;
`interface` maps them to forward(). `batch_input` tensors, and the controls and states of `sequence_batching`, follow
the inputs; states follow the outputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Any


class InterfaceError(Exception):
    """config.pbtxt does not match the model; the message states what each of them declares."""


class Role(Enum):
    """The source of an input, or the destination of an output."""

    CLIENT = auto()
    COUNT = auto()
    """The backend computes it from the shapes of an input (`batch_input`), or splits it by them (`batch_output`)."""
    CONTROL = auto()
    """Triton sets it to the request's position in its sequence."""
    STATE = auto()
    """It is carried over from one request of a sequence to the next."""


@dataclass(frozen=True)
class ModelTensor:
    """One input or output; `dtype` has no `TYPE_` prefix, and `dims`, after `reshape`, have no batch dimension."""

    name: str
    dtype: str
    dims: tuple[int, ...]
    optional: bool = False
    role: Role = Role.CLIENT
    ragged: bool = False
    """Requests with different shapes are passed to the model as one flat tensor."""
    kind: str = ""
    """The batch kind of a COUNT, which is computed from the input `source`."""
    source: str = ""
    has_initial_state: bool = False
    """Triton supplies the state at the start of a sequence; otherwise it is zeros."""


def input_specs(config: dict[str, Any]) -> tuple[ModelTensor, ...]:
    """The inputs in the order of the config, followed by batch inputs, controls and states."""
    counts = (
        ModelTensor(name, _dtype(each), (), role=Role.COUNT, kind=each["kind"], source=each["source_input"][0])
        for each in config.get("batch_input") or []
        for name in each["target_name"]
    )
    sequence = config.get("sequence_batching") or {}
    controls = (_control(each) for each in sequence.get("control_input") or [])
    states = (_state(each, each["input_name"]) for each in sequence.get("state") or [])
    return (*_entries(config, "input"), *counts, *controls, *states)


def output_specs(config: dict[str, Any]) -> tuple[ModelTensor, ...]:
    """The outputs in the order of the config, followed by states."""
    states = (_state(each, each["output_name"]) for each in (config.get("sequence_batching") or {}).get("state") or [])
    return (*_entries(config, "output"), *states)


def _entries(config: dict[str, Any], kind: str) -> tuple[ModelTensor, ...]:
    entries = config.get(kind) or []
    if not entries:
        raise InterfaceError(f"config.pbtxt declares no {kind}, which the backend cannot derive: add `{kind} [...]`")
    scattered = {
        name: (each["kind"], each["source_input"][0])
        for each in config.get(f"batch_{kind}") or []
        for name in each["target_name"]
        if kind == "output"
    }
    return tuple(
        ModelTensor(
            entry["name"],
            _dtype(entry),
            _sizes(entry["reshape"].get("shape") if entry.get("reshape") is not None else entry.get("dims")),
            bool(entry.get("optional")),
            role=Role.COUNT if entry["name"] in scattered else Role.CLIENT,
            ragged=bool(entry.get("allow_ragged_batch")),
            kind=scattered.get(entry["name"], ("", ""))[0],
            source=scattered.get(entry["name"], ("", ""))[1],
        )
        for entry in entries
    )


def _control(entry: dict[str, Any]) -> ModelTensor:
    """The name of a control's value pair determines its type; CORRID has a type field."""
    control = entry["control"][0]
    typed = {"int32_false_true": "INT32", "fp32_false_true": "FP32", "bool_false_true": "BOOL"}
    dtype = next((dtype for field, dtype in typed.items() if control.get(field)), None) or _dtype(control)
    return ModelTensor(entry["name"], dtype, (1,), role=Role.CONTROL)


def _state(entry: dict[str, Any], name: str) -> ModelTensor:
    has_initial_state = bool(entry.get("initial_state"))
    return ModelTensor(
        name, _dtype(entry), _sizes(entry.get("dims")), role=Role.STATE, has_initial_state=has_initial_state
    )


def _dtype(entry: dict[str, Any]) -> str:
    return str(entry["data_type"]).removeprefix("TYPE_")


def _sizes(sizes: list[Any] | None) -> tuple[int, ...]:
    return tuple(int(size) for size in sizes or [])
