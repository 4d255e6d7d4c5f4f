"""Triton's environment in the cache folder, created once and used by every run.

Input: a supported Python. Output: `Environment`, a folder with the server, its backends, torch and numpy. The folder's
name contains a hash of its inputs, and the folder is either complete or absent. It has the layout of a virtual
environment: the Python in Triton's stub processes finds its packages through `pyvenv.cfg`, next to `bin/`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

from triton_operator import cpu_server
from triton_operator.cpu_server.assemble import assemble
from triton_operator.local.errors import LocalError
from triton_operator.local.folders import atomic_folder, locked
from triton_operator.local.installer import find_installer, install
from triton_operator.local.machine import check_disk_space, check_machine, inspect_machine
from triton_operator.local.progress import ReportStep
from triton_operator.local.pythons import Python, find_python
from triton_operator.triton.config.constants import AOT_INDUCTOR_BACKEND

CPU_SERVER = Path(cpu_server.__file__).parent
LOCK = CPU_SERVER / "requirements.lock"
FORMAT_VERSION = "1"
"""Increment it if this file creates a different environment from the same inputs."""

_KEPT_SECONDS = 30 * 24 * 3600
_COMPILED = "torch, torch.jit, torch.utils.dlpack, numpy, json, zipfile"
"""Modules that the backend imports; compiling torch at each start would take seconds."""


class Environment(NamedTuple):
    """A complete environment."""

    root: Path

    @property
    def caches(self) -> Path:
        """Folder of the response cache implementations."""
        return self.root / "caches"

    @property
    def libraries(self) -> Path:
        """Folder of the shared libraries of the server and its stub processes."""
        return self.root / "lib"


class EnvironmentPlan(NamedTuple):
    """The folder of an existing or planned environment, and its Python."""

    folder: Path
    python: Python


def plan_environment(cache: Path) -> EnvironmentPlan:
    """Check that the environment exists or can be created, without changes; raises UnsupportedMachineError."""
    check_machine(inspect_machine())
    python = find_python()
    plan = EnvironmentPlan(cache / f"triton-{_key(python)}", python)
    if not plan.folder.is_dir():
        check_disk_space(cache)
        find_installer(python)
    return plan


def ensure_environment(plan: EnvironmentPlan, report: ReportStep) -> Environment:
    """Create the environment unless it exists, which takes a few minutes; raises LocalError."""
    if not plan.folder.is_dir():
        with locked(plan.folder.parent, "environment"):
            if not plan.folder.is_dir():
                _remove_unused(plan.folder.parent)
                _create(plan, report)
    os.utime(plan.folder)
    return Environment(plan.folder)


def _remove_unused(cache: Path) -> None:
    """Remove environments of other releases that were not used for weeks; each takes almost 1 GB."""
    for folder in cache.glob("triton-*"):
        if time.time() - folder.stat().st_mtime > _KEPT_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)


def link_backends(environment: Environment, folder: Path) -> None:
    """Create Triton's backend folder: the environment's `python` backend and the two of this package."""
    folder.mkdir()
    (folder / "python").symlink_to(environment.root / "backends" / "python")
    for name in ("pytorch", AOT_INDUCTOR_BACKEND):
        shutil.copytree(CPU_SERVER / "backend", folder / name, ignore=shutil.ignore_patterns("__pycache__"))


def _key(python: Python) -> str:
    """Hash of all inputs of the environment, which does not contain this package's backend."""
    digest = hashlib.sha256(f"{FORMAT_VERSION} {python.version} {python.program} {python.library}".encode())
    for name in ("requirements.lock", "assemble.py", "cuda_stubs.py", "elf.py", "elf_stub.py", "strip_gpu_code.py"):
        digest.update((CPU_SERVER / name).read_bytes())
    return digest.hexdigest()[:12]


def _create(plan: EnvironmentPlan, report: ReportStep) -> None:
    python = plan.python
    with atomic_folder(plan.folder) as draft:
        packages = draft / "packages"
        with report("Downloading Triton, torch and numpy (1 GB)"):
            install(find_installer(python), python, LOCK, packages)
        with report("Installing them without GPU-only files"):
            create_virtual_environment(draft, python)
            assemble(packages, draft, site_packages(draft, python), python.version)
            shutil.rmtree(packages)
        with report("Compiling torch's modules"):
            _compile(draft)


def create_virtual_environment(root: Path, python: Python) -> None:
    """Create an empty virtual environment of this Python, with its libpython in the server's library folder."""
    (root / "bin").mkdir()
    (root / "lib").mkdir()
    (root / "bin" / "python3").symlink_to(python.program)
    (root / "lib" / python.library.name).symlink_to(python.library)
    settings = {"home": python.program.parent, "include-system-site-packages": "false"}
    (root / "pyvenv.cfg").write_text("".join(f"{name} = {value}\n" for name, value in settings.items()))


def site_packages(root: Path, python: Python) -> Path:
    """The package folder of an environment."""
    return root / "lib" / f"python{python.version}" / "site-packages"


def _compile(root: Path) -> None:
    """Import the modules that the backend imports, which tests and compiles them."""
    result = subprocess.run(
        [str(root / "bin" / "python3"), "-c", f"import {_COMPILED}"],
        env={"LANG": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise LocalError(f"torch cannot be imported in the new environment: {result.stderr.strip()[-1500:]}")
