"""One model in a repository: whether it is what the object asks for, and what of it will be served.

A folder goes in, a CheckedModel leaves or a PrepareError with the sentence for the user. Only what Triton itself
would report late or not at all is refused here (a Python model without its file makes Triton 2.51 hang, for one);
whether a model file can be loaded is Triton's to say.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import NamedTuple

from triton_operator.prepare.errors import config_invalid, version_not_found
from triton_operator.prepare.repository import Repository
from triton_operator.triton.model_config import (
    CONFIG_NAME,
    ENSEMBLE,
    SIDE_FOLDERS,
    Latest,
    ModelConfig,
    Specific,
    VersionPolicy,
    read_config,
)
from triton_operator.triton.preparation import PreparationModel

CONFIG_LIMIT = 1 << 20
"""Bytes of a config.pbtxt; real ones have a few thousand."""


class CheckedModel(NamedTuple):
    """A model that can be laid out: `entries` of `folder` are what Triton gets to see, versions among them."""

    name: str
    folder: Path
    versions: tuple[str, ...]
    entries: tuple[str, ...]


def check_model(repository: Repository, wanted: PreparationModel) -> CheckedModel:
    """Check one model; raises PrepareError."""
    folder = repository.find_folder(wanted.name, wanted.path)
    config = _read_config(repository, wanted.name, folder)
    versions = _versions(repository, wanted.name, folder, config)
    entries = (*_side_entries(folder), *versions)
    repository.check_links(wanted.name, folder, entries)
    return CheckedModel(wanted.name, folder, versions, entries)


def _read_config(repository: Repository, name: str, folder: Path) -> ModelConfig:
    path = folder / CONFIG_NAME
    shown = repository.shown(path)
    if path.is_symlink():
        repository.check_links(name, folder, [CONFIG_NAME])
    if not path.is_file():
        raise config_invalid(name, f"there is no {shown}; the folder holds {repository.listing(folder)}")
    if path.stat().st_size > CONFIG_LIMIT:
        raise config_invalid(name, f"{shown} is larger than {CONFIG_LIMIT} bytes")
    try:
        config = read_config(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise config_invalid(name, f"{shown} is not UTF-8 text (byte {error.start})") from error
    except ValueError as error:
        raise config_invalid(name, f"{shown}: {error}") from error
    if config.name not in {"", name}:
        raise config_invalid(
            name,
            f'{shown} has name: "{config.name}", but the model is called "{name}" in spec.models; '
            "make them equal or leave the name out of the file",
        )
    return config


def _versions(repository: Repository, name: str, folder: Path, config: ModelConfig) -> tuple[str, ...]:
    """The versions to serve, oldest first, each seen to have its model file."""
    empty_is_fine = config.platform == ENSEMBLE
    present = sorted(
        int(entry.name) for entry in folder.iterdir() if _is_version(entry) and (empty_is_fine or _has_file(entry))
    )
    if not present:
        raise version_not_found(
            name,
            f"{repository.shown(folder)} has no numbered version folder with a file in it, "
            f"such as 1/{config.model_filename or 'model.pt'}; it holds {repository.listing(folder)}",
        )
    served = tuple(map(str, _served(repository.shown(folder), name, present, config.version_policy)))
    for version in served:
        _check_file(repository, name, folder / version, config)
    return served


def _side_entries(folder: Path) -> list[str]:
    """The config and what else may belong to the model: labels, warm-up data, a Python environment."""
    return sorted(entry.name for entry in folder.iterdir() if not (_is_version(entry) or entry.name.startswith(".")))


def _served(shown: str, name: str, present: list[int], policy: VersionPolicy) -> list[int]:
    if isinstance(policy, Latest):
        return present[-policy.limit :]
    if not isinstance(policy, Specific):
        return present
    missing = sorted(set(policy.versions) - set(present))
    if missing or not policy.versions:
        asked = ", ".join(map(str, missing)) or "no version at all"
        there = ", ".join(map(str, present))
        raise version_not_found(name, f"version_policy of {shown}/{CONFIG_NAME} asks for {asked}; there is {there}")
    return sorted(set(policy.versions))


def _check_file(repository: Repository, name: str, version: Path, config: ModelConfig) -> None:
    filename = config.model_filename
    if not filename:
        return
    if PurePosixPath(filename).is_absolute() or ".." in PurePosixPath(filename).parts:
        raise config_invalid(name, f'default_model_filename "{filename}" leaves the version\'s folder')
    if not (version / filename).exists():
        raise version_not_found(
            name,
            f"{repository.shown(version)} has no {filename}; it holds {repository.listing(version)}. "
            "Rename the file or set default_model_filename",
        )


def _is_version(entry: Path) -> bool:
    """Triton's own rule: a folder with a number for a name, without leading zeros."""
    name = entry.name
    if name in SIDE_FOLDERS or not (name.isascii() and name.isdigit()) or not entry.is_dir():
        return False
    return name == "0" or not name.startswith("0")


def _has_file(version: Path) -> bool:
    return any(entry.is_file() for entry in version.rglob("*"))
