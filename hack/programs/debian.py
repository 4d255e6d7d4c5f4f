"""Unpack programs from Debian packages into the cache, without installing them.

Input: package names. Output: a folder with the structure of a root file system, which contains those packages and all
dependencies that the machine lacks. `programs` and the image builders call it.

apt's own state (package lists, downloads) is also in the cache, and apt verifies the signatures of the archives.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from hack.cache import atomic_folder, cache_dir, locked
from hack.failures import BuildError
from hack.progress import step

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hack.progress import OngoingStep

_LIBRARIES = ("usr/lib/x86_64-linux-gnu", "usr/lib/aarch64-linux-gnu", "lib/x86_64-linux-gnu", "lib/aarch64-linux-gnu")


def unpacked(*packages: str) -> Path:
    """Return a folder with the packages and their missing dependencies; create it if it is missing.

    Raises BuildError if apt is missing or cannot download them.
    """
    folder = cache_dir() / "debian" / _folder_name(packages)
    if folder.is_dir():
        return folder
    with locked("debian"):
        if not folder.is_dir():
            _download_and_unpack(packages, folder)
    return folder


def library_path(root: Path) -> str:
    """The LD_LIBRARY_PATH for programs below `root`, with the libraries of their packages."""
    return ":".join(str(root / place) for place in _LIBRARIES if (root / place).is_dir())


def write_launcher(launcher: Path, root: Path, program: str) -> None:
    """Write a script that starts `program` (a path below `root`) with the libraries of its package."""
    launcher.write_text(f'#!/bin/sh\nLD_LIBRARY_PATH="{library_path(root)}" exec "{root / program}" "$@"\n')
    launcher.chmod(0o755)


def _folder_name(packages: Iterable[str]) -> str:
    names = " ".join(sorted(packages))
    return f"{names.split()[0]}-{hashlib.sha256(names.encode()).hexdigest()[:12]}"


def _download_and_unpack(packages: tuple[str, ...], folder: Path) -> None:
    _require_apt(packages)
    names = " ".join(packages)
    with step(f"fetch Debian packages {names}") as current, atomic_folder(folder) as draft:
        archives = _download(packages, folder.parent / f"{folder.name}.archives", current)
        current.note("unpacking")
        for archive in archives:
            _run(["dpkg", "-x", str(archive), str(draft)], f"unpack {archive.name}")
        shutil.rmtree(archives[0].parent)


def _download(packages: tuple[str, ...], archives: Path, current: OngoingStep) -> list[Path]:
    """Download the packages and their dependencies that are not installed.

    The named packages are downloaded even if they are installed, so that the result does not depend on the machine.
    """
    (archives / "partial").mkdir(parents=True, exist_ok=True)
    current.note("reading package lists")
    _update_lists()
    current.note("downloading")
    install = ("install", "--download-only", "--reinstall", "--no-install-recommends", "--quiet", "--yes")
    _run(_apt(archives, *install, *packages), f"download {' '.join(packages)}")
    return sorted(archives.glob("*.deb"))


@cache
def _update_lists() -> None:
    """Download the package lists once per command."""
    _run(_apt(cache_dir() / "debian" / "apt", "update", "--quiet"), "update the package lists")


def _apt(archives: Path, *arguments: str) -> list[str]:
    state = cache_dir() / "debian" / "apt"
    (state / "lists" / "partial").mkdir(parents=True, exist_ok=True)
    options = {
        "Dir::State::Lists": state / "lists",
        "Dir::Cache": state,
        "Dir::Cache::archives": archives,
        "Dir::Log": state,
        "Debug::NoLocking": "1",
        "Acquire::Languages": "none",
        "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
        # Otherwise root's downloads would run as the user _apt, which cannot write to the cache.
        "APT::Sandbox::User": "root" if os.geteuid() == 0 else "",
    }
    return ["apt-get", *(word for name, value in options.items() for word in ("-o", f"{name}={value}")), *arguments]


def _run(command: list[str], purpose: str) -> None:
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        msg = f"could not {purpose}: `{command[0]}` failed with code {result.returncode}:\n{result.stderr[-1500:]}"
        raise BuildError(msg)


def _require_apt(packages: tuple[str, ...]) -> None:
    missing = [program for program in ("apt-get", "dpkg") if shutil.which(program) is None]
    if missing:
        msg = (
            f"{' and '.join(missing)} not found, so {', '.join(packages)} cannot be fetched: "
            "use Debian or Ubuntu, install these programs with your own package manager, or choose CLUSTER=kind"
        )
        raise BuildError(msg)
