"""What a format is in Triton's configuration: which backend or platform, and which way round.

`typed_config` writes it, `defaults` and `resources` ask which backend an image must have.
"""

from __future__ import annotations

from typing import NamedTuple

from triton_operator.api.model import Format
from triton_operator.triton.config.constants import AOT_INDUCTOR_BACKEND, AOT_INDUCTOR_PLATFORM, ENSEMBLE
from triton_operator.triton.text.errors import ConfigError
from triton_operator.triton.text.parser import Message
from triton_operator.triton.text.values import text_in


class Runner(NamedTuple):
    """Who runs a format: `backend` is "" where the server does it itself, `field` and `value` say it in a config."""

    backend: str
    field: str
    value: str


RUNNERS = {
    Format.TORCHSCRIPT: Runner("pytorch", "backend", "pytorch"),
    # The same backend; the platform alone tells that the file is a compiled one (pytorch_backend, src/libtorch.cc).
    Format.AOT_INDUCTOR: Runner("pytorch", "platform", AOT_INDUCTOR_PLATFORM),
    Format.ONNX: Runner("onnxruntime", "backend", "onnxruntime"),
    Format.PYTHON: Runner("python", "backend", "python"),
    Format.ENSEMBLE: Runner("", "platform", ENSEMBLE),
}
"""How Triton is told each format; the rest of its own defaults follows from that, the name of the file included."""

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
    """The format that a configuration means; raises ConfigError for one that is not served here, or for none."""
    found = _BY_PLATFORM.get(platform) if platform else _BY_BACKEND.get(backend)
    if found is None:
        field, value, known = ("platform", platform, _BY_PLATFORM) if platform else ("backend", backend, _BY_BACKEND)
        raise ConfigError(f'{field}: "{value}" is none of {", ".join(known)}')
    if backend and platform and RUNNERS[found].backend != backend:
        raise ConfigError(f'backend: "{backend}" does not run the platform "{platform}"')
    return found


def format_fields(model_format: Format) -> Message:
    """The field by which Triton is told the format."""
    runner = RUNNERS[model_format]
    return {runner.field: [runner.value]}


def with_aotinductor_backend(message: Message, backend: str) -> Message:
    """The same configuration for a server where `backend` runs what newer ones know by their platform `torch_aoti`."""
    if text_in(message, "platform") != AOT_INDUCTOR_PLATFORM:
        return message
    own: Message = {"default_model_filename": ["model.pt2"]}
    own |= {field: values for field, values in message.items() if field != "platform"}
    return own | {"backend": [backend]}
