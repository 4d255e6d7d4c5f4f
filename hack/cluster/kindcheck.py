"""Check whether kind accepts a configuration file, without a container engine.

Input: a configuration file. Output: kind's error message, or None. The chart tests and `python -m hack.cluster
check-kind` call it.

kind reads and validates the configuration before it creates anything, but only if a container engine responds. This
module therefore puts a fake `docker` on PATH. It reports its version, every image and no containers, and fails for all
other commands. When kind looks for the node's image, it has accepted the configuration.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from hack.programs.catalogue import tools

_ENGINE = """\
#!/bin/sh
echo "$*" >> "$CALLS"
case "$1" in
-v) echo "Docker version 28.0.0, build 0" ;;
info) echo '{"CgroupVersion": "2", "MemoryLimit": true, "PidsLimit": true, "CPUShares": true}' ;;
ps | inspect) ;;
*) exit 1 ;;
esac
"""
_ACCEPTED = "inspect --type=image"


def objection(config: Path) -> str | None:
    """Return kind's error message for the file `config`, or None if kind would create the cluster."""
    with tempfile.TemporaryDirectory() as folder:
        calls = Path(folder) / "calls"
        result = _create(config, Path(folder), calls)
        if calls.exists() and _ACCEPTED in calls.read_text():
            return None
        return result.stderr.strip()


def _create(config: Path, folder: Path, calls: Path) -> subprocess.CompletedProcess[str]:
    engine = folder / "docker"
    engine.write_text(_ENGINE)
    engine.chmod(0o755)
    words = ["create", "cluster", "--config", str(config), "--kubeconfig", str(folder / "kubeconfig")]
    environment = {
        "PATH": f"{folder}:{os.environ['PATH']}",
        "HOME": str(folder),
        "CALLS": str(calls),
        "KIND_EXPERIMENTAL_PROVIDER": "docker",
    }
    program = str(tools("kind") / "kind")
    return subprocess.run([program, *words], env=environment, capture_output=True, text=True, check=False)
