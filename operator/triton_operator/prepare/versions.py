"""The versions of a model in its folder: which there are, which the version policy selects, and their files.

Input: a model's folder in a repository and its configuration. Output: version numbers and paths, or a PrepareError that
names what is missing. `model` calls it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from triton_operator.api.model import VersionPolicy
from triton_operator.prepare.errors import config_invalid, version_not_found
from triton_operator.prepare.repository import Repository
from triton_operator.triton.config.constants import ENSEMBLE, SIDE_FOLDERS
from triton_operator.triton.config.summary import ConfigSummary

_PLAIN_PATH = re.compile(r"[A-Za-z0-9._/-]+")
"""Triton's Python backend starts a model's process through a shell, with the path in the command (seen with 2.51)."""


def is_version(entry: Path) -> bool:
    """Triton's own rule: a folder whose name is a number without leading zeros."""
    name = entry.name
    if name in SIDE_FOLDERS or not (name.isascii() and name.isdigit()) or not entry.is_dir():
        return False
    return name == "0" or not name.startswith("0")


def version_contents(folder: Path) -> list[dict[str, bool]]:
    """The content of each version's folder, in Triton's order: names, and whether each is a folder."""
    versions = sorted(entry for entry in folder.iterdir() if is_version(entry))
    return [{entry.name: entry.is_dir() for entry in version.iterdir()} for version in versions]


def present_versions(repository: Repository, name: str, folder: Path, config: ConfigSummary) -> list[int]:
    """The versions in the folder, oldest first; raises PrepareError if there is none. An ensemble needs none."""
    is_ensemble = config.platform == ENSEMBLE
    found = (entry for entry in folder.iterdir() if is_version(entry) and (is_ensemble or _has_file(entry)))
    present = sorted(int(entry.name) for entry in found)
    if not present and not is_ensemble:
        raise version_not_found(
            name,
            f"{repository.shown(folder)} has no numbered version folder with a file in it, "
            f"such as 1/{config.model_filename or 'model.pt'}; it contains {repository.listing(folder)}",
        )
    return present


def select_versions(name: str, policy: VersionPolicy, present: Sequence[int], origin: str) -> tuple[str, ...]:
    """The versions that the policy selects, oldest first; raises PrepareError if one of them is missing.

    `origin` is what messages call the policy.
    """
    if policy.latest:
        return tuple(map(str, present[-policy.latest.count :]))
    if policy.specific is None:
        return tuple(map(str, present))
    selected = set(policy.specific.versions)
    missing = sorted(selected - set(present))
    if missing or not selected:
        requested = f"version {', '.join(map(str, missing))}" if missing else "no version at all"
        there = ", ".join(map(str, present)) or "none"
        raise version_not_found(name, f"{origin} selects {requested}; the model's folder has {there}")
    return tuple(map(str, sorted(selected)))


def check_model_file(repository: Repository, name: str, version: Path, config: ConfigSummary) -> None:
    """Check that a version has the model's file, if its name is known; raises PrepareError."""
    filename = config.model_filename
    if not filename:
        return
    if PurePosixPath(filename).is_absolute() or ".." in PurePosixPath(filename).parts:
        raise config_invalid(name, f'default_model_filename "{filename}" leaves the version\'s folder')
    if not _PLAIN_PATH.fullmatch(filename):
        raise config_invalid(
            name,
            f"default_model_filename {filename!r} may contain only letters, digits and the characters . _ - /; "
            "rename the file",
        )
    if not (version / filename).exists():
        raise version_not_found(
            name,
            f"{repository.shown(version)} has no {filename}; it contains {repository.listing(version)}. "
            "Rename the file or set default_model_filename",
        )


def _has_file(version: Path) -> bool:
    return any(entry.is_file() for entry in version.rglob("*"))
