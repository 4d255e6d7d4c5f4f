"""Check a model file for Triton's PyTorch backend: its file type, its code and its signature.

Input: a path. Output: Findings, and the signature and arguments that other checks need.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from triton_operator.api.scan import ScanFinding
from triton_operator.cli.lint.code import ForwardArgument, check_code, read_arguments, read_result
from triton_operator.cli.lint.finding import Finding, error, warning
from triton_operator.scan.archive import scan_archive
from triton_operator.triton.model_file.archive import Archive, ArchiveError, FileType, read_file_type
from triton_operator.triton.model_file.signature import Signature

_SCAN_ADVICE = "pods reject the model if spec.verification.scan is Refuse"
_EXPORT = "export the module itself: tritonctl export FILE.py:NAME"


class ModelFile(NamedTuple):
    """The result of the checks, with the signature, the arguments and the result of forward(), or None and ""."""

    findings: Sequence[Finding]
    signature: Signature | None = None
    arguments: Sequence[ForwardArgument] | None = None
    result: str = ""


def check_model_file(path: Path, shown: str) -> ModelFile:
    """Check one file; raises OSError if it cannot be read."""
    with path.open("rb") as file:
        try:
            content = read_file_type(file)
            if content is not FileType.TORCHSCRIPT:
                return ModelFile([error(shown, "", f"is {content.value}, not TorchScript", _EXPORT)])
            file.seek(0)
            return _check_archive(Archive(file), shown)
        except ArchiveError as problem:
            return ModelFile([error(shown, "", str(problem), "export the model again")])


def _check_archive(archive: Archive, shown: str) -> ModelFile:
    findings = list(check_code(archive, shown))
    findings += (scan_error(found) for found in scan_archive(archive, shown))
    if any(name.startswith("traced_inputs/") for name in archive.names):
        message = "contains the inputs that it was traced with (traced_inputs), which may be personal data"
        findings.append(warning(shown, "", message, "export it with tritonctl export, which omits them"))
    signature = archive.signature()
    if signature is None:
        message = "has no signature, so a wrong name, type or shape is detected only by the first request"
        findings.append(warning(shown, "", message, f"add one: {_export_again(shown)}"))
    return ModelFile(findings, signature, read_arguments(archive), read_result(archive))


def scan_error(found: ScanFinding) -> Finding:
    """A finding of the scan."""
    return error(f"{found.file}:{found.entry}" if found.entry else found.file, "", found.message, _SCAN_ADVICE)


def _export_again(shown: str) -> str:
    """The command that writes the same file with a signature, with options derived from its path."""
    path = Path(shown)
    place = ""
    if path.parent.name.isdecimal() and path.parent.parent.name:
        model = path.parent.parent
        names = f" --to {shell_quoted(str(model.parent))} --name {shell_quoted(model.name)}"
        place = f"{names} --version {path.parent.name}"
    return f"tritonctl export {shell_quoted(shown)}{place} --input [NAME:]TYPE:DIMS --max-batch-size N"


def shell_quoted(shown: str) -> str:
    """The path, quoted for a shell."""
    return shlex.quote(shown)
