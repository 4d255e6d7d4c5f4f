"""Install the packages of the CPU Triton into a folder, with the machine's uv or pip.

Input: the lock file and a Python. Output: a folder with the unpacked packages, each checked against its hash. The
packages match the given Python, which may differ from the installer's, and come from pip's configured index.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import textwrap
from pathlib import Path
from typing import NamedTuple

from triton_operator.local.errors import LocalError, UnsupportedMachineError
from triton_operator.local.interruptions import running_process
from triton_operator.local.pythons import Python

_PLATFORMS = ("manylinux_2_35", "manylinux_2_28", "manylinux_2_17", "manylinux2014")
"""Platform tags of the locked packages; pip needs all of them, uv derives the older ones from the newest."""

_OPTIONS = ("--require-hashes", "--no-deps", "--only-binary", ":all:", "--quiet")


class Installer(NamedTuple):
    """The command that installs into `--target`; `is_uv` selects the options of uv instead of pip's."""

    command: tuple[str, ...]
    is_uv: bool


def find_installer(python: Python) -> Installer:
    """Find uv on PATH or in the running environment, or pip; raises UnsupportedMachineError."""
    in_environment = Path(sysconfig.get_path("scripts")) / "uv"
    if uv := shutil.which("uv") or (str(in_environment) if os.access(in_environment, os.X_OK) else None):
        return Installer((uv, "pip", "install"), is_uv=True)
    for program in (str(python.program), sys.executable):
        version = subprocess.run([program, "-m", "pip", "--version"], capture_output=True, check=False)
        if version.returncode == 0:
            return Installer((program, "-m", "pip", "install"), is_uv=False)
    raise UnsupportedMachineError(
        "neither uv nor pip was found, and Triton's packages cannot be installed without them; install one, for "
        f"example with `{sys.executable} -m ensurepip`"
    )


def install_command(installer: Installer, python: Python, lock: Path, target: Path) -> list[str]:
    """The command line that installs the packages into `target`."""
    options = ["--target", str(target), "--python-version", python.version, *_OPTIONS]
    if installer.is_uv:
        options += ["--python", str(python.program), "--python-platform", "x86_64-manylinux_2_35"]
    else:
        options += [word for name in _PLATFORMS for word in ("--platform", f"{name}_x86_64")]
        options += ["--platform", "any", "--no-compile", "--no-warn-script-location", "--disable-pip-version-check"]
    return [*installer.command, *options, "-r", str(lock)]


def install(installer: Installer, python: Python, lock: Path, target: Path) -> None:
    """Install the packages; an interruption kills the installer and its children. Raises LocalError."""
    command = install_command(installer, python, lock, target)
    with running_process(command, _environment(installer)) as process:
        output, _ = process.communicate()
    if process.returncode:
        raise LocalError(
            f"Triton's packages cannot be installed; output of {Path(command[0]).name}:\n"
            + textwrap.indent(output.strip()[-1500:], "  ")
        )


def _environment(installer: Installer) -> dict[str, str]:
    """The environment variables of the installer; uv uses pip's index unless its own is configured."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    index = environment.get("PIP_INDEX_URL")
    if installer.is_uv and index and not environment.keys() & {"UV_DEFAULT_INDEX", "UV_INDEX_URL"}:
        environment["UV_DEFAULT_INDEX"] = index
    return environment
