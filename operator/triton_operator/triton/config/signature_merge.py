"""Merge a configuration with the signature in the model's file: add missing fields and check existing ones.

Input: a config.pbtxt as a Message, and a Signature. Output: the complete Message. A contradiction raises a ConfigError
that names both sides, because either may be wrong. `prepare` and `lint` call it. Pure.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from triton_operator.triton.config.filled_tensors import filled_inputs, kept_outputs
from triton_operator.triton.model_file.signature import ANY, Signature, TensorSpec, shown_tensor
from triton_operator.triton.text.checked_values import as_integer, as_message
from triton_operator.triton.text.errors import ConfigError
from triton_operator.triton.text.parser import Identifier, Message, Value
from triton_operator.triton.text.values import DATA_TYPES

_INDEXED = re.compile(r".+__\d+")


class _Side(NamedTuple):
    """One field of the configuration (`input` or `output`), and the configuration's name in messages.

    `unbatched`: the configuration turns off the model's batching, so its dims include the batch. `excluded`: tensors
    that Triton handles itself, such as the state of a sequence.
    """

    field: str
    origin: str
    unbatched: bool
    excluded: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        return f"{self.origin}: {self.field}"

    def contradiction(self, declared: str, signature: str, advice: str = "") -> ConfigError:
        return ConfigError(f"{self.origin} declares {declared}, but the model's signature {signature}{advice}")


def merge(message: Message, signature: Signature, origin: str = "config.pbtxt") -> Message:
    """The configuration, with missing fields taken from the signature; equal to `message` if nothing is missing.

    `origin` is what messages call the configuration. Raises ConfigError. Inputs and outputs get the signature's order,
    because Triton uses the order if the names do not determine the positions.
    """
    batch = _batch_size(message, signature, origin)
    unbatched = batch == 0 and signature.max_batch_size > 0
    merged = dict(message)
    if batch or "max_batch_size" in message:
        merged["max_batch_size"] = [batch]
    for field, tensors, excluded in (
        ("input", signature.inputs, filled_inputs(message)),
        ("output", signature.outputs, kept_outputs(message)),
    ):
        merged[field] = _merge_tensors(message.get(field, []), tensors, _Side(field, origin, unbatched, excluded))
    return merged


def _batch_size(message: Message, signature: Signature, origin: str) -> int:
    values = message.get("max_batch_size", [])
    limit = signature.max_batch_size
    if not values:
        return limit
    size = as_integer(values[-1], f"{origin}: max_batch_size")
    if size < 0:
        raise ConfigError(f"{origin}: max_batch_size: must not be negative")
    if size > limit:
        allowed = f"at most {limit}" if limit else "only 0, because the model has no batch dimension"
        raise ConfigError(f"{origin} declares max_batch_size {size}, but the model's signature allows {allowed}")
    return size


def _merge_tensors(entries: list[Value], tensors: tuple[TensorSpec, ...], side: _Side) -> list[Value]:
    known = {tensor.name: tensor for tensor in tensors if tensor.name not in side.excluded}
    declared = _by_name(entries, side) if entries else {name: {} for name in known}
    for name in declared:
        if name not in known:
            raise side.contradiction(f'the {side.field} "{name}"', f"declares {', '.join(known)}")
    missing = [name for name in known if name not in declared]
    if missing and not _may_be_omitted(side.field, known):
        raise side.contradiction(f"the {side.field}s {', '.join(declared)}", f"also declares {', '.join(missing)}")
    return [_merge_tensor(declared[name], known[name], side) for name in known if name in declared]


def _by_name(entries: list[Value], side: _Side) -> dict[str, Message]:
    declared: dict[str, Message] = {}
    for value in entries:
        entry = as_message(value, side.path)
        name = entry.get("name", [""])[-1]
        if not isinstance(name, str) or not name:
            raise ConfigError(f"{side.path}: has no name")
        if name in declared:
            raise ConfigError(f'{side.path}: "{name}" is set twice')
        declared[name] = entry
    return declared


def _may_be_omitted(field: str, known: dict[str, TensorSpec]) -> bool:
    """Outputs may be omitted if their names contain their positions; all inputs of forward() are needed."""
    return field == "output" and all(_INDEXED.fullmatch(name) for name in known)


def _merge_tensor(entry: Message, tensor: TensorSpec, side: _Side) -> Message:
    """One input or output: the entry as it is, and the fields that it does not have."""
    data_type = _data_type(entry, tensor, side)
    open_fields, open_shape = _open_shape(tensor, side)
    shape = _model_shape(entry, side)
    if shape is None:
        shape, entry = open_shape, entry | open_fields
    if data_type != tensor.data_type or not _fits(shape, tensor, unbatched=side.unbatched):
        declared = f"{tensor.name} as {shown_tensor(data_type, shape)}"
        raise side.contradiction(declared, f"declares {tensor.shown}", _advice(shape, tensor, side))
    filled: Message = {"name": [tensor.name], "data_type": [Identifier(f"TYPE_{data_type}")]}
    return filled | entry


def _open_shape(tensor: TensorSpec, side: _Side) -> tuple[Message, tuple[int, ...]]:
    """The fields for a tensor whose entry has no shape, and the shape that they give the model.

    Triton requires at least one dimension. For a model with one value per row, `reshape` removes it.
    """
    shape = (ANY, *tensor.dims) if side.unbatched else tensor.dims
    return ({"dims": list(shape)} if shape else {"dims": [1], "reshape": [{}]}), shape


def _model_shape(entry: Message, side: _Side) -> tuple[int, ...] | None:
    """The shape that the model receives: `reshape` if it is set, else `dims`; None without either."""
    dims, values = _sizes(entry, "dims", side), entry.get("reshape", [])
    if not values:
        return dims or None  # Triton requires at least one dimension, so an empty list has the meaning of no list.
    return _sizes(as_message(values[-1], f"{side.path}: reshape"), "shape", side)


def _data_type(entry: Message, tensor: TensorSpec, side: _Side) -> str:
    values = entry.get("data_type", [])
    if not values:
        return tensor.data_type
    value = values[-1]
    if isinstance(value, int) and 0 <= value < len(DATA_TYPES):
        return DATA_TYPES[value]
    if not isinstance(value, Identifier):
        raise ConfigError(f"{side.path}: {tensor.name}: data_type: must be a word such as TYPE_FP32")
    return value.removeprefix("TYPE_")


def _sizes(message: Message, field: str, side: _Side) -> tuple[int, ...]:
    return tuple(as_integer(size, f"{side.path}: {field}") for size in message.get(field, []))


def _fits(dims: tuple[int, ...], tensor: TensorSpec, *, unbatched: bool) -> bool:
    """Whether the model accepts every size: its own, or any size where the signature has -1."""
    sizes = dims[1:] if unbatched else dims
    if len(sizes) != len(tensor.dims) or (unbatched and not dims):
        return False
    return all(own in {ANY, size} for size, own in zip(sizes, tensor.dims, strict=True))


def _advice(dims: tuple[int, ...], tensor: TensorSpec, side: _Side) -> str:
    if not side.unbatched and _fits(dims[1:], tensor, unbatched=False):
        return "; with max_batch_size, dims do not include the batch"
    if side.unbatched:
        return "; with max_batch_size 0, dims begin with the batch"
    return ""
