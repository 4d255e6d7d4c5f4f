"""Write the lock files: `make lock`, or `make lock UPGRADE=1` to move to newer releases.

Enters: pyproject.toml. Leaves: requirements*.lock, with a hash for every file and no address of a package index,
so that each machine uses the index it is set up for (docs/decisions/0001-lock-without-hosts.md).
"""

from __future__ import annotations

import os
import subprocess
import sys

from hack.cache import cache_dir
from hack.environment import ROOT, uv_program
from hack.progress import step

# The first one decides; the others are parts of it and must not differ in versions.
MAIN = "requirements.lock"
LOCKS: dict[str, list[str]] = {
    MAIN: ["--extra", "operator", "--extra", "cli", "--group", "dev", "pyproject.toml"],
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
    "--exclude-newer=1 week",  # A release that turns out to be malicious is mostly found within days.
]


def main() -> int:
    """Compile each lock file; exit status 1 with the resolver's words when one cannot be made."""
    upgrade = ["--upgrade"] if os.environ.get("UPGRADE") else []
    environment = {**os.environ, "UV_CACHE_DIR": str(cache_dir() / "python" / "uv-cache")}
    for name, source in LOCKS.items():
        with step(f"Locking {name}"):
            command = [str(uv_program()), "pip", "compile", *_OPTIONS, *upgrade, *source, "--output-file", name]
            done = subprocess.run(command, cwd=ROOT, env=environment, check=False)
        if done.returncode:
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
