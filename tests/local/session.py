"""Run `tritonctl run` as a user does in a shell: its output, its addresses, and what remains after it has ended."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 -- the server's shared memory regions
FIRST_START_SECONDS = 600
"""Time limit of a start, which may download Triton and torch."""


class User:
    """A user of the installed package; `folder` contains its programs, and `cache` is the cache of `run`."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self.folder = folder
        self.cache = cache

    def tritonctl(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        command = [str(self.folder / "tritonctl"), *map(str, arguments)]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)

    def runs(self) -> list[Path]:
        """The folders of all current runs."""
        return sorted((self.cache / "runs").glob("run-*"))

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a shell, with the programs on PATH."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
        return {**kept, "PATH": f"{self.folder}:{os.environ['PATH']}"}

    @contextmanager
    def serving(self, *arguments: object) -> Iterator[Serving]:
        """Start `tritonctl run`, and wait until it prints its addresses."""
        command = [str(self.folder / "tritonctl"), "run", *map(str, arguments)]
        with subprocess.Popen(
            command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                yield Serving(process, _first_output(process))
            finally:
                process.send_signal(signal.SIGINT)
                _end(process)

    @contextmanager
    def at_terminal(self, *arguments: object) -> Iterator[Terminal]:
        """Start `tritonctl run` as a shell's command in a terminal, and wait until it prints its addresses."""
        master, slave = pty.openpty()
        command = [sys.executable, "-c", _OWN_TERMINAL, str(self.folder / "tritonctl"), "run", *map(str, arguments)]
        with subprocess.Popen(
            command, env=self.environment, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
        ) as process:
            os.close(slave)
            terminal = Terminal(process, master, _until(master, "  curl "))
            try:
                yield terminal
            finally:
                terminal.close()
                _end(process)


class Terminal:
    """A terminal with a running command; `output` is its output until the command was ready."""

    def __init__(self, process: subprocess.Popen[bytes], descriptor: int, output: str) -> None:
        self.process = process
        self.output = output
        self._descriptor = descriptor

    @property
    def run(self) -> str:
        """The name of the run's folder."""
        (name,) = set(re.findall(r"/(run-\w+)/", self.output))
        return str(name)

    def type(self, keys: bytes) -> int:
        """Press keys, and return the exit status of the command."""
        os.write(self._descriptor, keys)
        return self.process.wait(60)

    def close(self) -> None:
        """Close the window, if it is open."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1


_OWN_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


class Serving:
    """A running `tritonctl run`; `output` is its output until it was ready."""

    def __init__(self, process: subprocess.Popen[str], output: str) -> None:
        self.process = process
        self.output = output
        match = re.search(r"HTTP (\S+)\s+gRPC (\S+)\s+metrics (\S+)/metrics", output)
        assert match, output
        self.http, self.grpc, self.metrics = match.groups()

    @property
    def command(self) -> list[str]:
        """The arguments of the suggested command, without `tritonctl`."""
        (line,) = re.findall(r"^  tritonctl (infer .*)$", self.output, re.MULTILINE)
        return str(line).split()

    @property
    def run(self) -> str:
        """The name of the run's folder, which all its processes and files contain."""
        (name,) = set(re.findall(r"/(run-\w+)/", self.output))
        return str(name)

    def cpu_seconds(self) -> float:
        """The CPU time of the command and its server so far."""
        marked = (place.parent for place in Path("/proc").glob("[0-9]*/cmdline") if self.run in _words(place))
        ticks = [
            sum(map(int, (folder / "stat").read_text().rpartition(")")[2].split()[11:15]))
            for folder in {Path("/proc", str(self.process.pid)), *marked}
        ]
        return sum(ticks) / os.sysconf("SC_CLK_TCK")

    def end(self, number: signal.Signals) -> tuple[int, str]:
        """Send a signal, and return the exit status and the standard error."""
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=180)
        return self.process.returncode, errors


def left_over(mark: str) -> list[str]:
    """Processes whose command line contains the mark (a run's name or its prefix), and remaining shared memory."""
    regions = (path.name for path in SHARED_MEMORY.glob(f"tritonctl-{mark}*"))
    return sorted([*regions, *(words for words in command_lines() if f"/local/runs/{mark}" in words)])


def command_lines() -> Iterator[str]:
    """The command line of every process."""
    return (_words(place) for place in Path("/proc").glob("[0-9]*/cmdline"))


def _words(place: Path) -> str:
    with suppress(OSError):
        return place.read_bytes().decode(errors="replace").replace("\0", " ")
    return ""  # The process has ended.


def _end(process: subprocess.Popen[Any]) -> None:
    """Wait for a command to end; if it does not, kill it, so that the tests do not hang."""
    try:
        process.communicate(timeout=180)
    except subprocess.TimeoutExpired:
        process.kill()
        raise


def _first_output(process: subprocess.Popen[str]) -> str:
    """The output up to the addresses; a failure includes the standard error if the command has ended."""
    assert process.stdout
    try:
        return _until(process.stdout.fileno(), "  curl ")
    except AssertionError as error:
        if process.poll() is None:
            raise
        raise AssertionError(f"{error}{process.communicate()[1]}") from None


def _until(descriptor: int, mark: str) -> str:
    """Read up to a complete line that begins with the mark; fails if the output ends before."""
    output = ""
    end = time.monotonic() + FIRST_START_SECONDS
    while not re.search(rf"^{mark}.*\n", output, re.MULTILINE):
        ready, _, _ = select.select([descriptor], [], [], max(0, end - time.monotonic()))
        assert ready, f"nothing more came in time: {output}"
        chunk = os.read(descriptor, 4096).decode()
        assert chunk, f"it ended: {output}"
        output += chunk
    return output
