"""A served model's inputs and outputs, as the server describes them.

Pure. Input: the JSON of the v2 model metadata and, if the server allows it, of the model's configuration
(https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_model_configuration.md).
Output: a `ModelInterface`. `connection` reads both and keeps the result; `inputs` checks requests against it.

The metadata alone does not show whether a leading -1 is a batch, nor which inputs are optional. A ModelDeployment
closes the configuration API, so that is the usual case: `max_batch_size` is then None, and the server's error for a
batch that is too large reports it later.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec

from triton_operator.triton.model_file.signature import ANY, shown_tensor


class TensorInterface(msgspec.Struct, frozen=True):
    """One input or output. `shape` includes the batch dimension if there is one; -1 is any size.

    `optional` is None if the server does not report it.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    optional: bool | None = None

    @property
    def batched(self) -> bool:
        """Whether the first dimension has any size, so that rows can be stacked along it."""
        return self.shape[:1] == (ANY,)

    @property
    def row(self) -> tuple[int, ...]:
        """The shape of one row, without the batch dimension."""
        return self.shape[1:] if self.batched else self.shape

    @property
    def row_size(self) -> int | None:
        """The number of values in a row; None if it is not fixed."""
        return None if ANY in self.row else math.prod(self.row)

    @property
    def shown(self) -> str:
        """Type and shape as messages write them: `FP32 [-1,28,28]`."""
        return shown_tensor(self.datatype, self.shape)

    @property
    def named(self) -> str:
        """The same with the name: `INPUT__0 (FP32 [-1,28,28])`."""
        return f"{self.name} ({self.shown})"


class ModelInterface(msgspec.Struct, frozen=True):
    """A model's tensors in its own order.

    `max_batch_size` is None if the server does not report it, and 0 for a model without a batch dimension.
    """

    model: str
    inputs: tuple[TensorInterface, ...]
    outputs: tuple[TensorInterface, ...]
    versions: tuple[str, ...] = ()
    max_batch_size: int | None = None

    @property
    def takes_rows(self) -> bool:
        """Whether the first dimension counts rows: a declared batch or, if unknown, any size in all tensors."""
        if self.max_batch_size is not None:
            return self.max_batch_size > 0
        tensors = (*self.inputs, *self.outputs)
        return bool(tensors) and all(tensor.batched for tensor in tensors)

    @property
    def shown(self) -> str:
        """The model and its inputs as messages write them."""
        return f"{self.model} takes {', '.join(tensor.named for tensor in self.inputs)}"


class _ModelMetadata(msgspec.Struct):
    name: str
    versions: tuple[str, ...] = ()
    inputs: tuple[TensorInterface, ...] = ()
    outputs: tuple[TensorInterface, ...] = ()


class _ConfiguredInput(msgspec.Struct):
    name: str
    optional: bool = False


class _ModelConfiguration(msgspec.Struct):
    max_batch_size: int = 0
    input: tuple[_ConfiguredInput, ...] = ()


def fits(shape: Sequence[int], declared: Sequence[int]) -> bool:
    """Whether a shape matches a declared one, in which -1 is any size."""
    return len(shape) == len(declared) and all(
        size in {ANY, actual} for actual, size in zip(shape, declared, strict=True)
    )


def read_interface(metadata: dict[str, Any], config: dict[str, Any] | None) -> ModelInterface:
    """Join both documents; `config` is None if the server does not report it. Raises msgspec.ValidationError.

    gRPC's JSON writes 64-bit numbers as text, so texts are read as numbers here.
    """
    model = msgspec.convert(metadata, _ModelMetadata, strict=False)
    if config is None:
        return ModelInterface(model.name, model.inputs, model.outputs, model.versions)
    configured = msgspec.convert(config, _ModelConfiguration, strict=False)
    optional = {each.name for each in configured.input if each.optional}
    inputs = tuple(msgspec.structs.replace(each, optional=each.name in optional) for each in model.inputs)
    return ModelInterface(model.name, inputs, model.outputs, model.versions, configured.max_batch_size)
