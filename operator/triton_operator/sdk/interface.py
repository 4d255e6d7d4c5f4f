"""What a served model takes and gives, as the server tells it.

Pure. Input: the JSON of the v2 model metadata and, where the server tells it, of the model's configuration
(https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_model_configuration.md).
Output: a `ModelInterface`. `connection` reads both and keeps the result; `inputs` holds requests against it.

The metadata alone does not say whether a leading -1 is a batch, nor which inputs are optional. A ModelDeployment
closes the configuration API to everybody, so that is the usual case: then `max_batch_size` is None, and the server's
own refusal of too large a batch tells it later.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from triton_operator.triton.model_file.signature import ANY, shown_tensor


class TensorInterface(msgspec.Struct, frozen=True):
    """One input or output; `shape` has the batch where there is one, -1 is any size.

    `optional` is None where the server does not tell it.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    optional: bool | None = None

    @property
    def shown(self) -> str:
        """Type and shape as messages write them: `FP32 [-1,28,28]`."""
        return shown_tensor(self.datatype, self.shape)


class ModelInterface(msgspec.Struct, frozen=True):
    """A model's tensors in its own order.

    `max_batch_size` is None where the server does not tell it, and 0 for a model without a batch dimension.
    """

    model: str
    inputs: tuple[TensorInterface, ...]
    outputs: tuple[TensorInterface, ...]
    versions: tuple[str, ...] = ()
    max_batch_size: int | None = None

    @property
    def takes_rows(self) -> bool:
        """Whether the first dimension counts rows: a batch for sure, or any size in all tensors."""
        if self.max_batch_size is not None:
            return self.max_batch_size > 0
        tensors = (*self.inputs, *self.outputs)
        return bool(tensors) and all(tensor.shape[:1] == (ANY,) for tensor in tensors)


class _Metadata(msgspec.Struct):
    name: str
    versions: tuple[str, ...] = ()
    inputs: tuple[TensorInterface, ...] = ()
    outputs: tuple[TensorInterface, ...] = ()


class _Input(msgspec.Struct):
    name: str
    optional: bool = False


class _Config(msgspec.Struct):
    max_batch_size: int = 0
    input: tuple[_Input, ...] = ()


def fits(shape: Sequence[int], declared: Sequence[int]) -> bool:
    """Whether a shape is one of those that are declared."""
    return len(shape) == len(declared) and all(want in {ANY, size} for size, want in zip(shape, declared, strict=True))


def read_interface(metadata: dict[str, Any], config: dict[str, Any] | None) -> ModelInterface:
    """Join both documents; `config` is None where the server does not tell it. Raises msgspec.ValidationError.

    gRPC's JSON writes 64-bit numbers as text, so texts are read as numbers here.
    """
    told = msgspec.convert(metadata, _Metadata, strict=False)
    if config is None:
        return ModelInterface(told.name, told.inputs, told.outputs, told.versions)
    configured = msgspec.convert(config, _Config, strict=False)
    optional = {each.name for each in configured.input if each.optional}
    inputs = tuple(msgspec.structs.replace(each, optional=each.name in optional) for each in told.inputs)
    return ModelInterface(told.name, inputs, told.outputs, told.versions, configured.max_batch_size)
