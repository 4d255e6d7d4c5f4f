"""Check a model's folder with the checks of `prepare` and those of the other modules.

Input: a path. Output: Findings.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from triton_operator.api.names import wrong_model_name
from triton_operator.cli.lint.archive import ModelFile, check_model_file, scan_error
from triton_operator.cli.lint.config import check_config
from triton_operator.cli.lint.data_files import check_data_files
from triton_operator.cli.lint.finding import Finding, error
from triton_operator.cli.lint.steps import check_steps_of
from triton_operator.encryption.header import is_encrypted
from triton_operator.prepare.errors import PrepareError
from triton_operator.prepare.model import resolve_model
from triton_operator.prepare.repository import Repository
from triton_operator.prepare.versions import is_version, version_contents
from triton_operator.scan.folder import scan_files
from triton_operator.triton.config.constants import CONFIG_NAME
from triton_operator.triton.config.derived_backend import with_backend
from triton_operator.triton.config.file import read_config_text
from triton_operator.triton.config.summary import summarize
from triton_operator.triton.model_file.folder import is_file, walk
from triton_operator.triton.prepare_contract.request import PreparationModel
from triton_operator.triton.text.errors import ConfigError
from triton_operator.triton.text.parser import parse


def is_model(folder: Path) -> bool:
    """Whether a folder is a model: it has a configuration or a numbered version, or is encrypted."""
    return (
        (folder / CONFIG_NAME).is_file() or is_encrypted(folder) or any(is_version(each) for each in folder.iterdir())
    )


def models_in(folder: Path) -> list[Path]:
    """The folder itself if it is a model, or the models in it, without hidden folders."""
    if is_model(folder):
        return [folder]
    inside = (each for each in sorted(folder.iterdir()) if each.is_dir() and not each.name.startswith("."))
    return [each for each in inside if is_model(each)]


def scan_folder(folder: Path, reported: Sequence[Finding]) -> Iterator[Finding]:
    """Scan all files of a model's folder; `reported` are the findings of the other checks, which are not repeated."""
    checked = {(each.file, each.message) for each in reported}
    files = ((str(folder / name), folder / name) for name, entry in walk(folder) if is_file(entry))
    for found in scan_files(files):
        finding = scan_error(found)
        without_line = finding.message.partition(": ")[2]
        if checked.isdisjoint({(finding.file, finding.message), (finding.file, without_line)}):
            yield finding


def check_folder(folder: Path) -> Iterator[Finding]:
    """Check a model's folder; the folder's name is the model's name."""
    resolved = folder.resolve()
    if problem := wrong_model_name(resolved.name):
        yield error(str(folder), "", f"{resolved.name!r} is not a valid model name: {problem}", "rename the folder")
    model = PreparationModel(resolved.name, resolved.name)
    findings = [*_check_parts(folder), *check_steps_of(folder)]
    yield from findings
    try:
        resolve_model(Repository(resolved.parent, "/"), model)
    except PrepareError as problem:
        # The other checks report the same problem with more detail.
        if not any(finding.severity == "error" for finding in findings):
            yield error(str(folder), "", f"{problem.reason}: {problem}")


def _check_parts(folder: Path) -> Iterator[Finding]:
    """Check the files of every version, and the configuration against the newest version."""
    text = yield from _read_config(folder / CONFIG_NAME)
    filename = _torchscript_name(text, folder)
    model: ModelFile | None = None
    for version in sorted(filter(is_version, folder.iterdir()), key=lambda each: int(each.name)):
        path = version / filename
        if filename and path.is_file():
            model = check_model_file(path, str(path))
            yield from model.findings
    if text is not None:
        yield from check_config(text, str(folder / CONFIG_NAME), model, folder)
        with suppress(ValueError):  # A text that cannot be parsed was reported above.
            yield from check_data_files(folder, parse(text), str(folder / CONFIG_NAME))


def _read_config(path: Path) -> Generator[Finding, None, str | None]:
    if not path.is_file():
        return None
    try:
        return read_config_text(path)
    except ConfigError as problem:
        yield error(str(path), "", str(problem))
        return None


def _torchscript_name(text: str | None, folder: Path) -> str:
    """The name of a version's model file if it should be TorchScript, or ""."""
    if text is None:
        return "model.pt"
    try:
        config = summarize(with_backend(parse(text), folder.resolve().name, version_contents(folder)))
    except ValueError:
        return ""
    return config.model_filename if config.is_torchscript else ""
