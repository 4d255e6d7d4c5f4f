"""Run the sidecar `proxy` as the pod does: its own process, with folders that change like mounted volumes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from hack.images import haproxy
from tests.proxy.certificates import Pair
from triton_operator.local.ports import ADDRESS, Ports
from triton_operator.triton.proxy_contract.policy import (
    CERTIFICATE_FILE,
    POLICY_FILE,
    PRIVATE_KEY_FILE,
    ProxyPolicy,
    encode,
)

SECONDS = 20


class Volume:
    """A folder that the kubelet updates: the files are in a folder that the link `..data` selects."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._count = 0
        folder.mkdir()

    def write(self, files: dict[str, bytes]) -> None:
        """Replace all files at once."""
        self._count += 1
        version = self.folder / f"..{self._count}"
        version.mkdir()
        for name, content in files.items():
            (version / name).write_bytes(content)
            if not (self.folder / name).is_symlink():
                (self.folder / name).symlink_to(f"..data/{name}")
        (self.folder / "..new").symlink_to(version.name)
        (self.folder / "..new").replace(self.folder / "..data")


class Proxy:
    """A running sidecar; `https` and `health` are its ports."""

    def __init__(self, folder: Path, triton: Ports, *options: str) -> None:
        self.folder = folder
        self.policy = Volume(folder / "policy")
        self.tls = Volume(folder / "tls")
        self.termination_log = folder / "termination-log"
        self.lines: list[dict[str, Any]] = []
        chosen = free_ports()
        self.https, self.health = chosen.http, chosen.grpc
        self._options = [
            *("--policy", folder / "policy", "--tls", folder / "tls", "--work", folder / "work"),
            *("--https", f"{ADDRESS}:{self.https}", "--health", f"{ADDRESS}:{self.health}"),
            *("--triton-http", f"{ADDRESS}:{triton.http}", "--triton-grpc", f"{ADDRESS}:{triton.grpc}"),
            *("--haproxy", haproxy.ensure() / "sbin" / "haproxy", "--termination-log", self.termination_log),
            *("--drain", 3),
            *options,
        ]
        self._work = str(folder / "work" / "haproxy.cfg").encode()
        self._changed = threading.Condition()

    def set_policy(self, policy: ProxyPolicy) -> None:
        """Write the policy, as the operator does."""
        self.policy.write({POLICY_FILE: encode(policy).encode()})

    def set_certificate(self, pair: Pair) -> None:
        """Write the serving certificate."""
        self.tls.write({CERTIFICATE_FILE: pair.certificate, PRIVATE_KEY_FILE: pair.key})

    def start(self) -> None:
        """Start the process."""
        command = [sys.executable, "-m", "triton_operator.proxy", *map(str, self._options)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def wait_for(self, event: str, count: int = 1) -> dict[str, Any]:
        """Wait until the supervisor has reported an event `count` times, and return the last report."""
        found: list[dict[str, Any]] = []

        def reported() -> bool:
            found[:] = [line for line in self.lines if line.get("proxy") == event]
            return len(found) >= count

        with self._changed:
            assert self._changed.wait_for(reported, SECONDS), (event, self.lines)
        return found[-1]

    def audited(self, count: int) -> list[dict[str, Any]]:
        """Wait for `count` audit lines."""

        def lines() -> list[dict[str, Any]]:
            return [line for line in self.lines if "caller" in line]

        with self._changed:
            assert self._changed.wait_for(lambda: len(lines()) >= count, SECONDS), self.lines
        return lines()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End the process and everything that it started; returns its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            for pid in [self.process.pid, *self.haproxies()]:
                os.kill(pid, signal.SIGKILL)
            raise
        finally:
            self._reader.join()

    def haproxies(self) -> list[int]:
        """The process IDs of HAProxy: the master and its workers."""
        commands = ((int(entry.name), _command(entry)) for entry in Path("/proc").iterdir() if entry.name.isdigit())
        return sorted(pid for pid, command in commands if b"haproxy" in command[0] and self._work in command)

    def _read(self) -> None:
        assert self.process.stdout
        with self.process.stdout as output:
            for line in output:
                with self._changed:
                    self.lines.append(_parsed(line))
                    self._changed.notify_all()


def _parsed(line: str) -> dict[str, Any]:
    try:
        return dict(json.loads(line))
    except ValueError:
        return {"text": line.rstrip()}


def _command(process: Path) -> list[bytes]:
    try:
        return (process / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return [b""]


@contextmanager
def running_proxy(
    folder: Path, triton: Ports, policy: ProxyPolicy | None, pair: Pair | None, *options: str
) -> Iterator[Proxy]:
    """Start the sidecar; with a policy and a certificate, wait until it listens."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    proxy = Proxy(folder, triton, *options)
    if policy is not None:
        proxy.set_policy(policy)
    if pair is not None:
        proxy.set_certificate(pair)
    proxy.start()
    try:
        if policy is not None and pair is not None:
            proxy.wait_for("started")
            wait_for_port(proxy.https)
        yield proxy
    finally:
        proxy.stop()


def free_ports() -> Ports:
    """Ports that the kernel chooses, so that two runs of the tests on one machine do not choose the same."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server((ADDRESS, 0))) for _ in range(3)]
        return Ports(*(each.getsockname()[1] for each in sockets))


def wait_for_port(port: int) -> None:
    """Wait until a process accepts connections."""
    wait_until(lambda: accepts(port))


def accepts(port: int) -> bool:
    """Whether a process accepts connections."""
    try:
        socket.create_connection((ADDRESS, port), timeout=1).close()
    except OSError:
        return False
    return True


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for a condition that nothing announces."""
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)
