"""Map formats to the backend or platform in Triton's configuration, and back.

`typed_config` writes the fields; `defaults` and `resources` use the backend that an image must have.
"""

from __future__ import annotations

from typing import NamedTuple

from triton_operator.api.model import Format
from triton_operator.triton.config.constants import AOT_INDUCTOR_BACKEND, AOT_INDUCTOR_PLATFORM, ENSEMBLE
from triton_operator.triton.text.errors import ConfigError
from triton_operator.triton.text.parser import Message
from triton_operator.triton.text.values import text_in


class Runner(NamedTuple):
    """What runs a format: `backend` is "" for the server itself; `field` and `value` select it in a configuration."""

    backend: str
    field: str
    value: str


RUNNERS = {
    Format.TORCHSCRIPT: Runner("pytorch", "backend", "pytorch"),
    # The same backend; the platform identifies a compiled file (pytorch_backend, src/libtorch.cc).
    Format.AOT_INDUCTOR: Runner("pytorch", "platform", AOT_INDUCTOR_PLATFORM),
    Format.ONNX: Runner("onnxruntime", "backend", "onnxruntime"),
    Format.PYTHON: Runner("python", "backend", "python"),
    Format.ENSEMBLE: Runner("", "platform", ENSEMBLE),
}
"""The configuration of each format; Triton derives other defaults from it, such as the file name."""

_BY_PLATFORM = {
    "pytorch_libtorch": Format.TORCHSCRIPT,
    "libtorch": Format.TORCHSCRIPT,
    AOT_INDUCTOR_PLATFORM: Format.AOT_INDUCTOR,
    "onnxruntime_onnx": Format.ONNX,
    ENSEMBLE: Format.ENSEMBLE,
}
_BY_BACKEND = {
    "pytorch": Format.TORCHSCRIPT,
    AOT_INDUCTOR_BACKEND: Format.AOT_INDUCTOR,
    "onnxruntime": Format.ONNX,
    "python": Format.PYTHON,
}


def read_format(platform: str, backend: str) -> Format:
    """The format of a configuration; raises ConfigError for an unsupported format, or for none."""
    found = _BY_PLATFORM.get(platform) if platform else _BY_BACKEND.get(backend)
    if found is None:
        field, value, known = ("platform", platform, _BY_PLATFORM) if platform else ("backend", backend, _BY_BACKEND)
        raise ConfigError(f'{field}: "{value}" is not one of {", ".join(known)}')
    if backend and platform and RUNNERS[found].backend != backend:
        raise ConfigError(f'backend: "{backend}" does not run the platform "{platform}"')
    return found


def format_fields(model_format: Format) -> Message:
    """The field that selects the format."""
    runner = RUNNERS[model_format]
    return {runner.field: [runner.value]}


def with_aotinductor_backend(message: Message, backend: str) -> Message:
    """The configuration for a server whose backend `backend` runs files of the platform `torch_aoti`."""
    if text_in(message, "platform") != AOT_INDUCTOR_PLATFORM:
        return message
    own: Message = {"default_model_filename": ["model.pt2"]}
    own |= {field: values for field, values in message.items() if field != "platform"}
    return own | {"backend": [backend]}
