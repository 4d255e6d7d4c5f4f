"""One model in a repository: whether it is what the object asks for, and what of it will be served.

A folder goes in, a CheckedModel leaves or a PrepareError with the sentence for the user. Only what Triton itself
would report late or not at all is refused here (a Python model without its file makes Triton 2.51 hang, for one);
whether a model file can be loaded is Triton's to say, unless the object names the format.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from triton_operator.prepare.config import Author, Chosen, finish, read_folder_config, read_object_config
from triton_operator.prepare.errors import PrepareError, config_invalid, version_not_found
from triton_operator.prepare.model_file import check_format, describe, read_signatures
from triton_operator.prepare.repository import Repository
from triton_operator.triton.config.derived_backend import TELLING_FILES, is_silent, with_backend
from triton_operator.triton.config.model_config import (
    CONFIG_NAME,
    ENSEMBLE,
    SIDE_FOLDERS,
    ConfigError,
    Latest,
    ModelConfig,
    Specific,
    VersionPolicy,
)
from triton_operator.triton.model_file.signature import Signature
from triton_operator.triton.prepare_contract.request import CONFIG_DIR, PreparationModel
from triton_operator.triton.text.values import text_in

_ENSEMBLE_VERSION = ("1",)
"""Triton wants a version of every model; an ensemble's is an empty folder, which many repositories cannot keep."""

_PLAIN_PATH = re.compile(r"[A-Za-z0-9._/-]+")
"""Triton's Python backend starts a model's process through a shell, with the path in the command (seen with 2.51)."""


class CheckedModel(NamedTuple):
    """A model that can be laid out: `entries` of `folder` are what Triton gets to see, versions among them.

    `config` is the text that Triton gets for config.pbtxt, "" where that is an entry like the others. `wanted` is what
    the object asks for. A version that is no entry is an empty folder.
    """

    wanted: PreparationModel
    folder: Path
    versions: tuple[str, ...]
    entries: tuple[str, ...]
    config: str = ""

    @property
    def name(self) -> str:
        """What clients call it."""
        return self.wanted.name


def check_model(repository: Repository, wanted: PreparationModel, config_dir: Path = Path(CONFIG_DIR)) -> CheckedModel:
    """Check one model; raises PrepareError. `config_dir` holds the texts that the object brings along."""
    chosen = read_object_config(wanted, config_dir)
    if chosen and _config_of(wanted, chosen).platform == ENSEMBLE and not repository.has_folder(wanted.path):
        return CheckedModel(wanted, repository.root, _ENSEMBLE_VERSION, (), finish(wanted, chosen, {}))
    folder = repository.find_folder(wanted.name, wanted.path)
    return _check_folder(repository, wanted, folder, chosen or read_folder_config(repository, wanted, folder))


def _check_folder(repository: Repository, wanted: PreparationModel, folder: Path, chosen: Chosen) -> CheckedModel:
    chosen = _with_backend(repository, wanted, folder, chosen)
    config = _config_of(wanted, chosen)
    present = _present_versions(repository, wanted.name, folder, config)
    versions = _served(wanted, chosen, config.version_policy, present) or _ENSEMBLE_VERSION
    entries = (*_side_entries(folder, chosen), *(version for version in versions if int(version) in present))
    repository.check_links(wanted.name, folder, entries)
    if chosen.author is Author.NOBODY:
        _require_telling_file(repository, wanted, folder)
    for version in versions:
        _check_file(repository, wanted.name, folder / version, config)
    files = {repository.shown(path): path for path in _model_files(folder, versions, config)}
    check_format(wanted, chosen.origin, config, files)
    signatures = read_signatures(wanted.name, config, files)
    if wanted.aotinductor_backend and config.is_compiled:
        _require_signatures(wanted.name, files, signatures)
    if chosen.author is Author.NOBODY and not signatures:
        raise _nothing_known(repository, wanted.name, folder, files)
    return CheckedModel(wanted, folder, versions, entries, finish(wanted, chosen, signatures))


def _with_backend(repository: Repository, wanted: PreparationModel, folder: Path, chosen: Chosen) -> Chosen:
    """Choose a backend by the files where a person's configuration leaves it to them, as Triton would."""
    if not chosen.author.is_person or not is_silent(chosen.message):
        return chosen
    message = with_backend(chosen.message, folder.name, contents(folder))
    if is_silent(message):
        raise config_invalid(
            wanted.name,
            f'{chosen.origin} has neither "backend" nor "platform", and no version of {repository.shown(folder)} has a '
            f"file by which Triton chooses one: {', '.join(TELLING_FILES)}",
        )
    return chosen._replace(message=message, is_changed=True)


def _require_telling_file(repository: Repository, wanted: PreparationModel, folder: Path) -> None:
    """Without any configuration only a file that describes itself can be served."""
    derived = with_backend({}, "", contents(folder))
    if text_in(derived, "backend") in {"", "pytorch"} or wanted.format in {"TorchScript", "AOTInductor"}:
        return
    backend = text_in(derived, "backend")
    raise config_invalid(
        wanted.name,
        f"there is no {repository.shown(folder / CONFIG_NAME)}, and the server does not make one, because "
        f'auto-complete is off. Write it with backend: "{backend}", max_batch_size, and every input and output',
    )


def _config_of(wanted: PreparationModel, chosen: Chosen) -> ModelConfig:
    try:
        return chosen.config
    except ConfigError as error:
        raise config_invalid(wanted.name, f"{chosen.origin}: {error}") from error


def _present_versions(repository: Repository, name: str, folder: Path, config: ModelConfig) -> list[int]:
    """The versions that are there, oldest first; an ensemble need not have any."""
    is_ensemble = config.platform == ENSEMBLE
    found = (entry for entry in folder.iterdir() if is_version(entry) and (is_ensemble or _has_file(entry)))
    present = sorted(int(entry.name) for entry in found)
    if not present and not is_ensemble:
        raise version_not_found(
            name,
            f"{repository.shown(folder)} has no numbered version folder with a file in it, "
            f"such as 1/{config.model_filename or 'model.pt'}; it holds {repository.listing(folder)}",
        )
    return present


def _side_entries(folder: Path, chosen: Chosen) -> list[str]:
    """The config and what else may belong to the model: labels, warm-up data, a Python environment.

    A config that another one replaces is not among them: it is not served.
    """
    replaced = {CONFIG_NAME} if chosen.author is not Author.REPOSITORY else set()
    names = (entry.name for entry in folder.iterdir() if not is_version(entry))
    return sorted(name for name in names if not name.startswith(".") and name not in replaced)


def _model_files(folder: Path, versions: tuple[str, ...], config: ModelConfig) -> list[Path]:
    """The file of each version, where its name is known."""
    return [folder / version / config.model_filename for version in versions if config.model_filename]


def _require_signatures(name: str, files: dict[str, Path], signatures: dict[str, Signature]) -> None:
    """A library that is asked for other sizes than it was compiled for reads what lies beside the tensor."""
    for shown in files:
        if shown not in signatures:
            raise config_invalid(
                name,
                f"{shown} has no signature, so nobody can check what it was compiled for; "
                "write it with tritonctl export --format aotinductor",
            )


def _nothing_known(repository: Repository, name: str, folder: Path, files: dict[str, Path]) -> PrepareError:
    return config_invalid(
        name,
        f"there is no {repository.shown(folder / CONFIG_NAME)}; the folder holds {repository.listing(folder)}, "
        f"and {describe(name, files)}. Write spec.models[].config, or export the model with tritonctl export",
    )


def _served(wanted: PreparationModel, chosen: Chosen, policy: VersionPolicy, present: list[int]) -> tuple[str, ...]:
    if isinstance(policy, Latest):
        return tuple(map(str, present[-policy.limit :]))
    if not isinstance(policy, Specific):
        return tuple(map(str, present))
    missing = sorted(set(policy.versions) - set(present))
    if missing or not policy.versions:
        who = "spec.models[].versionPolicy" if wanted.version_policy else f"version_policy of {chosen.origin}"
        asked = ", ".join(map(str, missing)) or "no version at all"
        raise version_not_found(
            wanted.name, f"{who} asks for {asked}; there is {', '.join(map(str, present)) or 'none'}"
        )
    return tuple(map(str, sorted(set(policy.versions))))


def _check_file(repository: Repository, name: str, version: Path, config: ModelConfig) -> None:
    filename = config.model_filename
    if not filename:
        return
    if PurePosixPath(filename).is_absolute() or ".." in PurePosixPath(filename).parts:
        raise config_invalid(name, f'default_model_filename "{filename}" leaves the version\'s folder')
    if not _PLAIN_PATH.fullmatch(filename):
        raise config_invalid(
            name,
            f"default_model_filename {filename!r} may only have letters, digits and any of . _ - /; rename the file",
        )
    if not (version / filename).exists():
        raise version_not_found(
            name,
            f"{repository.shown(version)} has no {filename}; it holds {repository.listing(version)}. "
            "Rename the file or set default_model_filename",
        )


def is_version(entry: Path) -> bool:
    """Triton's own rule: a folder with a number for a name, without leading zeros."""
    name = entry.name
    if name in SIDE_FOLDERS or not (name.isascii() and name.isdigit()) or not entry.is_dir():
        return False
    return name == "0" or not name.startswith("0")


def contents(folder: Path) -> list[dict[str, bool]]:
    """What each version's folder holds, in Triton's order: names, and whether each is a folder."""
    versions = sorted(entry for entry in folder.iterdir() if is_version(entry))
    return [{entry.name: entry.is_dir() for entry in version.iterdir()} for version in versions]


def _has_file(version: Path) -> bool:
    return any(entry.is_file() for entry in version.rglob("*"))
