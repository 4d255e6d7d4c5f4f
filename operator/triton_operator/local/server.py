"""Triton as a process of this machine: started, awaited, ended, with nothing left of it.

Input: a command line and its variables. Output: a running `Server`, or LocalError in Triton's own words. The process
is the first one of the CPU image (`cpu_server/entrypoint.py`), which ends Triton when a model's process dies, and when
whoever started it is gone. It has a session of its own, so that a Ctrl-C reaches the caller alone.
"""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from triton_operator.local.environment import PARTS
from triton_operator.local.errors import LocalError, PortTakenError
from triton_operator.local.idle_connections import child, close_idle
from triton_operator.local.ports import ADDRESS, Ports
from triton_operator.triton.server.flags import EXIT_TIMEOUT_SECONDS
from triton_operator.triton.server.log import ALL_FAILED, LoadFailure, last_lines, read_server

_PAUSE_SECONDS = 0.05
_LOOK_SECONDS = 0.2
_KEPT_LINES = 200
_TAKEN = re.compile(r"Socket '\S+:(\d+)' already in use")
"""Triton's words about each of its listeners (server, `src/http_server.cc`, `src/grpc/grpc_server.cc`)."""
_LEASH = "LEASH_DESCRIPTOR"
"""Of `cpu_server/entrypoint.py`."""


class Server:
    """A started server; use it through `started`."""

    def __init__(self, process: subprocess.Popen[str], name: str, ports: Ports, say: Callable[[str], None]) -> None:
        self._process = process
        self._name = name
        self._ports = ports
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
        """Pass on the server's log until the server exits, which without a stop is an error: LocalError."""
        self.tell()
        self._process.wait()
        raise self._ended("Triton ended")

    def end(self) -> None:
        """Ask the server to end and wait; requests in flight may finish, and a second interruption cuts that short."""
        self._is_told.clear()
        try:
            if self._process.poll() is None:
                self._process.terminate()
                self._wait_for_requests(EXIT_TIMEOUT_SECONDS + 5)
        except KeyboardInterrupt:
            pass
        finally:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()
            self._reader.join(1)

    def _wait_for_requests(self, seconds: float) -> None:
        """Wait for the end, but for no connection over which nothing is asked: Triton waits for these, too."""
        end = time.monotonic() + seconds
        while self._process.poll() is None and time.monotonic() < end:
            server = child(self.pid)
            if server is not None:
                close_idle(server, self._ports.http)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_LOOK_SECONDS)

    def _is_ready(self) -> bool:
        """Whether it is this server that answers at all its ports: another program may have taken one meanwhile."""
        ready = (
            _get(self._ports.http, "/v2/health/ready") is not None and _get(self._ports.metrics, "/metrics") is not None
        )
        return ready and self._name.encode() in (_get(self._ports.http, "/v2") or b"")

    def _ended(self, what: str) -> LocalError:
        self._reader.join(5)
        failures = read_server("\n".join(self._lines))
        told = [f"{_about(failure)}{failure.message}" for failure in failures]
        if all(failure == ALL_FAILED for failure in failures):
            told.append(self._last_lines() or "no word")
        code = self._process.returncode
        message = "\n  ".join([f"{what} (exit code {code}):" if len(told) > 1 else f"{what}:", *told])
        taken = _TAKEN.search(message)
        return PortTakenError(message, int(taken[1])) if taken else LocalError(message)

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
    command: Sequence[str], variables: Mapping[str, str], ports: Ports, say: Callable[[str], None]
) -> Iterator[Server]:
    """Start the server, which listens at `ports`, and end it with the block; `say` gets its log once it serves."""
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
    name = next((word.removeprefix("--id=") for word in reversed(command) if word.startswith("--id=")), "")
    server = Server(process, name, ports, say)
    try:
        yield server
    finally:
        server.end()
        os.close(leash)
        if process.stdout:
            process.stdout.close()


def _get(port: int, path: str) -> bytes | None:
    """What is answered there, None when it is not well."""
    connection = http.client.HTTPConnection(ADDRESS, port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        content = answer.read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return content if answer.status == http.client.OK else None


def _about(failure: object) -> str:
    return f'model "{failure.model}": ' if isinstance(failure, LoadFailure) else ""
