"""A configuration held against the signature in the model's own file: completed where it is silent, checked elsewhere.

A config.pbtxt as a Message and a Signature go in, the whole Message leaves; `prepare` and `lint` call it. Pure. What
contradicts is a ConfigError that names both sides, because either may be the wrong one.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from triton_operator.triton.config.filled_tensors import filled_inputs, kept_outputs
from triton_operator.triton.config.model_config import ConfigError
from triton_operator.triton.model_file.signature import ANY, Signature, Tensor, shown_tensor
from triton_operator.triton.text.parser import Identifier, Message, Value
from triton_operator.triton.text.values import DATA_TYPES

_INDEXED = re.compile(r".+__\d+")


class _Side(NamedTuple):
    """One field of the configuration, and what a message calls the configuration.

    `unbatched`: it turns off the batching that the model has, so its dims begin with the batch. `elsewhere`: tensors
    that it declares as Triton's own, such as a sequence's state.
    """

    field: str
    origin: str
    unbatched: bool
    elsewhere: tuple[str, ...] = ()

    def error(self, says: str, but: str, advice: str = "") -> ConfigError:
        return ConfigError(f"{self.origin} says {says}, the model's signature says {but}{advice}")

    def malformed(self, problem: str) -> ConfigError:
        return ConfigError(f"{self.origin}: {self.field}: {problem}")


def merge(message: Message, signature: Signature, origin: str = "config.pbtxt") -> Message:
    """The configuration with what it leaves open taken from the signature; equal to `message` when nothing was open.

    `origin` is what messages call the configuration. Raises ConfigError. Inputs and outputs get the signature's order,
    because Triton goes by the order where names say nothing.
    """
    batch = _batch_size(message, signature, origin)
    unbatched = batch == 0 and signature.max_batch_size > 0
    merged = dict(message)
    if batch or "max_batch_size" in message:
        merged["max_batch_size"] = [batch]
    for field, tensors, elsewhere in (
        ("input", signature.inputs, filled_inputs(message)),
        ("output", signature.outputs, kept_outputs(message)),
    ):
        merged[field] = _merge_tensors(message.get(field, []), tensors, _Side(field, origin, unbatched, elsewhere))
    return merged


def _batch_size(message: Message, signature: Signature, origin: str) -> int:
    values = message.get("max_batch_size", [])
    limit = signature.max_batch_size
    if not values:
        return limit
    size = values[-1]
    if not isinstance(size, int) or size < 0:
        raise ConfigError(f"{origin}: max_batch_size: must be a whole number from 0 up")
    if size > limit:
        meaning = f"at most {limit}" if limit else "0, for the model has no batch dimension"
        raise ConfigError(f"{origin} says max_batch_size {size}, the model's signature says {meaning}")
    return size


def _merge_tensors(entries: list[Value], tensors: tuple[Tensor, ...], side: _Side) -> list[Value]:
    known = {tensor.name: tensor for tensor in tensors if tensor.name not in side.elsewhere}
    said = _by_name(entries, side) if entries else {name: {} for name in known}
    for name in said:
        if name not in known:
            raise side.error(f'{side.field} "{name}"', f"the {side.field}s are {', '.join(known)}")
    missing = [name for name in known if name not in said]
    if missing and not _may_be_left_out(side.field, known):
        raise side.error(f"the {side.field}s are {', '.join(said)}", f"there is also {', '.join(missing)}")
    return [_merge_tensor(said[name], known[name], side) for name in known if name in said]


def _by_name(entries: list[Value], side: _Side) -> dict[str, Message]:
    said: dict[str, Message] = {}
    for entry in entries:
        if not isinstance(entry, dict):
            raise side.malformed("must be a message in braces")
        name = entry.get("name", [""])[-1]
        if not isinstance(name, str) or not name:
            raise side.malformed("has no name")
        if name in said:
            raise side.malformed(f'"{name}" is there twice')
        said[name] = entry
    return said


def _may_be_left_out(field: str, known: dict[str, Tensor]) -> bool:
    """A result that nobody wants, where the names say which is which; what forward() takes has to be there."""
    return field == "output" and all(_INDEXED.fullmatch(name) for name in known)


def _merge_tensor(entry: Message, tensor: Tensor, side: _Side) -> Message:
    """One input or output: the entry first, as it stands, then what it left out."""
    data_type = _data_type(entry, tensor, side)
    silent, seen_by_model = _open_shape(tensor, side)
    shape = _model_shape(entry, side)
    if shape is None:
        shape, entry = seen_by_model, entry | silent
    if data_type != tensor.data_type or not _fits(shape, tensor, unbatched=side.unbatched):
        says = f"{tensor.name} is {shown_tensor(data_type, shape)}"
        raise side.error(says, tensor.shown, _advice(shape, tensor, side))
    filled: Message = {"name": [tensor.name], "data_type": [Identifier(f"TYPE_{data_type}")]}
    return filled | entry


def _open_shape(tensor: Tensor, side: _Side) -> tuple[Message, tuple[int, ...]]:
    """What a config says that leaves the shape to the signature, and the shape itself.

    Triton wants at least one size; for a model that has one value in each row it takes `reshape` to none.
    """
    shape = (ANY, *tensor.dims) if side.unbatched else tensor.dims
    return ({"dims": list(shape)} if shape else {"dims": [1], "reshape": [{}]}), shape


def _model_shape(entry: Message, side: _Side) -> tuple[int, ...] | None:
    """The shape that the model is to see: `reshape` where clients see another one, else `dims`; None if neither."""
    dims, values = _sizes(entry, "dims", side), entry.get("reshape", [])
    if not values:
        return dims or None  # Triton wants at least one, so none is as good as silence.
    reshape = values[-1]
    if not isinstance(reshape, dict):
        raise side.malformed("reshape: must be a message in braces")
    return _sizes(reshape, "shape", side)


def _data_type(entry: Message, tensor: Tensor, side: _Side) -> str:
    values = entry.get("data_type", [])
    if not values:
        return tensor.data_type
    value = values[-1]
    if isinstance(value, int) and 0 <= value < len(DATA_TYPES):
        return DATA_TYPES[value]
    if not isinstance(value, Identifier):
        raise side.malformed(f"{tensor.name}: data_type: must be a word such as TYPE_FP32")
    return value.removeprefix("TYPE_")


def _sizes(message: Message, field: str, side: _Side) -> tuple[int, ...]:
    sizes = message.get(field, [])
    if not all(isinstance(size, int) for size in sizes):
        raise side.malformed(f"{field}: must be whole numbers")
    return tuple(size for size in sizes if isinstance(size, int))


def _fits(dims: tuple[int, ...], tensor: Tensor, *, unbatched: bool) -> bool:
    """Whether every size is the model's own, or one that a model of any size takes."""
    sizes = dims[1:] if unbatched else dims
    if len(sizes) != len(tensor.dims) or (unbatched and not dims):
        return False
    return all(own in {ANY, size} for size, own in zip(sizes, tensor.dims, strict=True))


def _advice(dims: tuple[int, ...], tensor: Tensor, side: _Side) -> str:
    if not side.unbatched and _fits(dims[1:], tensor, unbatched=False):
        return "; with max_batch_size the dims leave out the batch"
    if side.unbatched:
        return "; with max_batch_size 0 the dims begin with the batch"
    return ""
