"""Keep HAProxy running with the configuration that the mounted files describe.

Input: the mounted files, read twice a second, and signals. Output: a running HAProxy, one line for each change, and the
exit status of the container. Files that are invalid change nothing: HAProxy continues with the last valid ones. The
first start waits up to `SupervisorSettings.wait_seconds` for valid files, and then ends with a termination message.
"""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from triton_operator.proxy.certificate import check_certificate
from triton_operator.proxy.errors import ProxyError
from triton_operator.proxy.haproxy_config import render
from triton_operator.proxy.haproxy_process import SIGNALS, HAProxy, check
from triton_operator.proxy.inputs import Inputs, read_inputs
from triton_operator.proxy.last_verifier import last_verifier
from triton_operator.proxy.placement import Placement
from triton_operator.proxy.report import Report
from triton_operator.proxy.work_folder import WorkFolder
from triton_operator.triton.proxy_contract.policy import ProxyPolicy, decode

POLL_SECONDS = 0.5


@dataclass(frozen=True)
class SupervisorSettings:
    """Paths of the mounted files and of HAProxy, and times in seconds."""

    policy_folder: Path
    tls_folder: Path
    program: Path
    placement: Placement
    wait_seconds: float = 15


class Supervisor:
    """The main loop; `run` returns the exit status."""

    def __init__(self, settings: SupervisorSettings, report: Report) -> None:
        self._settings = settings
        self._report = report
        self._folder = WorkFolder(settings.placement.folder)
        self._haproxy = HAProxy(settings.program, self._folder.selected)
        self._seen: Inputs | None = None
        self._problem = ""
        self._reload_at = float("inf")
        self._age_seconds = 0

    def run(self) -> int:
        """Run until a signal or the end of HAProxy."""
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        deadline = time.monotonic() + self._settings.wait_seconds
        while True:
            self._follow_files()
            self._limit_age()
            if not self._haproxy.started and time.monotonic() > deadline:
                self._report.last_words(self._problem)
                return 1
            received = signal.sigtimedwait(SIGNALS, POLL_SECONDS)
            if received and received.si_signo in {signal.SIGTERM, signal.SIGINT}:
                return self._stop()
            if (status := self._haproxy.exit_status()) is not None:
                return self._ended(status)

    def _follow_files(self) -> None:
        """Start or reload HAProxy if the files changed and are valid; report a problem once."""
        try:
            inputs = read_inputs(self._settings.policy_folder, self._settings.tls_folder)
            if inputs == self._seen:
                return
            self._seen = inputs
            self._apply(inputs)
        except ProxyError as error:
            self._reject(str(error))

    def _apply(self, inputs: Inputs) -> None:
        policy = read_policy(inputs.policy)
        folder = self._folder.next_folder()
        placement = replace(self._settings.placement, folder=folder)
        pem = inputs.certificate.rstrip() + b"\n" + inputs.key
        path = self._folder.write(folder, render(policy, placement), pem, placement.pem)
        check_certificate(placement.pem, policy.server_names)
        check(self._settings.program, path)
        self._folder.select(folder)
        self._problem = ""
        self._age_seconds = policy.limits.max_connection_age_seconds
        self._reload_at = time.monotonic() + self._age_seconds
        if self._haproxy.started:
            self._haproxy.reload()
            self._report.event("reloaded")
        else:
            self._haproxy.start()
            self._report.event("started")

    def _limit_age(self) -> None:
        """Reload at the limit of the age: the new worker gets new connections, and the old one closes its own.

        HAProxy 2.6 has no limit for a connection. An HTTP/2 client gets GOAWAY, and finishes its requests.
        """
        if time.monotonic() >= self._reload_at:
            self._reload_at = time.monotonic() + self._age_seconds
            self._haproxy.reload()

    def _reject(self, problem: str) -> None:
        if problem == self._problem:
            return
        self._problem = problem
        kept = "; the last valid configuration stays in use" if self._haproxy.started else ""
        self._report.event("rejected" if self._haproxy.started else "waiting", problem + kept)

    def _stop(self) -> int:
        """Let HAProxy finish its requests."""
        if not self._haproxy.started:
            return 0
        self._report.event("stopping")
        with last_verifier(self._settings.program, self._folder.selected.resolve().parent):
            return self._drain()

    def _drain(self) -> int:
        deadline = time.monotonic() + self._settings.placement.drain_seconds
        while self._haproxy.exit_status() is None:
            # Repeated, because a worker that has just been started can miss a signal.
            if time.monotonic() < deadline:
                self._haproxy.stop_gracefully()
            else:
                self._haproxy.kill()
            signal.sigtimedwait({signal.SIGCHLD}, POLL_SECONDS)
        return 0

    def _ended(self, status: int) -> int:
        """HAProxy ended although nobody stopped it."""
        message = f"HAProxy ended with exit status {status}"
        self._report.event("failed", message)
        self._report.last_words(message)
        return status or 1


def read_policy(content: bytes) -> ProxyPolicy:
    """Decode the policy; raises ProxyError."""
    try:
        return decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProxyError(f"the policy cannot be read: {error}") from error
