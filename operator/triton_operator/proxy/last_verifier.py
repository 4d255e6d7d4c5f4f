"""Verify tokens while the pod ends: another HAProxy, with the frontend `tokens` only.

A worker that is ending has closed that frontend, and forgets the tokens that it has verified. After a reload, the next
worker verifies the tokens of its last requests. When the pod ends there is no next worker, so this process takes over
the address of the frontend before the worker closes it.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from triton_operator.proxy.haproxy_process import run_in_foreground
from triton_operator.proxy.token_memory import tokens_table
from triton_operator.proxy.token_verifier import SOCKET, has_tokens, verifier
from triton_operator.triton.proxy_contract.policy import ProxyPolicy

CONFIGURATION = "last-verifier.cfg"
_START_SECONDS, _POLL_SECONDS = 3.0, 0.02


def sections(policy: ProxyPolicy, folder: Path) -> dict[str, list[str]]:
    """The sections of the configuration; none if no caller has a token."""
    if not has_tokens(policy):
        return {}
    timeouts = ["timeout client 10s", "timeout http-request 10s", "timeout connect 2s", "timeout server 10s"]
    return {
        "global": ["nbthread 1", "maxconn 1000"],
        "defaults": ["mode http", *timeouts],
        **verifier(policy, folder, 1),
        # It remembers tokens for nobody, but the rules of the frontend name the table.
        **tokens_table(),
    }


@contextmanager
def last_verifier(program: Path, folder: Path) -> Iterator[None]:
    """Verify tokens during the block, if the configuration in this folder has callers with tokens."""
    configuration = folder / CONFIGURATION
    if not configuration.exists():
        yield
        return
    before = _identity(folder.parent / SOCKET)
    process = run_in_foreground(program, configuration)
    try:
        _wait_until_bound(process, folder.parent / SOCKET, before)
        yield
    finally:
        process.terminate()
        process.wait()


def _wait_until_bound(process: subprocess.Popen[bytes], address: Path, before: int) -> None:
    """Return when the process has replaced the socket, or cannot."""
    end = time.monotonic() + _START_SECONDS
    while _identity(address) in {before, 0} and process.poll() is None and time.monotonic() < end:
        time.sleep(_POLL_SECONDS)


def _identity(path: Path) -> int:
    """The number of the file; 0 if there is none."""
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return 0
