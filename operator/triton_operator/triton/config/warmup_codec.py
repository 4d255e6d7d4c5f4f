"""The codec of one input of a warm-up request: an entry of the map `inputs` in Triton, a WarmupInput in the API."""

from __future__ import annotations

from triton_operator.api.model_config import WarmupData, WarmupInput
from triton_operator.triton.config.codecs import Enumerated, Field, StructCodec, Text
from triton_operator.triton.config.message_codecs import DATA_TYPE, DIMS, YES, Rearranged, entry, one_of
from triton_operator.triton.text.checked_values import as_message
from triton_operator.triton.text.parser import Identifier, Message

_WARMUP_DATA = {"zero_data": Identifier("Zero"), "random_data": Identifier("Random")}


def _warmup_to_triton(message: Message) -> Message:
    """The name becomes the key of the map entry, and the kind of data becomes a field."""
    content = {field: values for field, values in message.items() if field not in {"name", "data"}}
    for field, kind in _WARMUP_DATA.items():
        if message.get("data") == [kind]:
            content[field] = [YES]
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
    StructCodec(
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
"""The codec of one input of a warm-up."""
