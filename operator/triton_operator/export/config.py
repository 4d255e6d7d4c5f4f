"""A config.pbtxt for a Triton that no operator looks after; `source` and training write it."""

from __future__ import annotations

from pathlib import Path

from triton_operator.api.model import Format
from triton_operator.triton.config.constants import CONFIG_NAME
from triton_operator.triton.config.defaults import TuningInputs, complete
from triton_operator.triton.config.formats import format_fields
from triton_operator.triton.config.signature_merge import merge
from triton_operator.triton.model_file.signature import Signature
from triton_operator.triton.text.parser import Identifier, Message
from triton_operator.triton.text.writer import write

_ANYWHERE: Message = {"instance_group": [{"count": [1], "kind": [Identifier("KIND_AUTO")]}]}
"""GPUs when the server sees any, else the processor: nobody knows here where the model will be served."""


def config_text(name: str, signature: Signature, model_format: Format = Format.TORCHSCRIPT) -> str:
    """The whole configuration: tensors, batching, and for TorchScript a warm-up where shapes are fixed."""
    said: Message = {"name": [name], **format_fields(model_format)}
    message = merge(said, signature) | _ANYWHERE
    # With GPUs nothing is said about threads either, whose number depends on CPUs that nobody knows here.
    return write(complete(message, TuningInputs(gpus=1)).message)


def write_config(name: str, signature: Signature, folder: Path, model_format: Format = Format.TORCHSCRIPT) -> Path:
    """Write it into the model's folder."""
    path = folder / CONFIG_NAME
    path.write_text(config_text(name, signature, model_format), encoding="utf-8")
    return path
