"""Triton as a process of this machine: started, awaited, ended, with nothing left of it.

Enters: a command line and its variables. Leaves: a running `Server`, or LocalError in Triton's own words. The process
is the first one of the CPU image (`cpu_server/entrypoint.py`), which ends Triton when a model's process dies, and when
whoever started it is gone. It has a session of its own, so that a Ctrl-C reaches the caller alone.
"""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from triton_operator.local.environment import PARTS
from triton_operator.local.errors import LocalError
from triton_operator.local.ports import ADDRESS
from triton_operator.triton.flags import EXIT_TIMEOUT_SECONDS
from triton_operator.triton.server_log import ALL_FAILED, LoadFailure, last_lines, read_server

_PAUSE_SECONDS = 0.05
_KEPT_LINES = 200
_LEASH = "LEASH_DESCRIPTOR"
"""Of `cpu_server/entrypoint.py`."""


class Server:
    """A started server; use it through `started`."""

    def __init__(self, process: subprocess.Popen[str], port: int, say: Callable[[str], None]) -> None:
        self._process = process
        self._port = port
        self._say = say
        self._lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._is_told = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The first process; its id is that of the group, too."""
        return self._process.pid

    def tell(self) -> None:
        """Hand the server's log on from now."""
        self._is_told.set()

    def wait_ready(self, seconds: float) -> None:
        """Return when every model is loaded; raises LocalError when the server ends before, or takes longer."""
        end = time.monotonic() + seconds
        while not self._is_ready():
            if self._process.poll() is not None:
                raise self._ended("Triton did not start")
            if time.monotonic() > end:
                raise LocalError(
                    f"the models were not loaded within {seconds:.0f} s (spec.lifecycle.startupTimeoutSeconds); "
                    f"last words: {self._last_lines() or 'none'}"
                )
            time.sleep(_PAUSE_SECONDS)

    def serve(self) -> None:
        """Hand the server's log on until it ends, which it does by itself only when something is wrong: LocalError."""
        self.tell()
        self._process.wait()
        raise self._ended("Triton ended")

    def end(self) -> None:
        """Ask the server to end and wait; requests in flight may finish, and a second interruption cuts that short."""
        self._is_told.clear()
        try:
            if self._process.poll() is None:
                self._process.terminate()
                self._process.wait(EXIT_TIMEOUT_SECONDS + 5)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            pass
        finally:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()
            self._reader.join(1)

    def _is_ready(self) -> bool:
        connection = http.client.HTTPConnection(ADDRESS, self._port, timeout=5)
        try:
            connection.request("GET", "/v2/health/ready")
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _ended(self, what: str) -> LocalError:
        self._reader.join(5)
        failures = read_server("\n".join(self._lines))
        told = [f"{_about(failure)}{failure.message}" for failure in failures]
        if all(failure == ALL_FAILED for failure in failures):
            told.append(self._last_lines() or "no word")
        code = self._process.returncode
        return LocalError("\n  ".join([f"{what} (exit code {code}):" if len(told) > 1 else f"{what}:", *told]))

    def _last_lines(self) -> str:
        return last_lines("\n".join(self._lines))

    def _read(self) -> None:
        for line in self._process.stdout or ():
            self._lines.append(line.rstrip("\n"))
            if self._is_told.is_set():
                with suppress(OSError):
                    self._say(line.rstrip("\n"))


@contextmanager
def started(
    command: Sequence[str], variables: Mapping[str, str], port: int, say: Callable[[str], None]
) -> Iterator[Server]:
    """Start the server, which answers HTTP at `port`, and end it with the block; `say` gets its log once it serves."""
    held, leash = os.pipe()
    entrypoint = [sys.executable, "-I", "-S", str(PARTS / "entrypoint.py")]
    process = subprocess.Popen(
        [*entrypoint, *command],
        env={**variables, _LEASH: str(held)},
        pass_fds=(held,),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    os.close(held)
    server = Server(process, port, say)
    try:
        yield server
    finally:
        server.end()
        os.close(leash)
        if process.stdout:
            process.stdout.close()


def _about(failure: object) -> str:
    return f'model "{failure.model}": ' if isinstance(failure, LoadFailure) else ""
