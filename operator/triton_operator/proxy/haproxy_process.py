"""Run HAProxy: check a configuration, start the master process, reload and stop it.

Input: paths. Output: HAProxy's own words about an invalid configuration, and its exit status. The master process starts
a worker for each configuration; an old worker finishes its requests.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path

from triton_operator.proxy.errors import ProxyError

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
"""Signals that the supervisor waits for; it blocks them, and its children do not."""

_CHECK_SECONDS = 20
_ALERT = re.compile(r"^\[ALERT\]\s+\(\d+\) : (.*)$", re.MULTILINE)


class HAProxy:
    """One master process of HAProxy, not started yet."""

    def __init__(self, program: Path, configuration: Path) -> None:
        self._program = program
        self._configuration = configuration
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def started(self) -> bool:
        """Whether `start` was called."""
        return self._process is not None

    def start(self) -> None:
        """Start the master process; it writes audit lines to this process's stdout."""
        self._process = _run(self._program, "-W", "-f", str(self._configuration))

    def reload(self) -> None:
        """Load the configuration; connections are neither refused nor closed in the middle of a request."""
        self._signal(signal.SIGUSR2)

    def stop_gracefully(self) -> None:
        """Close the listeners, and end as soon as all requests are finished."""
        self._signal(signal.SIGUSR1)

    def kill(self) -> None:
        """End without waiting for requests."""
        self._signal(signal.SIGTERM)

    def exit_status(self) -> int | None:
        """The exit status as a shell shows it; None while HAProxy is running."""
        status = self._process.poll() if self._process else None
        return 128 - status if status is not None and status < 0 else status

    def _signal(self, number: signal.Signals) -> None:
        if self._process and self._process.poll() is None:
            self._process.send_signal(number)


def run_in_foreground(program: Path, configuration: Path) -> subprocess.Popen[bytes]:
    """Start a process without a master, which ends with SIGTERM."""
    return _run(program, "-db", "-f", str(configuration))


def _run(program: Path, *options: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [str(program), *options],
        env=environment(program),
        # Notices of each reload, and an alert for each message that a Lua filter refuses. The option -q would close
        # stdout, too.
        stderr=subprocess.DEVNULL,
        preexec_fn=_unblock_signals,  # noqa: PLW1509 -- this process has one thread
    )


def check(program: Path, configuration: Path) -> None:
    """Raise ProxyError with HAProxy's own words if the configuration is invalid."""
    command = [str(program), "-c", "-f", str(configuration)]
    try:
        done = subprocess.run(
            command, env=environment(program), capture_output=True, text=True, check=False, timeout=_CHECK_SECONDS
        )
    except OSError as error:
        raise ProxyError(f"HAProxy cannot be started: {error.strerror}: {program}") from error
    except subprocess.TimeoutExpired:
        raise ProxyError(f"HAProxy did not check its configuration within {_CHECK_SECONDS} s") from None
    if done.returncode:
        raise ProxyError(f"HAProxy rejects the configuration: {_first_alert(done.stderr, configuration.parent)}")


def environment(program: Path) -> dict[str, str]:
    """The environment of HAProxy; the libraries of its package are next to it."""
    return {**os.environ, "LD_LIBRARY_PATH": str(program.parent.parent / "lib")}


def _first_alert(output: str, folder: Path) -> str:
    """The first error in HAProxy's output, without the path of the rendered files."""
    found = _ALERT.search(output)
    return (found.group(1) if found else output.strip()).replace(f"{folder}/", "").rstrip(".")


def _unblock_signals() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
