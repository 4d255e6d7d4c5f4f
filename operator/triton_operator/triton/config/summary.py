"""Read the few fields of a config.pbtxt that this project depends on.

Input: a parsed configuration, which may be hand-written and have fields that `spec.models[].config` does not have.
Output: a ConfigSummary, or ConfigError for a wrong value. `prepare` and `lint` use it. Triton checks the other fields.
"""

from __future__ import annotations

from typing import NamedTuple

from triton_operator.api.model import VersionPolicy
from triton_operator.triton.config.constants import AOT_INDUCTOR_BACKEND, AOT_INDUCTOR_PLATFORM, ENSEMBLE
from triton_operator.triton.config.version_policy import DEFAULT, version_policy_of
from triton_operator.triton.text.checked_values import as_message, optional_integer, optional_text
from triton_operator.triton.text.parser import Message


class ConfigSummary(NamedTuple):
    """The fields of a configuration that decide what is served; strings are "" if the configuration has no value.

    `file_by_capability` is set if the configuration names model files per GPU generation (`cc_model_filenames`).
    In contrast, `api.model_config.ModelConfig` is the entire configuration in the API.
    """

    name: str
    backend: str
    platform: str
    runtime: str
    default_model_filename: str
    file_by_capability: bool
    max_batch_size: int
    version_policy: VersionPolicy
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @property
    def is_torchscript(self) -> bool:
        """Whether Triton's PyTorch backend loads the file as TorchScript."""
        if self._is_of_other_backend:
            return False
        if self.platform:
            return self.platform in _TORCHSCRIPT_PLATFORMS
        return self.backend == "pytorch" and not self.runtime

    @property
    def may_have_signature(self) -> bool:
        """Whether `tritonctl export` writes files of this kind, which contain a signature."""
        return self.is_torchscript or self.is_compiled

    @property
    def is_compiled(self) -> bool:
        """Whether AOTInductor compiled the file."""
        return self.platform == AOT_INDUCTOR_PLATFORM or self.backend == AOT_INDUCTOR_BACKEND

    @property
    def model_filename(self) -> str:
        """The file that each version must have, "" if only Triton's backend knows its name."""
        if self.platform == ENSEMBLE:
            return ""
        if self.default_model_filename:
            return self.default_model_filename
        if self.file_by_capability or self.runtime:
            return ""
        by_backend = _FILE_BY_BACKEND.get(self.backend, "")
        return by_backend if self._is_of_other_backend else _FILE_BY_PLATFORM.get(self.platform) or by_backend

    @property
    def _is_of_other_backend(self) -> bool:
        """Whether the backend decides alone: only the PyTorch backend reads the platform."""
        return self.backend not in {"", "pytorch"}


_TORCHSCRIPT_PLATFORMS = frozenset({"pytorch_libtorch", "libtorch"})

_FILE_BY_PLATFORM = {
    "pytorch_libtorch": "model.pt",
    "libtorch": "model.pt",
    AOT_INDUCTOR_PLATFORM: "model.pt2",
    "onnxruntime_onnx": "model.onnx",
    "tensorrt_plan": "model.plan",
}
_FILE_BY_BACKEND = {
    "pytorch": "model.pt",
    AOT_INDUCTOR_BACKEND: "model.pt2",
    "python": "model.py",
    "onnxruntime": "model.onnx",
    "tensorrt": "model.plan",
}


def summarize(message: Message) -> ConfigSummary:
    """Read the fields of a configuration; raises ConfigError."""
    return ConfigSummary(
        name=optional_text(message, "name"),
        backend=optional_text(message, "backend"),
        platform=optional_text(message, "platform"),
        runtime=optional_text(message, "runtime"),
        default_model_filename=optional_text(message, "default_model_filename"),
        file_by_capability="cc_model_filenames" in message,
        max_batch_size=optional_integer(message, "max_batch_size"),
        version_policy=version_policy_of(message) or DEFAULT,
        inputs=_tensor_names(message, "input"),
        outputs=_tensor_names(message, "output"),
    )


def _tensor_names(message: Message, field: str) -> tuple[str, ...]:
    return tuple(optional_text(as_message(tensor, field), "name") for tensor in message.get(field, ()))
