"""Write the lock files: `make lock`, or `make lock UPGRADE=1` to upgrade to newer releases.

Input: pyproject.toml. Output: requirements*.lock, with a hash for every file and without the address of a package
index, so that each machine uses its configured index (docs/decisions/0001-lock-without-hosts.md).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from hack.cache import cache_dir
from hack.environment import ROOT, uv_program
from hack.progress import step

# The first lock file determines the versions; the others are subsets of it.
MAIN = "requirements.lock"
OVERRIDES = ["torch; sys_platform == 'never'", "packaging>=26", "rich>=15", "typer>=0.29"]
"""Packages that depend on torch would add it, with its CUDA libraries, to the main lock; torch has its own lock.
flwr's bounds on the other packages concern its command line, which is not used here."""

_EXTRAS = ("operator", "cli", "explain", "compress", "training", "federated", "masking")
LOCKS: dict[str, list[str]] = {
    MAIN: [*(word for extra in _EXTRAS for word in ("--extra", extra)), "--group", "dev", "pyproject.toml"],
    "requirements-demo.lock": ["-c", MAIN, "--extra", "cli", "--group", "demo", "pyproject.toml"],
    "requirements-operator.lock": ["-c", MAIN, "--extra", "operator", "pyproject.toml"],
    "requirements-torch.lock": ["--no-deps", "--group", "torch"],
    "requirements-uv.lock": ["--no-deps", "--group", "uv"],
}
_OPTIONS = [
    "--quiet",
    "--universal",
    "--python-version=3.11",
    "--generate-hashes",
    "--no-emit-index-url",
    "--no-annotate",
    "--custom-compile-command=make lock",
    "--exclude-newer=1 week",  # Most malicious releases are detected within days.
]


def main() -> int:
    """Compile each lock file; returns 1 after the resolver's message if one cannot be compiled."""
    upgrade = ["--upgrade"] if os.environ.get("UPGRADE") else []
    environment = {**os.environ, "UV_CACHE_DIR": str(cache_dir() / "python" / "uv-cache")}
    with tempfile.TemporaryDirectory() as folder:
        overrides = Path(folder) / "overrides.txt"
        overrides.write_text("\n".join(OVERRIDES))
        for name, source in LOCKS.items():
            options = [*_OPTIONS, *upgrade]
            if name == MAIN:
                options += ["--override", str(overrides), "--no-emit-package=torch"]
            with step(f"Locking {name}"):
                command = [str(uv_program()), "pip", "compile", *options, *source, "--output-file", name]
                done = subprocess.run(command, cwd=ROOT, env=environment, check=False)
            if done.returncode:
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
