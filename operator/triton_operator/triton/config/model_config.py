"""A model's config.pbtxt with types: what has to be known to lay out the model.

Text goes in, a ModelConfig leaves; `prepare` calls it. Only what this project decides by is read; the rest is
Triton's to judge, whose fields grow with its releases. Constants follow Triton's own `constants.h` and
`model_config_utils.cc`.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from triton_operator.errors import TritonOperatorError
from triton_operator.triton.text.parser import ConfigTextError, Identifier, Message, Value, parse

CONFIG_NAME = "config.pbtxt"

ENSEMBLE = "ensemble"
"""Platform of a model that is made of others and has no file of its own."""

AOT_INDUCTOR_PLATFORM = "torch_aoti"
"""Platform by which Triton from 26.03 on tells a compiled file from TorchScript; the backend is the same."""

AOT_INDUCTOR_BACKEND = "aotinductor"
"""Backend that serves such files in our image for the CPU, whose Triton is older than the platform (`cpu_server`)."""

SIDE_FOLDERS = frozenset({"warmup", "initial_state", "configs"})
"""Folders beside the versions that Triton reads for other purposes."""


class ConfigError(TritonOperatorError, ValueError):
    """A config.pbtxt that says something impossible; the text names field and value."""


class Latest(NamedTuple):
    """Serve the `limit` highest versions; Triton's default is one."""

    limit: int = 1


class All(NamedTuple):
    """Serve every version."""


class Specific(NamedTuple):
    """Serve these versions."""

    versions: tuple[int, ...]


VersionPolicy: TypeAlias = Latest | All | Specific


class ModelConfig(NamedTuple):
    """The part of a configuration that this project reads; text fields are "" where the config is silent.

    `file_by_capability` is set when the config names model files per GPU generation (`cc_model_filenames`).
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
        if self.platform:
            return self.platform in _TORCHSCRIPT_PLATFORMS
        return self.backend == "pytorch" and not self.runtime

    @property
    def may_have_signature(self) -> bool:
        """Whether the exporter writes files of this kind, which say what the model takes and gives."""
        return self.is_torchscript or self.is_compiled

    @property
    def is_compiled(self) -> bool:
        """Whether AOTInductor compiled the file."""
        return self.platform == AOT_INDUCTOR_PLATFORM or self.backend == AOT_INDUCTOR_BACKEND

    @property
    def model_filename(self) -> str:
        """File that each version must have, "" where only Triton's backend knows."""
        if self.default_model_filename:
            return self.default_model_filename
        if self.platform == ENSEMBLE or self.file_by_capability or self.runtime:
            return ""
        return _FILE_BY_PLATFORM.get(self.platform) or _FILE_BY_BACKEND.get(self.backend, "")


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


def read_config(text: str) -> ModelConfig:
    """Read a config.pbtxt; raises ConfigTextError (place of a typing mistake) or ConfigError (a wrong value)."""
    return interpret(parse(text))


def interpret(message: Message) -> ModelConfig:
    """The same of a text that has been parsed; raises ConfigError."""
    return ModelConfig(
        name=_text(message, "name"),
        backend=_text(message, "backend"),
        platform=_text(message, "platform"),
        runtime=_text(message, "runtime"),
        default_model_filename=_text(message, "default_model_filename"),
        file_by_capability="cc_model_filenames" in message,
        max_batch_size=_integer(message, "max_batch_size"),
        version_policy=_version_policy(message),
        inputs=_tensor_names(message, "input"),
        outputs=_tensor_names(message, "output"),
    )


def _version_policy(message: Message) -> VersionPolicy:
    policy = _message(message, "version_policy")
    if len(policy) > 1:
        raise ConfigError(f"version_policy: only one of {', '.join(sorted(policy))} may be set")
    if "all" in policy:
        return All()
    if "specific" in policy:
        specific = _message(policy, "specific")
        return Specific(tuple(_as_integer("version_policy.specific.versions", v) for v in specific.get("versions", ())))
    # An explicit `latest { }` has num_versions 0 on the wire, which makes Triton serve nothing; so it is refused here.
    if "latest" in policy:
        return Latest(_positive(_message(policy, "latest"), "num_versions"))
    return Latest()


def _positive(message: Message, field: str) -> int:
    number = _integer(message, field)
    if number < 1:
        raise ConfigError(f"{field}: must be at least 1")
    return number


def _tensor_names(message: Message, field: str) -> tuple[str, ...]:
    return tuple(_text(_as_message(field, tensor), "name") for tensor in message.get(field, ()))


def _single(message: Message, field: str) -> Value | None:
    values = message.get(field, [])
    if len(values) > 1:
        raise ConfigError(f"{field}: is set {len(values)} times")
    return values[0] if values else None


def _text(message: Message, field: str) -> str:
    value = _single(message, field)
    if value is None:
        return ""
    if not isinstance(value, str) or isinstance(value, Identifier):
        raise ConfigError(f"{field}: must be a text in quotes")
    return value


def _integer(message: Message, field: str) -> int:
    value = _single(message, field)
    return 0 if value is None else _as_integer(field, value)


def _message(message: Message, field: str) -> Message:
    value = _single(message, field)
    return {} if value is None else _as_message(field, value)


def _as_integer(field: str, value: Value) -> int:
    if not isinstance(value, int):
        raise ConfigError(f"{field}: must be a whole number, not {_shown(value)}")
    return value


def _as_message(field: str, value: Value) -> Message:
    if not isinstance(value, dict):
        raise ConfigError(f"{field}: must be a message in braces, not {_shown(value)}")
    return value


def _shown(value: Value) -> str:
    if isinstance(value, dict):
        return "a message"
    return str(value) if isinstance(value, Identifier) else repr(value)[:60]


__all__ = [
    "AOT_INDUCTOR_BACKEND",
    "AOT_INDUCTOR_PLATFORM",
    "CONFIG_NAME",
    "ENSEMBLE",
    "SIDE_FOLDERS",
    "All",
    "ConfigError",
    "ConfigTextError",
    "Latest",
    "ModelConfig",
    "Specific",
    "VersionPolicy",
    "interpret",
    "read_config",
]
