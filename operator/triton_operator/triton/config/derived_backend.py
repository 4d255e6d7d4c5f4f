"""Derive the backend from the model's file, as Triton does, if a configuration has neither backend nor platform.

Input: a configuration and the file names in each version's folder. Output: the configuration with the field. `prepare`
and `lint` call it. Pure. The order is that of `AutoCompleteBackendFields` (core, model_config_utils.cc), including
compiled files, which it supports since 26.03. Whether a server has the backend is not checked here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from triton_operator.triton.config.constants import AOT_INDUCTOR_PLATFORM
from triton_operator.triton.text.parser import Message
from triton_operator.triton.text.values import text_in

_BY_FILE: tuple[tuple[str, bool | None, str, str], ...] = (
    ("model.savedmodel", True, "platform", "tensorflow_savedmodel"),
    ("model.graphdef", False, "platform", "tensorflow_graphdef"),
    ("model.plan", False, "backend", "tensorrt"),
    ("model.onnx", None, "backend", "onnxruntime"),
    ("model.xml", None, "backend", "openvino"),
    ("model.pt", False, "backend", "pytorch"),
    ("model.pt2", False, "platform", AOT_INDUCTOR_PLATFORM),
    ("model.py", None, "backend", "python"),
)
"""(name, whether it is a folder, None for either, field, value); the first existing one is used."""

BACKEND_FILES = tuple(name for name, *_ in _BY_FILE)
"""Names of the files that determine a backend."""


def names_no_backend(message: Message) -> bool:
    """Whether a configuration has neither a backend nor a platform."""
    return not text_in(message, "backend") and not text_in(message, "platform")


def with_backend(message: Message, name: str, versions: Iterable[Mapping[str, bool]]) -> Message:
    """The configuration with a backend or a platform; unchanged if it has one, or if no file determines it.

    `versions` are the names in each version's folder, with whether each is a folder; the first version with a known
    file is used.
    """
    if not names_no_backend(message):
        return message
    filename = text_in(message, "default_model_filename")
    if filename:
        versions = [{filename: False}]
    for content in versions:
        for file, is_folder, field, value in _BY_FILE:
            if file in content and (filename or is_folder in {None, content[file]}):
                return message | {field: [value]}
    own = name.partition(".")[2]
    if own and not filename:  # The backend `identity` runs a model `NAME.identity`.
        return message | {"backend": [own], "default_model_filename": [f"model.{own}"]}
    return message
