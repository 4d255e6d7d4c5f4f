"""Which Python on this machine Triton's helper processes can run in.

Input: programs to try. Output: the first that fits, or UnsupportedMachineError with what was found and what to do.
Triton 2.51 ships a helper for each Python, linked against its `libpython`, and passes tensors in the layout of numpy
1.x, which has packages up to Python 3.12.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from triton_operator.local.errors import UnsupportedMachineError

VERSIONS = ("3.11", "3.12")
"""Of the same worth; the image of the CPU Triton has the first."""

_PROBE = """
import json, sys, sysconfig
value = sysconfig.get_config_var
print(json.dumps({
    "version": "%d.%d" % sys.version_info[:2],
    "program": getattr(sys, "_base_executable", sys.executable),
    "folders": [value("LIBDIR"), sys.base_prefix + "/lib", "%s/%s" % (value("LIBDIR"), value("MULTIARCH"))],
}))
"""
_PROBE_SECONDS = 10


class Python(NamedTuple):
    """One that fits: `version` as 3.11, `program` outside of any virtual environment, `library` its libpython."""

    version: str
    program: Path
    library: Path


class Probed(NamedTuple):
    """What a program says of itself."""

    version: str
    program: Path
    folders: tuple[Path, ...]


def find_python() -> Python:
    """The running one if it fits, else the first on PATH or of uv's; raises UnsupportedMachineError."""
    return choose(probed for program in candidates() if (probed := probe(program)))


def candidates() -> Iterator[str]:
    """Programs worth trying, in the order of preference."""
    yield getattr(sys, "_base_executable", sys.executable)
    for version in VERSIONS:
        for folder in os.get_exec_path():
            program = Path(folder, f"python{version}")
            if program.is_file() and os.access(program, os.X_OK):
                yield str(program)
    if uv := shutil.which("uv"):
        for version in VERSIONS:
            command = [uv, "python", "find", "--no-project", "--no-python-downloads", version]
            if (done := _said(command)) is not None:
                yield done.strip()


def probe(program: str) -> Probed | None:
    """Ask a program; None when it is no working Python."""
    said = _said([program, "-I", "-c", _PROBE])
    try:
        found = json.loads(said or "")
        return Probed(found["version"], Path(found["program"]), tuple(map(Path, found["folders"])))
    except (ValueError, KeyError, TypeError):
        return None


def choose(found: Iterable[Probed]) -> Python:
    """The first that has a right version and its library; raises UnsupportedMachineError that names the others."""
    unfit: dict[str, str] = {}
    for each in found:
        name = f"libpython{each.version}.so.1.0"
        library = next((folder / name for folder in each.folders if (folder / name).exists()), None)
        if each.version not in VERSIONS:
            unfit[str(each.program)] = f"Python {each.version}"
        elif library is None:
            unfit[str(each.program)] = f"Python {each.version} without {name}"
        else:
            return Python(each.version, each.program, library)
    seen = ", ".join(f"{program} ({why})" for program, why in unfit.items()) or "none"
    raise UnsupportedMachineError(
        f"Triton's models need Python {' or '.join(VERSIONS)} with its shared library, and this machine has: {seen}. "
        "Install one, for example by `uv python install 3.12` or, on Debian 12, by "
        "`apt-get install python3.11 libpython3.11`, and run this again"
    )


def _said(command: list[str]) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_PROBE_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return None if done.returncode else done.stdout
