"""Check a model's files before Triton opens them: their format, and their signatures.

Input: the files of the served versions, by the path in the repository. `model` calls it. Nothing is executed. If the
object does not name the format, Triton decides.
"""

from __future__ import annotations

from pathlib import Path

from triton_operator.prepare.errors import config_invalid
from triton_operator.triton.config.formats import read_format
from triton_operator.triton.config.summary import ConfigSummary
from triton_operator.triton.model_file.archive import ArchiveError, FileType, read_file_type, read_signature
from triton_operator.triton.model_file.signature import Signature
from triton_operator.triton.prepare_contract.request import PreparationModel
from triton_operator.triton.text.errors import ConfigError

_CONTENT = {"TorchScript": FileType.TORCHSCRIPT, "AOTInductor": FileType.EXPORTED_PROGRAM}
"""Formats that can be detected from the file."""


def read_signatures(name: str, config: ConfigSummary, files: dict[str, Path]) -> dict[str, Signature]:
    """The signatures of the files that have one; raises PrepareError for a malformed file."""
    if not config.may_have_signature:
        return {}
    found: dict[str, Signature] = {}
    for shown, path in files.items():
        if not path.is_file():
            continue  # Triton decides about a folder in place of the file.
        try:
            signature = read_signature(path)
        except ArchiveError as error:
            raise config_invalid(name, f"{shown}: {error}") from error
        if signature is not None:
            found[shown] = signature
    return found


def check_format(request: PreparationModel, origin: str, config: ConfigSummary, files: dict[str, Path]) -> None:
    """Compare the format in the object with the configuration and the files; raises PrepareError."""
    if not request.format:
        return
    try:
        configured = read_format(config.platform, config.backend)
    except ConfigError as error:
        raise config_invalid(request.name, f"{origin}: {error}; spec.models[].format is {request.format}") from error
    if configured != request.format:
        raise config_invalid(
            request.name, f"spec.models[].format is {request.format}, but {origin} describes {configured}"
        )
    expected = _CONTENT.get(request.format)
    for shown, path in files.items():
        content = _content(request.name, shown, path)
        if expected and content is not expected:
            raise config_invalid(
                request.name, f"spec.models[].format is {request.format}, but {shown} is {content.value}"
            )


def describe(name: str, files: dict[str, Path]) -> str:
    """The types of the files, for a message about a model without a configuration."""
    kinds = {shown: _content(name, shown, path) for shown, path in files.items()}
    silent = " without a signature"
    return ", ".join(
        f"{shown} is {content.value}{silent if content is FileType.TORCHSCRIPT else ''}"
        for shown, content in kinds.items()
    )


def _content(name: str, shown: str, path: Path) -> FileType:
    if path.is_dir():
        return FileType.FOLDER
    try:
        with path.open("rb") as file:
            return read_file_type(file)
    except ArchiveError as error:
        raise config_invalid(name, f"{shown}: {error}") from error
