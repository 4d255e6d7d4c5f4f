"""Write config.pbtxt for a Triton without the operator; `folder` and `training` call it."""

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
"""Use GPUs if the server has any, and CPUs otherwise, because the hardware of the server is not known here."""


def config_text(name: str, signature: Signature, model_format: Format = Format.TORCHSCRIPT) -> str:
    """Return the configuration: tensors, batching, and for TorchScript with fixed shapes a warm-up."""
    fields: Message = {"name": [name], **format_fields(model_format)}
    message = merge(fields, signature) | _ANYWHERE
    # As with GPUs, no number of threads is set, because it depends on the CPUs of the server.
    return write(complete(message, TuningInputs(gpus=1)).message)


def write_config(name: str, signature: Signature, folder: Path, model_format: Format = Format.TORCHSCRIPT) -> Path:
    """Write the configuration to the model folder."""
    path = folder / CONFIG_NAME
    path.write_text(config_text(name, signature, model_format), encoding="utf-8")
    return path
