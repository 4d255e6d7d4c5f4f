"""A user at a shell with `tritonctl run` in it: what it printed, where it serves, what is left when it has ended."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 -- where the server's regions are
FIRST_START_SECONDS = 600
"""Triton and torch may have to be fetched."""


class User:
    """Somebody who has installed the package; `folder` has its programs, `cache` what `run` keeps."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self.folder = folder
        self.cache = cache

    def tritonctl(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        command = [str(self.folder / "tritonctl"), *map(str, arguments)]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)

    def runs(self) -> list[Path]:
        """The folders of the runs that there are."""
        return sorted((self.cache / "runs").glob("run-*"))

    @property
    def environment(self) -> dict[str, str]:
        """A shell's, with the programs on PATH."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
        return {**kept, "PATH": f"{self.folder}:{os.environ['PATH']}"}

    @contextmanager
    def serving(self, *arguments: object) -> Iterator[Serving]:
        """Start `tritonctl run` and wait until it says where it serves."""
        command = [str(self.folder / "tritonctl"), "run", *map(str, arguments)]
        began = time.monotonic()
        with subprocess.Popen(
            command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                yield Serving(process, _until(process, "  curl "), time.monotonic() - began)
            finally:
                with suppress(ProcessLookupError):
                    process.send_signal(signal.SIGINT)
                process.communicate(timeout=60)


class Serving:
    """A running `tritonctl run`: `said` is what it printed until it was ready, after so many `seconds`."""

    def __init__(self, process: subprocess.Popen[str], said: str, seconds: float) -> None:
        self.process = process
        self.said = said
        self.seconds = seconds
        found = re.search(r"HTTP (\S+)\s+gRPC (\S+)\s+metrics (\S+)/metrics", said)
        assert found, said
        self.http, self.grpc, self.metrics = found.groups()

    @property
    def command(self) -> list[str]:
        """The words of the command that it says to try, without `tritonctl`."""
        (line,) = re.findall(r"^  tritonctl (infer .*)$", self.said, re.MULTILINE)
        return str(line).split()

    @property
    def run(self) -> str:
        """The name of the run's folder, which is in all that belongs to it."""
        return Path(self.command[-1]).parent.name

    def end(self, number: signal.Signals) -> tuple[int, str]:
        """Send a signal; the exit status and what was said on standard error."""
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=60)
        return self.process.returncode, errors


def left_over(mark: str) -> list[str]:
    """Processes whose command line has the mark, a run's name or what all of them begin with, and shared memory."""
    found = [path.name for path in SHARED_MEMORY.glob(f"tritonctl-{mark}*")]
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with suppress(OSError):
                words = (folder / "cmdline").read_bytes().decode(errors="replace")
                if f"/local/runs/{mark}" in words:
                    found.append(words.replace("\0", " "))
    return sorted(found)


def _until(process: subprocess.Popen[str], mark: str) -> str:
    """What the process prints up to a line that begins with the mark; fails with its errors when it ends before."""
    assert process.stdout
    said = ""
    end = time.monotonic() + FIRST_START_SECONDS
    while f"\n{mark}" not in said:
        ready, _, _ = select.select([process.stdout], [], [], max(0, end - time.monotonic()))
        chunk = os.read(process.stdout.fileno(), 4096).decode() if ready else ""
        assert chunk, f"{said}\n{process.communicate(timeout=60)[1] if ready else 'nothing more came in time'}"
        said += chunk
    return said
