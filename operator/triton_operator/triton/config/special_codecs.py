"""Codecs for messages that look different in the API: maps, and messages whose fields exclude each other.

Triton's protobuf has a field for each kind of content and means whichever is set; the API has one field that says the
kind. Each such message is rearranged, as plain data, into one that a Record can read. `typed_config` puts the codecs
into its tables.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from triton_operator.api.batching import ControlInput, ControlKind, InitialState, State
from triton_operator.api.model_config import WarmupData, WarmupInput
from triton_operator.api.tensor import DataType
from triton_operator.triton.config.codecs import (
    Codec,
    Enumerated,
    Field,
    Integer,
    Record,
    Repeated,
    Text,
    as_message,
    join,
    refuse_others,
    single,
)
from triton_operator.triton.config.model_config import ConfigError
from triton_operator.triton.text.parser import Identifier, Message, Value

DATA_TYPE = Enumerated({f"TYPE_{data_type}": data_type for data_type in DataType})
DIMS = Repeated(Integer())

_YES = Identifier("true")


class Entries:
    """A map from strings: a dictionary in the API, messages of `key` and `value` in the text."""

    def __init__(self, message_type: str, content: Codec) -> None:
        """Take the codec of the values; `message_type` is the entry's."""
        self._message_type, self._content = message_type, content

    def write(self, value: dict[str, Any]) -> list[Value]:
        """One entry for each key, in the order of the keys, so that equal maps are equal texts."""
        return [{"key": [key], "value": self._content.write(value[key])} for key in sorted(value)]

    def read(self, values: list[Value], path: str) -> dict[str, Any]:
        """The dictionary; a key twice is an error, since the first value would be lost."""
        found: dict[str, Any] = {}
        for index, value in enumerate(values):
            place = f"{path}[{index}]"
            key, content = entry(as_message(value, place), self._message_type, place)
            if key in found:
                raise ConfigError(f'{place}.key: "{key}" is set twice')
            found[key] = self._content.read([content], f"{place}.value")
        return found


class Rearranged:
    """A struct whose message is brought into the form of `record` before it is read, and back after it is written.

    `from_triton` gets the message and its path and raises ConfigError; `to_triton` gets what the record wrote.
    """

    def __init__(
        self, record: Record, to_triton: Callable[[Message], Message], from_triton: Callable[[Message, str], Message]
    ) -> None:
        """Take the record and the two directions."""
        self._record, self._to_triton, self._from_triton = record, to_triton, from_triton

    def write(self, value: Any) -> list[Value]:
        """Triton's message."""
        return [self._to_triton(self._record.to_message(value))]

    def read(self, values: list[Value], path: str) -> Any:
        """The struct."""
        return self._record.from_message(self._from_triton(as_message(single(values, path), path), path), path)


def entry(message: Message, message_type: str, path: str) -> tuple[str, Value]:
    """Key and value of a map's entry."""
    refuse_others(message, {"key", "value"}, message_type, path)
    for part in ("key", "value"):
        if not message.get(part):
            raise ConfigError(f"{path}.{part}: is missing")
    return Text().read(message["key"], f"{path}.key"), single(message["value"], f"{path}.value")


def one_of(message: Message, fields: tuple[str, ...], path: str) -> str:
    """The one of these fields that is set."""
    found = [field for field in fields if message.get(field)]
    if len(found) != 1:
        raise ConfigError(f"{path}: exactly one of {', '.join(fields)} must be set")
    return found[0]


_WARMUP_DATA = {"zero_data": Identifier("Zero"), "random_data": Identifier("Random")}


def _warmup_to_triton(message: Message) -> Message:
    """The name is the key of the map; the kind of data is the field that is set."""
    content = {field: values for field, values in message.items() if field not in {"name", "data"}}
    for field, kind in _WARMUP_DATA.items():
        if message.get("data") == [kind]:
            content[field] = [_YES]
    return {"key": message["name"], "value": [content]}


def _warmup_from_triton(message: Message, path: str) -> Message:
    name, value = entry(message, "InputsEntry", path)
    content = dict(as_message(value, path))
    kind = one_of(content, (*_WARMUP_DATA, "input_data_file"), path)
    if kind in _WARMUP_DATA:
        del content[kind]
        content["data"] = [_WARMUP_DATA[kind]]
    content["name"] = [name]
    return content


WARMUP_INPUT = Rearranged(
    Record(
        WarmupInput,
        "Input",
        {
            "name": Field("name", Text()),
            "data_type": Field("data_type", DATA_TYPE),
            "dims": Field("dims", DIMS),
            "data": Field("data", Enumerated({data.value: data for data in WarmupData})),
            "data_file": Field("input_data_file", Text()),
        },
    ),
    _warmup_to_triton,
    _warmup_from_triton,
)
"""One input of a warm-up."""

_FALSE_TRUE: dict[str, tuple[str, list[Value]]] = {
    "TYPE_INT32": ("int32_false_true", [0, 1]),
    "TYPE_FP32": ("fp32_false_true", [0.0, 1.0]),
    "TYPE_BOOL": ("bool_false_true", [Identifier("false"), _YES]),
}
"""How a control says yes and no, by its data type; only the correlation ID has a data type of its own."""


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
    # The first word of an enumeration is its zero, which protobuf does not print.
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
    raise ConfigError(f"{path}: the typed config has 0 for no and 1 for yes, in this order")


CONTROL_INPUT = Rearranged(
    Record(
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
"""One input that tells the model about its sequence."""


def _state_to_triton(message: Message) -> Message:
    """Triton wants the data type again and a word for zeros."""
    for initial in message.get("initial_state", []):
        if isinstance(initial, dict):
            initial["data_type"] = message["data_type"]
            if "data_file" not in initial:
                initial["zero_data"] = [_YES]
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
    Record(
        State,
        "State",
        {
            "input_name": Field("input_name", Text()),
            "output_name": Field("output_name", Text()),
            "data_type": Field("data_type", DATA_TYPE),
            "dims": Field("dims", DIMS),
            "initial_state": Field(
                "initial_state",
                Record(
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
"""One tensor that Triton keeps between the requests of a sequence."""
