"""What Triton must know about a model: its config.pbtxt, as data.

A recipe declares its tensors; `workflow` writes the returned message with `pbtxt.to_text`. Pure.
Fields: https://github.com/triton-inference-server/common/blob/main/protobuf/model_config.proto
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from training.pbtxt import Message, Word

_WARM_UPS = 3
"""TorchScript observes the first call and compiles in the second; from the third on calls are fast."""


@dataclass(frozen=True)
class Tensor:
    """An input or output of a model.

    `name` ends in two underscores and a position: that is how Triton's PyTorch backend finds the argument.
    `data_type` is Triton's name (FP32, INT64, BOOL, STRING); `dims` are without the batch dimension, -1 is any length.
    """

    name: str
    data_type: str
    dims: tuple[int, ...]


def pytorch_config(
    name: str, *, inputs: Sequence[Tensor], outputs: Sequence[Tensor], max_batch_size: int
) -> dict[str, Message | Sequence[Message] | str | int]:
    """Describe a TorchScript model to Triton.

    `max_batch_size` 0 means that the model has no batch dimension; then nothing is batched. Models whose inputs have a
    fixed shape are called a few times with zeros before Triton says that they are ready, so that no user waits for
    TorchScript's compiler.
    """
    config: dict[str, Message | Sequence[Message] | str | int] = {
        "name": name,
        "backend": "pytorch",
        "max_batch_size": max_batch_size,
        "input": [_tensor(each) for each in inputs],
        "output": [_tensor(each) for each in outputs],
        # GPUs when the server sees any, else the processor: the same file serves both.
        "instance_group": [{"count": 1, "kind": Word("KIND_AUTO")}],
    }
    if max_batch_size:
        config["dynamic_batching"] = {}
    if all(size > 0 for each in inputs for size in each.dims):
        config["model_warmup"] = [_warm_up(inputs)]
    return config


def _tensor(tensor: Tensor) -> Message:
    return {"name": tensor.name, "data_type": Word(f"TYPE_{tensor.data_type}"), "dims": list(tensor.dims)}


def _warm_up(inputs: Sequence[Tensor]) -> Message:
    return {
        "name": "zeros",
        "batch_size": 1,
        "count": _WARM_UPS,
        "inputs": [{"key": each.name, "value": _zeros(each)} for each in inputs],
    }


def _zeros(tensor: Tensor) -> Message:
    return {"data_type": Word(f"TYPE_{tensor.data_type}"), "dims": list(tensor.dims), "zero_data": True}
