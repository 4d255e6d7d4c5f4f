"""Resolve one model of the spec: check it in its repository and determine what of it will be served.

Input: the repository, the model as the object requests it, and the folder of configurations from the object. Output: a
ResolvedModel, or a PrepareError with a message for the user. Nothing is written. The checks cover what Triton would
report late or not at all: for example, Triton 2.51 hangs on a Python model without its file. Triton decides whether a
model file can be loaded, unless the object names the format.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from triton_operator.prepare.config import Author, ChosenConfig, read_folder_config, read_object_config, render_config
from triton_operator.prepare.errors import PrepareError, config_invalid
from triton_operator.prepare.fatal_config import require_not_fatal
from triton_operator.prepare.model_file import check_format, describe, read_signatures
from triton_operator.prepare.repository import Repository
from triton_operator.prepare.versions import (
    check_model_file,
    is_version,
    present_versions,
    select_versions,
    version_contents,
)
from triton_operator.triton.config.constants import CONFIG_NAME, ENSEMBLE
from triton_operator.triton.config.derived_backend import BACKEND_FILES, names_no_backend, with_backend
from triton_operator.triton.config.summary import ConfigSummary
from triton_operator.triton.model_file.signature import Signature
from triton_operator.triton.prepare_contract.request import CONFIG_DIR, PreparationModel
from triton_operator.triton.text.errors import ConfigError
from triton_operator.triton.text.values import text_in

_ENSEMBLE_VERSION = ("1",)
"""Triton requires a version of every model; that of an ensemble is an empty folder, which many repositories cannot
store."""


class ResolvedModel(NamedTuple):
    """A model that can be laid out: Triton gets the `entries` of `folder`, which include the versions.

    `config` is the text for config.pbtxt, "" if the file is one of the entries. `request` is the model as the object
    requests it. A version that is not an entry is an empty folder.
    """

    request: PreparationModel
    folder: Path
    versions: tuple[str, ...]
    entries: tuple[str, ...]
    config: str = ""

    @property
    def name(self) -> str:
        """The model's name in requests."""
        return self.request.name


def resolve_model(
    repository: Repository, request: PreparationModel, config_dir: Path = Path(CONFIG_DIR)
) -> ResolvedModel:
    """Resolve one model; raises PrepareError. `config_dir` contains the configurations from the object."""
    chosen = read_object_config(request, config_dir)
    if chosen and _config_of(request, chosen).platform == ENSEMBLE and not repository.has_folder(request.path):
        require_not_fatal(request.name, chosen, repository.root)
        return ResolvedModel(request, repository.root, _ENSEMBLE_VERSION, (), render_config(request, chosen, {}))
    folder = repository.find_folder(request.name, request.path)
    return _resolve_folder(repository, request, folder, chosen or read_folder_config(repository, request, folder))


def _resolve_folder(
    repository: Repository, request: PreparationModel, folder: Path, chosen: ChosenConfig
) -> ResolvedModel:
    chosen = _with_backend(repository, request, folder, chosen)
    config = _config_of(request, chosen)
    present = present_versions(repository, request.name, folder, config)
    policy = "spec.models[].versionPolicy" if request.version_policy else f"version_policy of {chosen.origin}"
    versions = select_versions(request.name, config.version_policy, present, policy) or _ENSEMBLE_VERSION
    entries = (*_side_entries(folder, chosen), *(version for version in versions if int(version) in present))
    repository.check_links(request.name, folder, entries)
    require_not_fatal(request.name, chosen, folder)
    if chosen.author is Author.NOBODY:
        _require_self_describing_file(repository, request, folder)
    for version in versions:
        check_model_file(repository, request.name, folder / version, config)
    files = {repository.shown(path): path for path in _model_files(folder, versions, config)}
    check_format(request, chosen.origin, config, files)
    signatures = read_signatures(request.name, config, files)
    if request.aotinductor_backend and config.is_compiled:
        _require_signatures(request.name, files, signatures)
    if chosen.author is Author.NOBODY and not signatures:
        raise _no_configuration(repository, request.name, folder, files)
    return ResolvedModel(request, folder, versions, entries, render_config(request, chosen, signatures))


def _with_backend(
    repository: Repository, request: PreparationModel, folder: Path, chosen: ChosenConfig
) -> ChosenConfig:
    """Derive the backend from the files, as Triton does, if a hand-written configuration does not name one."""
    if not chosen.author.is_person or not names_no_backend(chosen.message):
        return chosen
    message = with_backend(chosen.message, folder.name, version_contents(folder))
    if names_no_backend(message):
        raise config_invalid(
            request.name,
            f'{chosen.origin} has neither "backend" nor "platform", and no version of {repository.shown(folder)} has a '
            f"file from which Triton derives one: {', '.join(BACKEND_FILES)}",
        )
    return chosen._replace(message=message, is_changed=True)


def _require_self_describing_file(repository: Repository, request: PreparationModel, folder: Path) -> None:
    """Without a configuration, only a file with a signature can be served."""
    derived = with_backend({}, "", version_contents(folder))
    if text_in(derived, "backend") in {"", "pytorch"} or request.format in {"TorchScript", "AOTInductor"}:
        return
    backend = text_in(derived, "backend")
    raise config_invalid(
        request.name,
        f"there is no {repository.shown(folder / CONFIG_NAME)}, and the server does not derive one, because "
        f'automatic completion is off. Write it with backend: "{backend}", max_batch_size, and every input and output',
    )


def _config_of(request: PreparationModel, chosen: ChosenConfig) -> ConfigSummary:
    try:
        return chosen.config
    except ConfigError as error:
        raise config_invalid(request.name, f"{chosen.origin}: {error}") from error


def _side_entries(folder: Path, chosen: ChosenConfig) -> list[str]:
    """The configuration and other files of the model: labels, warm-up data, a Python environment.

    A configuration that is replaced by another one is not included.
    """
    replaced = {CONFIG_NAME} if chosen.author is not Author.REPOSITORY else set()
    names = (entry.name for entry in folder.iterdir() if not is_version(entry))
    return sorted(name for name in names if not name.startswith(".") and name not in replaced)


def _model_files(folder: Path, versions: tuple[str, ...], config: ConfigSummary) -> list[Path]:
    """The file of each version, if its name is known."""
    return [folder / version / config.model_filename for version in versions if config.model_filename]


def _require_signatures(name: str, files: dict[str, Path], signatures: dict[str, Signature]) -> None:
    """Require a signature, because a compiled library reads beyond the tensor for sizes it was not compiled for."""
    for shown in files:
        if shown not in signatures:
            raise config_invalid(
                name,
                f"{shown} has no signature, so the sizes it was compiled for are unknown; "
                "create it with tritonctl export --format aotinductor",
            )


def _no_configuration(repository: Repository, name: str, folder: Path, files: dict[str, Path]) -> PrepareError:
    return config_invalid(
        name,
        f"there is no {repository.shown(folder / CONFIG_NAME)}; the folder contains {repository.listing(folder)}, "
        f"and {describe(name, files)}. Write spec.models[].config, or export the model with tritonctl export",
    )
