"""Run a program as a child process: write its output to a file, and stop it by its process ID.

Input: a command line. Output: a running process. `controlplane` calls it.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from typing import TYPE_CHECKING

from hack.failures import StartError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_POLL_SECONDS = 0.05


class ChildProcess:
    """A child process."""

    def __init__(self, command: list[str], log: Path, environment: Mapping[str, str] | None = None) -> None:
        """Start `command`; append its output to `log`.

        The kernel kills the process when the thread that started it exits, so that a killed test run leaves no server
        behind. Start it from a thread that lives as long as the process is needed.
        """
        self.name = command[0].rsplit("/", 1)[-1]
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [*_tied_to_us(), *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process ID, for measurements."""
        return self._process.pid

    @property
    def ended(self) -> bool:
        """Whether the program is no longer running."""
        return self._process.poll() is not None

    def await_ready(self, ready: Callable[[], bool], seconds: float) -> None:
        """Return once `ready()` is true; raises StartError if the program exits first or after `seconds`."""
        deadline = time.monotonic() + seconds
        while not ready():
            if self.ended:
                raise StartError(f"{self.name} ended with code {self._process.returncode}. {log_end(self.log)}")
            if time.monotonic() > deadline:
                raise StartError(f"{self.name} was not ready after {seconds:.0f} s. {log_end(self.log)}")
            time.sleep(_POLL_SECONDS)

    def stop(self, patience: float = 10) -> None:
        """Terminate the program, if it is running; kill it after `patience` seconds."""
        if self.ended:
            return
        self._process.terminate()
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """Kill the program immediately, to simulate a crash."""
        self._process.kill()
        self._process.wait()


def log_end(log: Path, lines: int = 15) -> str:
    """Return the last lines of `log` under a heading that names it, for an error message."""
    text = log.read_text(errors="replace").splitlines()[-lines:] if log.exists() else []
    return f"The end of {log}:\n" + "\n".join(f"  {line[:400]}" for line in text)


def _tied_to_us() -> list[str]:
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
