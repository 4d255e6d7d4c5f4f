"""Create the Python environments of this checkout from the lock files, in the cache folder.

Input: a name (`demo`: requirements of the demo and the cluster, without torch; `dev`: all) and a command. Output: the
command runs in the environment, which is created if it is missing. The Makefile runs this module with the system's
Python, so it requires only the standard library and pip, not `venv`.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

if sys.version_info < (3, 11):  # noqa: UP036 - an older version gets a clear message.
    raise SystemExit(
        f"Python 3.11 or newer is required, and {sys.executable} is {sys.version.split()[0]}. "
        "Select another one: make PYTHON=/path/to/python3.11 ..."
    )

import tomllib

from hack.cache import atomic_folder, cache_dir, locked
from hack.progress import step

ROOT = Path(__file__).resolve().parent.parent
LOCKS = {
    "demo": ("requirements-demo.lock",),
    "dev": ("requirements.lock", "requirements-torch.lock"),
}
_TORCH_LOCK = "requirements-torch.lock"
_UV_LOCK = ROOT / "requirements-uv.lock"
# The module that writes the stub libraries, and its imports.
_STUBS = tuple(f"operator/triton_operator/cpu_server/{name}.py" for name in ("cuda_stubs", "elf", "elf_stub"))
_DONE = "complete"
# Within an environment, `sys.executable` belongs to that environment, and the new one must not depend on it.
_PYTHON: str = getattr(sys, "_base_executable", sys.executable)


class EnvironmentSetupError(Exception):
    """The environment cannot be created; the message states the reason and the solution."""


def main(arguments: list[str]) -> int:
    """Create the environment and run the command in it; without a command, print its folder."""
    name, *command = arguments or [""]
    if name not in LOCKS:
        print(f"usage: python3 -m hack.environment {'|'.join(LOCKS)} [COMMAND…]", file=sys.stderr)
        return 2
    try:
        folder = ensure(name)
    except EnvironmentSetupError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except PermissionError as error:
        print(f"error: {error.strerror}: {error.filename}", file=sys.stderr)
        print("If a run with sudo created it, change the owner: sudo chown -R $(id -u) <cache folder>", file=sys.stderr)
        return 1
    if command:
        return _enter(folder, command)
    print(folder)
    return 0


def ensure(name: str) -> Path:
    """Return the folder of the environment `name`; create it if its lock files, the project or Python changed."""
    folder = cache_dir() / "python" / f"{name}-{_fingerprint(name)}"
    if (folder / _DONE).exists():
        return folder
    with locked(f"python-{name}"):
        if not (folder / _DONE).exists():
            _create(name, folder)
    return folder


def _enter(folder: Path, command: list[str]) -> int:
    """Replace this process by the command; returns only if the program does not exist."""
    try:
        os.execvpe(command[0], command, _activated(folder))  # noqa: S606 - running a command is the purpose of this module.
    except FileNotFoundError:
        print(f"error: program {command[0]!r} not found in {folder / 'bin'} or on PATH", file=sys.stderr)
        return 127


def _create(name: str, folder: Path) -> None:
    with step(f"Python environment “{name}”") as progress:
        progress.note("downloading uv")
        uv = uv_program()
        shutil.rmtree(folder, ignore_errors=True)
        _run(uv, "venv", "--python", _PYTHON, str(folder))
        python = folder / "bin" / "python"
        # The lock files are complete. Without `--no-deps`, packages that depend on torch would install CUDA libraries.
        install: list[str | Path] = [uv, "pip", "install", "--no-deps", "--python", python]
        for lock in LOCKS[name]:
            progress.note(f"installing {lock}")
            _run(*install, "--require-hashes", "--compile-bytecode", "-r", str(ROOT / lock))
        progress.note("installing this checkout")
        _run(*install, "--no-build-isolation", "--editable", str(ROOT))
        if _TORCH_LOCK in LOCKS[name]:
            progress.note("writing CUDA stubs")
            _run(python, "-m", "triton_operator.cpu_server.cuda_stubs", str(_site_packages(folder)))
        (folder / _DONE).touch()


def uv_program() -> Path:
    """Return the locked version of uv, which pip downloads on first use. Raises EnvironmentSetupError."""
    folder = cache_dir() / "python" / f"uv-{hashlib.sha256(_UV_LOCK.read_bytes()).hexdigest()[:12]}"
    program = folder / "bin" / "uv"
    if program.exists():
        return program
    if subprocess.run([_PYTHON, "-c", "import pip"], capture_output=True, check=False).returncode:
        raise EnvironmentSetupError(
            f"{_PYTHON} has no pip. Install it (Debian: apt-get install python3-pip), or select a Python "
            "with pip: make PYTHON=/path/to/python3 …"
        )
    pip = [_PYTHON, "-m", "pip", "install", "--quiet", "--no-warn-script-location", "--only-binary=:all:"]
    with locked("python-uv"):
        if not program.exists():
            with atomic_folder(folder) as draft:
                _run(*pip, "--require-hashes", "--no-deps", "--target", str(draft), "-r", str(_UV_LOCK))
    return program


def _run(*command: str | Path) -> None:
    """Run a command; its output is shown only if it fails."""
    caches = cache_dir() / "python"
    environment = {
        **os.environ,
        "UV_CACHE_DIR": str(caches / "uv-cache"),
        "UV_PYTHON_DOWNLOADS": "never",
        **_index(),
        "PIP_CACHE_DIR": str(caches / "pip-cache"),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_ROOT_USER_ACTION": "ignore",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run(command, cwd=ROOT, env=environment, text=True, capture_output=True, check=False)
    if done.returncode:
        raise EnvironmentSetupError(
            f"{shlex.join(map(str, command))}\nfailed with exit code {done.returncode}:\n{done.stdout}{done.stderr}"
        )


def _index() -> dict[str, str]:
    """Settings that let uv use pip's package index and the system's certificates."""
    settings = {}
    configured = subprocess.run(
        [_PYTHON, "-m", "pip", "config", "get", "global.index-url"], text=True, capture_output=True, check=False
    )
    index = os.environ.get("PIP_INDEX_URL") or configured.stdout.strip()
    if index and not os.environ.keys() & {"UV_DEFAULT_INDEX", "UV_INDEX_URL"}:
        settings["UV_DEFAULT_INDEX"] = index
    if Path("/etc/ssl/certs/ca-certificates.crt").exists():
        settings["UV_SYSTEM_CERTS"] = "1"
    return settings


def _fingerprint(name: str) -> str:
    """Hash of all inputs of the environment, so that checkouts and Python versions never share one."""
    inputs = [ROOT / lock for lock in LOCKS[name]]
    if _TORCH_LOCK in LOCKS[name]:
        inputs.extend(ROOT / module for module in _STUBS)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]  # Other tables configure tools.
    digest = hashlib.sha256(f"{ROOT} {_PYTHON} {sys.version} {project}".encode())
    for path in inputs:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _site_packages(folder: Path) -> Path:
    return folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"


def _activated(folder: Path) -> dict[str, str]:
    environment = {**os.environ, "VIRTUAL_ENV": str(folder), "PATH": f"{folder / 'bin'}:{os.environ.get('PATH', '')}"}
    environment.pop("PYTHONHOME", None)
    return environment


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
