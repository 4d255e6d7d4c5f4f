"""Read a config.pbtxt back as the typed configuration, for tests that compare it with what was written.

Input: a Message. Output: the parts of `spec.models[]` that it contains. Errors are ConfigError.
"""

from __future__ import annotations

from triton_operator.api.model import Format
from triton_operator.api.model_config import ModelConfig
from triton_operator.triton.config.formats import read_format
from triton_operator.triton.config.typed_config import CONFIG
from triton_operator.triton.text.checked_values import optional_text
from triton_operator.triton.text.parser import Message

_OUTSIDE_CONFIG = frozenset({"name", "platform", "backend", "version_policy"})
"""Fields that are in `spec.models[]`, outside of `config`."""


def from_message(message: Message) -> ModelConfig:
    """The typed configuration; raises ConfigError, which names the first unsupported field."""
    config: ModelConfig = CONFIG.from_message(message, besides=_OUTSIDE_CONFIG)
    return config


def name_of(message: Message) -> str:
    """The name in the configuration, "" if it has none."""
    return optional_text(message, "name")


def format_of(message: Message) -> Format:
    """The format of the configuration; raises ConfigError for an unsupported format, or for none."""
    return read_format(optional_text(message, "platform"), optional_text(message, "backend"))
