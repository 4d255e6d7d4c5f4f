"""Codecs of sequence batching: the control inputs, the states and the two strategies."""

from __future__ import annotations

from triton_operator.api import batching
from triton_operator.api.batching import ControlInput, ControlKind, InitialState, State
from triton_operator.triton.config.codecs import (
    Boolean,
    Enumerated,
    Field,
    Integer,
    Percent,
    Repeated,
    StructCodec,
    Text,
    refuse_others,
)
from triton_operator.triton.config.message_codecs import DATA_TYPE, DIMS, YES, Rearranged, one_of
from triton_operator.triton.text.checked_values import as_message, join, single
from triton_operator.triton.text.errors import ConfigError
from triton_operator.triton.text.parser import Identifier, Message, Value

_FALSE_TRUE: dict[str, tuple[str, list[Value]]] = {
    "TYPE_INT32": ("int32_false_true", [0, 1]),
    "TYPE_FP32": ("fp32_false_true", [0.0, 1.0]),
    "TYPE_BOOL": ("bool_false_true", [Identifier("false"), YES]),
}
"""The field for a control's false and true values, by data type; only the correlation ID has a field `data_type`."""


def _control_to_triton(message: Message) -> Message:
    control: Message = {"kind": message["kind"]}
    data_type = message["data_type"][0]
    if message["kind"] == ["CONTROL_SEQUENCE_CORRID"]:
        control["data_type"] = [data_type]
    elif data_type in _FALSE_TRUE:
        field, values = _FALSE_TRUE[str(data_type)]
        control[field] = list(values)
    else:
        raise ConfigError(f"control input {message['name'][0]}: must be one of {', '.join(_FALSE_TRUE)}")
    return {"name": message["name"], "control": [control]}


def _control_from_triton(message: Message, path: str) -> Message:
    refuse_others(message, {"name", "control"}, "ControlInput", path)
    path = f"{path}.control"
    control = as_message(single(message.get("control", []), path), path)
    fields = tuple(field for field, _ in _FALSE_TRUE.values())
    refuse_others(control, {"kind", "data_type", *fields}, "Control", path)
    # Protobuf does not print the first value of an enumeration.
    kind = control.get("kind") or [Identifier("CONTROL_SEQUENCE_START")]
    if kind == ["CONTROL_SEQUENCE_CORRID"]:
        one_of(control, ("data_type",), path)
        data_type = control["data_type"]
    else:
        field = one_of(control, fields, path)
        data_type = [_control_type(field, control[field], join(path, field))]
    return {"name": message.get("name", []), "kind": kind, "data_type": data_type}


def _control_type(field: str, values: list[Value], path: str) -> Identifier:
    for data_type, (name, false_true) in _FALSE_TRUE.items():
        if name == field and values == false_true:
            return Identifier(data_type)
    raise ConfigError(f"{path}: must be 0 for false and 1 for true, in this order, in the typed config")


CONTROL_INPUT = Rearranged(
    StructCodec(
        ControlInput,
        "ControlInput",
        {
            "name": Field("name", Text()),
            "kind": Field(
                "kind",
                Enumerated(
                    {
                        "CONTROL_SEQUENCE_START": ControlKind.START,
                        "CONTROL_SEQUENCE_READY": ControlKind.READY,
                        "CONTROL_SEQUENCE_END": ControlKind.END,
                        "CONTROL_SEQUENCE_CORRID": ControlKind.CORRELATION_ID,
                    }
                ),
            ),
            "data_type": Field("data_type", DATA_TYPE),
        },
    ),
    _control_to_triton,
    _control_from_triton,
)
"""The codec of a control input."""


def _state_to_triton(message: Message) -> Message:
    """Triton requires the data type again and a flag for zeros."""
    for initial in message.get("initial_state", []):
        if isinstance(initial, dict):
            initial["data_type"] = message["data_type"]
            if "data_file" not in initial:
                initial["zero_data"] = [YES]
    return message


def _state_from_triton(message: Message, path: str) -> Message:
    if not message.get("initial_state"):
        return message
    path = f"{path}.initial_state"
    initial = dict(as_message(single(message["initial_state"], path), path))
    if initial.pop("data_type", None) != message.get("data_type"):
        raise ConfigError(f"{path}.data_type: must be the state's own")
    one_of(initial, ("zero_data", "data_file"), path)
    initial.pop("zero_data", None)
    return message | {"initial_state": [initial]}


STATE = Rearranged(
    StructCodec(
        State,
        "State",
        {
            "input_name": Field("input_name", Text()),
            "output_name": Field("output_name", Text()),
            "data_type": Field("data_type", DATA_TYPE),
            "dims": Field("dims", DIMS),
            "initial_state": Field(
                "initial_state",
                StructCodec(
                    InitialState,
                    "InitialState",
                    {
                        "name": Field("name", Text()),
                        "dims": Field("dims", DIMS),
                        "data_file": Field("data_file", Text()),
                    },
                ),
            ),
        },
    ),
    _state_to_triton,
    _state_from_triton,
)
"""The codec of a state."""

_DIRECT = StructCodec(
    batching.DirectStrategy,
    "StrategyDirect",
    {
        "max_queue_delay_microseconds": Field("max_queue_delay_microseconds", Integer()),
        "minimum_slot_utilization_percent": Field("minimum_slot_utilization", Percent()),
    },
)
_OLDEST = StructCodec(
    batching.OldestStrategy,
    "StrategyOldest",
    {
        "max_candidate_sequences": Field("max_candidate_sequences", Integer()),
        "preferred_batch_sizes": Field("preferred_batch_size", Repeated(Integer())),
        "max_queue_delay_microseconds": Field("max_queue_delay_microseconds", Integer()),
        "preserve_ordering": Field("preserve_ordering", Boolean()),
    },
)
SEQUENCE_BATCHING = StructCodec(
    batching.SequenceBatching,
    "ModelSequenceBatching",
    {
        "max_sequence_idle_microseconds": Field("max_sequence_idle_microseconds", Integer()),
        "control_inputs": Field("control_input", Repeated(CONTROL_INPUT)),
        "states": Field("state", Repeated(STATE)),
        "direct": Field("direct", _DIRECT),
        "oldest": Field("oldest", _OLDEST),
    },
)
