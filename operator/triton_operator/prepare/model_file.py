"""A model's files before Triton opens them: whether they are of the format that was named, and their signatures.

The files of the served versions go in, by the paths that users know; `model` calls it. Nothing is executed, and what
the object does not speak of is left to Triton.
"""

from __future__ import annotations

from pathlib import Path

from triton_operator.prepare.errors import config_invalid
from triton_operator.triton.config.formats import read_format
from triton_operator.triton.config.model_config import ConfigError, ModelConfig
from triton_operator.triton.model_file.archive import ArchiveError, Content, read_content, read_signature
from triton_operator.triton.model_file.signature import Signature
from triton_operator.triton.prepare_contract.request import PreparationModel

_CONTENT = {"TorchScript": Content.TORCHSCRIPT, "AOTInductor": Content.EXPORTED_PROGRAM}
"""Formats whose files can be told by themselves."""


def read_signatures(name: str, config: ModelConfig, files: dict[str, Path]) -> dict[str, Signature]:
    """The signatures of those files that have one; raises PrepareError for a file that is not to be trusted."""
    if not config.may_have_signature:
        return {}
    found: dict[str, Signature] = {}
    for shown, path in files.items():
        if not path.is_file():
            continue  # A folder in the file's place is Triton's to judge.
        try:
            signature = read_signature(path)
        except ArchiveError as error:
            raise config_invalid(name, f"{shown}: {error}") from error
        if signature is not None:
            found[shown] = signature
    return found


def check_format(wanted: PreparationModel, origin: str, config: ModelConfig, files: dict[str, Path]) -> None:
    """Hold the format that the object names against configuration and files; raises PrepareError."""
    if not wanted.format:
        return
    try:
        said = read_format(config.platform, config.backend)
    except ConfigError as error:
        raise config_invalid(wanted.name, f"{origin}: {error}; spec.models[].format is {wanted.format}") from error
    if said != wanted.format:
        raise config_invalid(wanted.name, f"spec.models[].format is {wanted.format}, but {origin} describes {said}")
    expected = _CONTENT.get(wanted.format)
    for shown, path in files.items():
        content = _content(wanted.name, shown, path)
        if expected and content is not expected:
            raise config_invalid(
                wanted.name, f"spec.models[].format is {wanted.format}, but {shown} is {content.value}"
            )


def describe(name: str, files: dict[str, Path]) -> str:
    """What the files are, for a message about a model of which nothing else is known."""
    kinds = {shown: _content(name, shown, path) for shown, path in files.items()}
    silent = " without a signature"
    return ", ".join(
        f"{shown} is {content.value}{silent if content is Content.TORCHSCRIPT else ''}"
        for shown, content in kinds.items()
    )


def _content(name: str, shown: str, path: Path) -> Content:
    if path.is_dir():
        return Content.FOLDER
    try:
        with path.open("rb") as file:
            return read_content(file)
    except ArchiveError as error:
        raise config_invalid(name, f"{shown}: {error}") from error
