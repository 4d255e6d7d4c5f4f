"""Download packages from Debian 12, whichever release this machine has.

Input: package names. Output: their archives. The images and the programs in them are the same on every machine.

Packages are downloaded from the Debian mirror that the machine's apt uses, or from $TRITON_OPERATOR_DEBIAN_MIRROR (an
address ending in /debian). apt verifies the signatures.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from hack.images.failures import ImageError
from hack.programs import debian

if TYPE_CHECKING:
    from collections.abc import Sequence

VARIABLE = "TRITON_OPERATOR_DEBIAN_MIRROR"
SUITE = "bookworm"


def mirrors(addresses: list[str], override: str = "") -> dict[str, str]:
    """The archive address of each suite, selected from the addresses that the machine's apt uses."""
    if override:
        return {SUITE: override.rstrip("/")}
    by_host: dict[str, str] = {}
    for address in (address.rstrip("/") for address in addresses):
        if address.endswith("/debian"):
            by_host.setdefault(SUITE, address)
        elif address.endswith("/debian-security"):
            by_host.setdefault(f"{SUITE}-security", address)
    if SUITE not in by_host:
        raise ImageError(
            f"no Debian mirror found; this machine's apt uses {', '.join(sorted(set(addresses))) or 'none'}. "
            f"Set {VARIABLE} to the address of a mirror, ending in /debian"
        )
    return by_host


def download(packages: Sequence[str], folder: Path) -> list[Path]:
    """Download exactly these packages into `folder`, which is empty; returns the archives."""
    addresses = _run("apt-get", "indextargets", "--format", "$(REPO_URI)").split()
    keyring = _keyring()
    sources = folder / "sources.list"
    sources.write_text(
        "".join(
            f"deb [signed-by={keyring}] {address} {suite} main\n"
            for suite, address in mirrors(addresses, os.environ.get(VARIABLE, "")).items()
        )
    )
    options = _apt_options(folder, sources)
    _run("apt-get", *options, "update", "--quiet")
    _run("apt-get", *options, "download", "--quiet", *packages, folder=folder)
    return sorted(folder.glob("*.deb"))


def _apt_options(folder: Path, sources: Path) -> list[str]:
    """Options that isolate apt from this machine: separate sources and state, and no installed packages."""
    for name in ("lists/partial", "archives/partial", "parts"):
        (folder / name).mkdir(parents=True)
    (folder / "status").touch()
    options = {
        "Dir::Etc::sourcelist": sources,
        "Dir::Etc::sourceparts": folder / "parts",
        "Dir::State::status": folder / "status",
        "Dir::State::Lists": folder / "lists",
        "Dir::Cache": folder,
        "Acquire::Languages": "none",
        "APT::Sandbox::User": "root" if os.geteuid() == 0 else "",
    }
    return [word for name, value in options.items() for word in ("-o", f"{name}={value}")]


def _keyring() -> Path:
    place = Path("usr/share/keyrings/debian-archive-keyring.gpg")
    installed = Path("/") / place
    return installed if installed.exists() else debian.unpacked("debian-archive-keyring") / place


def _run(*command: str, folder: Path | None = None) -> str:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise ImageError(f"{command[0]} not found: without docker, images are built on Debian or Ubuntu only") from None
    if done.returncode:
        raise ImageError(f"{' '.join(command[:1])} failed with exit code {done.returncode}:\n{done.stderr[-1500:]}")
    return done.stdout
