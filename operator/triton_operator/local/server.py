"""Run Triton as a process of this machine: start it, wait until it is ready, and stop it completely.

Input: a command line and environment variables. Output: a running `Server`, or LocalError with Triton's error messages.
Triton runs under the entrypoint of the CPU image (`cpu_server/entrypoint.py`), which stops Triton if a model's process
exits or if the caller's process is gone. The entrypoint has its own session, so Ctrl-C reaches only the caller.
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

from triton_operator.local.environment import CPU_SERVER
from triton_operator.local.errors import LocalError, PortTakenError
from triton_operator.local.idle_connections import close_idle_connections, first_child
from triton_operator.local.ports import ADDRESS, Ports
from triton_operator.triton.server.flags import EXIT_TIMEOUT_SECONDS
from triton_operator.triton.server.log import ALL_FAILED, LoadFailure, last_lines, read_server

_PAUSE_SECONDS = 0.05
_IDLE_CHECK_SECONDS = 0.2
_KEPT_LINES = 200
_TAKEN = re.compile(r"Socket '\S+:(\d+)' already in use")
"""The message of each of Triton's listeners (server, `src/http_server.cc`, `src/grpc/grpc_server.cc`)."""
_PARENT_PIPE = "PARENT_PIPE_DESCRIPTOR"
"""Environment variable of `cpu_server/entrypoint.py`."""


class Server:
    """A started server; created by `running_server`."""

    def __init__(self, process: subprocess.Popen[str], name: str, ports: Ports, write: Callable[[str], None]) -> None:
        self._process = process
        self._name = name
        self._ports = ports
        self._write = write
        self._lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._forwards_log = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The ID of the entrypoint process and of its process group."""
        return self._process.pid

    def forward_log(self) -> None:
        """Forward the server's log from now on."""
        self._forwards_log.set()

    def wait_ready(self, seconds: float) -> None:
        """Wait until every model is loaded; raises LocalError if the server exits or takes longer."""
        end = time.monotonic() + seconds
        while not self._is_ready():
            if self._process.poll() is not None:
                raise self._exit_error("Triton did not start")
            if time.monotonic() > end:
                raise LocalError(
                    f"the models were not loaded within {seconds:.0f} s (spec.lifecycle.startupTimeoutSeconds); "
                    f"last log lines: {self._last_lines() or 'none'}"
                )
            time.sleep(_PAUSE_SECONDS)

    def serve(self) -> None:
        """Forward the server's log until the server exits, which is always an error: raises LocalError."""
        self.forward_log()
        self._process.wait()
        raise self._exit_error("Triton exited")

    def stop(self) -> None:
        """Stop the server after requests in flight have finished; a second interruption stops it immediately."""
        self._forwards_log.clear()
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
        """Wait until the server exits; close idle connections meanwhile, because Triton would wait for them."""
        end = time.monotonic() + seconds
        while self._process.poll() is None and time.monotonic() < end:
            server = first_child(self.pid)
            if server is not None:
                close_idle_connections(server, self._ports.http)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_IDLE_CHECK_SECONDS)

    def _is_ready(self) -> bool:
        """Whether this server, and not another program that took a port, is ready on all its ports."""
        ready = (
            _get(self._ports.http, "/v2/health/ready") is not None and _get(self._ports.metrics, "/metrics") is not None
        )
        return ready and self._name.encode() in (_get(self._ports.http, "/v2") or b"")

    def _exit_error(self, summary: str) -> LocalError:
        self._reader.join(5)
        failures = read_server("\n".join(self._lines))
        reasons = [f"{_model_prefix(failure)}{failure.message}" for failure in failures]
        if all(failure == ALL_FAILED for failure in failures):
            reasons.append(self._last_lines() or "the log is empty")
        code = self._process.returncode
        message = "\n  ".join([f"{summary} (exit code {code}):" if len(reasons) > 1 else f"{summary}:", *reasons])
        taken = _TAKEN.search(message)
        return PortTakenError(message, int(taken[1])) if taken else LocalError(message)

    def _last_lines(self) -> str:
        return last_lines("\n".join(self._lines))

    def _read(self) -> None:
        for line in self._process.stdout or ():
            self._lines.append(line.rstrip("\n"))
            if self._forwards_log.is_set():
                with suppress(OSError):
                    self._write(line.rstrip("\n"))


@contextmanager
def running_server(
    command: Sequence[str], variables: Mapping[str, str], ports: Ports, write: Callable[[str], None]
) -> Iterator[Server]:
    """Start a server that listens on `ports`, and stop it at the end of the block; `write` receives its log lines."""
    server_end, own_end = os.pipe()
    entrypoint = [sys.executable, "-I", "-S", str(CPU_SERVER / "entrypoint.py")]
    process = subprocess.Popen(
        [*entrypoint, *command],
        env={**variables, _PARENT_PIPE: str(server_end)},
        pass_fds=(server_end,),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    os.close(server_end)
    name = next((word.removeprefix("--id=") for word in reversed(command) if word.startswith("--id=")), "")
    server = Server(process, name, ports, write)
    try:
        yield server
    finally:
        server.stop()
        os.close(own_end)
        if process.stdout:
            process.stdout.close()


def _get(port: int, path: str) -> bytes | None:
    """The content of the response; None if the request fails or its status is not 200."""
    connection = http.client.HTTPConnection(ADDRESS, port, timeout=5)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        content = response.read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return content if response.status == http.client.OK else None


def _model_prefix(failure: object) -> str:
    return f'model "{failure.model}": ' if isinstance(failure, LoadFailure) else ""
