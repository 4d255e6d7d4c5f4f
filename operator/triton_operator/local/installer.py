"""Fetch the packages of the CPU Triton into a folder, by the installer that this machine has.

Input: the lock file and a Python. Output: a folder with the unpacked packages, every file compared with its hash. They
are those of that Python, whichever Python the installer itself runs in, and come from the index that pip is set up for.
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
from triton_operator.local.interruptions import running
from triton_operator.local.pythons import Python

_PLATFORMS = ("manylinux_2_35", "manylinux_2_28", "manylinux_2_17", "manylinux2014")
"""Of the packages in the lock; pip wants each said, uv knows which fit on the newest."""

_RULES = ("--require-hashes", "--no-deps", "--only-binary", ":all:", "--quiet")


class Installer(NamedTuple):
    """`command` installs into `--target`; `is_uv` tells the two families apart."""

    command: tuple[str, ...]
    is_uv: bool


def find_installer(python: Python) -> Installer:
    """The uv on PATH or of the running environment, else a pip; raises UnsupportedMachineError."""
    script = Path(sysconfig.get_path("scripts")) / "uv"
    if uv := shutil.which("uv") or (str(script) if os.access(script, os.X_OK) else None):
        return Installer((uv, "pip", "install"), is_uv=True)
    for program in (str(python.program), sys.executable):
        asked = subprocess.run([program, "-m", "pip", "--version"], capture_output=True, check=False)
        if asked.returncode == 0:
            return Installer((program, "-m", "pip", "install"), is_uv=False)
    raise UnsupportedMachineError(
        f"neither uv nor pip is there to fetch Triton's packages: install one of them, for example by "
        f"`{sys.executable} -m ensurepip`"
    )


def install_command(installer: Installer, python: Python, lock: Path, target: Path) -> list[str]:
    """The command line that fills `target`."""
    options = ["--target", str(target), "--python-version", python.version, *_RULES]
    if installer.is_uv:
        options += ["--python", str(python.program), "--python-platform", "x86_64-manylinux_2_35"]
    else:
        options += [word for name in _PLATFORMS for word in ("--platform", f"{name}_x86_64")]
        options += ["--platform", "any", "--no-compile", "--no-warn-script-location", "--disable-pip-version-check"]
    return [*installer.command, *options, "-r", str(lock)]


def install(installer: Installer, python: Python, lock: Path, target: Path) -> None:
    """Fetch and unpack; ends the installer with all it started when it is interrupted. Raises LocalError."""
    command = install_command(installer, python, lock, target)
    with running(command, _environment(installer)) as process:
        said, _ = process.communicate()
    if process.returncode:
        raise LocalError(
            f"the packages of Triton cannot be installed; {Path(command[0]).name} said:\n"
            + textwrap.indent(said.strip()[-1500:], "  ")
        )


def _environment(installer: Installer) -> dict[str, str]:
    """What pip is set up for holds for uv too, where uv is not told otherwise."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    index = environment.get("PIP_INDEX_URL")
    if installer.is_uv and index and not environment.keys() & {"UV_DEFAULT_INDEX", "UV_INDEX_URL"}:
        environment["UV_DEFAULT_INDEX"] = index
    return environment
