"""Select a Python on this machine for Triton's stub processes.

Input: candidate programs. Output: the first that is supported, or UnsupportedMachineError, which lists the candidates
and describes the solution. Triton 2.51 includes a stub program for each Python version, linked against its `libpython`,
and passes tensors with the ABI of numpy 1.x, which supports Python up to 3.12.
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
"""Supported versions, without preference; the CPU image contains the first."""

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
    """A supported Python: `version`, for example 3.11; `program`, outside any virtual environment; its libpython."""

    version: str
    program: Path
    library: Path


class ProbedPython(NamedTuple):
    """A candidate's version, program, and the folders that may contain its libpython."""

    version: str
    program: Path
    folders: tuple[Path, ...]


def find_python() -> Python:
    """The running Python if supported, otherwise the first on PATH or of uv; raises UnsupportedMachineError."""
    return select_python(probed for program in candidates() if (probed := probe(program)))


def candidates() -> Iterator[str]:
    """Candidate programs in order of preference."""
    yield getattr(sys, "_base_executable", sys.executable)
    for version in VERSIONS:
        for folder in os.get_exec_path():
            program = Path(folder, f"python{version}")
            if program.is_file() and os.access(program, os.X_OK):
                yield str(program)
    if uv := shutil.which("uv"):
        for version in VERSIONS:
            command = [uv, "python", "find", "--no-project", "--no-python-downloads", version]
            if (output := _output_of(command)) is not None:
                yield output.strip()


def probe(program: str) -> ProbedPython | None:
    """Run a candidate to get its properties; None if it is not a working Python."""
    output = _output_of([program, "-I", "-c", _PROBE])
    try:
        found = json.loads(output or "")
        return ProbedPython(found["version"], Path(found["program"]), tuple(map(Path, found["folders"])))
    except (ValueError, KeyError, TypeError):
        return None


def select_python(found: Iterable[ProbedPython]) -> Python:
    """The first with a supported version and libpython; raises UnsupportedMachineError, which lists the candidates."""
    unsupported: dict[str, str] = {}
    for each in found:
        name = f"libpython{each.version}.so.1.0"
        library = next((folder / name for folder in each.folders if (folder / name).exists()), None)
        if each.version not in VERSIONS:
            unsupported[str(each.program)] = f"Python {each.version}"
        elif library is None:
            unsupported[str(each.program)] = f"Python {each.version} without {name}"
        else:
            return Python(each.version, each.program, library)
    listed = ", ".join(f"{program} ({reason})" for program, reason in unsupported.items()) or "none"
    raise UnsupportedMachineError(
        f"Triton requires Python {' or '.join(VERSIONS)} with its shared library; found: {listed}. Install one, for "
        "example with `uv python install 3.12` or, on Debian 12, with `apt-get install python3.11 libpython3.11`, and "
        "run the command again"
    )


def _output_of(command: list[str]) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_PROBE_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return None if done.returncode else done.stdout
