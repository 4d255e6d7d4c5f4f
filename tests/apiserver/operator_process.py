"""The operator as a separate process, in one namespace of a real API server: start, measure, kill.

Input: a kubeconfig and a namespace. Output: CPU seconds, memory and counted requests, from /proc and its metrics.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter as Tally
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from tests.builders import SETTINGS
from triton_operator.resources.settings import Settings

_START_SECONDS = 180
_AS_IN_THE_IMAGE = """
import runpy, sys
sys.modules["kubernetes"] = None
runpy.run_module("triton_operator.runtime", run_name="__main__", alter_sys=True)
"""
"""Kopf imports the package `kubernetes` (23 MB) if it is there. Tests use it; the operator's image is without it."""
_WRITES = frozenset({"PATCH", "PUT", "POST", "DELETE"})
_REQUEST = re.compile(
    r'^triton_operator_api_requests_total\{code="(\d+)",kind="([^"]+)",verb="(\w+)"\} (\S+)$', re.MULTILINE
)


class OperatorProcess:
    """`python -m triton_operator.runtime`; a context manager that stops it."""

    def __init__(
        self,
        kubeconfig: Path,
        namespace: str,
        folder: Path,
        *,
        resync_seconds: float = 600,
        settings: Settings = SETTINGS,
        flags: Sequence[str] = (),
    ) -> None:
        self._port = _free_port()
        settings_file = folder / "settings.json"
        settings_file.write_bytes(msgspec.json.encode(settings))
        self.log = folder / f"operator-{time.monotonic_ns()}.log"
        # fmt: off
        self._command = [
            sys.executable, "-c", _AS_IN_THE_IMAGE,
            "--kubeconfig", str(kubeconfig), "--namespace", namespace, "--settings", str(settings_file),
            "--identity", "operator-under-test", "--listen", "127.0.0.1", "--metrics-port", str(self._port),
            "--resync-seconds", str(resync_seconds), "--log-level", "WARNING", *flags,
        ]
        # fmt: on

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Start it without waiting."""
        source = str(Path(__file__).parents[2] / "operator")
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command, stdout=output, stderr=output, env=os.environ | {"PYTHONPATH": source}
            )

    def is_healthy(self) -> bool:
        """Whether its liveness probe succeeds."""
        return bool(self._get("/healthz"))

    def wait_ready(self) -> None:
        """Return when its caches are filled."""
        deadline = time.monotonic() + _START_SECONDS
        while not self._get("/readyz"):
            assert self._process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, f"not ready; {self.log.read_text()}"
            time.sleep(0.05)

    def kill(self) -> None:
        """Kill it without a clean shutdown."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        """Terminate it; fails if it does not exit cleanly."""
        if self._process.poll() is not None:
            return
        self._process.terminate()
        assert self._process.wait(timeout=180) == 0, self.log.read_text()

    def cpu_seconds(self) -> float:
        """User and system time of the process so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def pid(self) -> int:
        """The process ID."""
        return self._process.pid

    def resident_megabytes(self) -> float:
        """The resident set size."""
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def most_megabytes(self) -> float:
        """The peak resident set size."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(re.findall(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)[0]) / 1024

    def writes(self) -> Tally[str]:
        """Successful writes so far by kind, without the Lease."""
        found: Tally[str] = Tally()
        for code, kind, verb, count in _REQUEST.findall(self._get("/metrics") or ""):
            if verb in _WRITES and code.startswith("2") and kind != "Lease":
                found[kind] += int(float(count))
        return found

    def passes(self) -> int:
        """Number of successful passes so far."""
        return int(self._metric(r'reconcile_seconds_count\{result="ok"\}'))

    def waiting(self) -> int:
        """Number of deployments that wait for a worker or are being reconciled."""
        return int(self._metric("queue_depth") + self._metric("queue_busy"))

    def _metric(self, name: str) -> float:
        match = re.search(rf"^triton_operator_{name} (\S+)$", self._get("/metrics") or "", re.MULTILINE)
        return float(match[1]) if match else 0.0

    def _get(self, path: str) -> str:
        """The response of the health server; empty if there is none or it is an error."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}{path}", timeout=5) as answer:
                text: str = answer.read().decode()
                return text
        except (urllib.error.URLError, OSError):
            return ""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
