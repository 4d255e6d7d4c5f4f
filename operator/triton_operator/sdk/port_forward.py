"""A Service's port on loopback, for as long as it is needed, by a kubectl of our own as child process.

Input: a Service and its port. Output: an address that is ready to be used. `sdk.address` calls it outside the
cluster. kubectl picks a free local port and says which, so there is nothing to guess and no port to lose to another
program in between.
"""

from __future__ import annotations

import os
import re
import selectors
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from triton_operator.sdk.errors import UnreachableError
from triton_operator.sdk.kubectl import Kubectl, explain

READY_SECONDS = 20
_FORWARDING = re.compile(r"Forwarding from (127\.0\.0\.1:\d+) ->")


@contextmanager
def port_forward(kubectl: Kubectl, service: str, port: int, namespace: str = "") -> Iterator[str]:
    """Yield the `127.0.0.1:PORT` that leads to one pod of the Service.

    Raises UnreachableError, DeploymentNotFoundError, RejectedError.

    `service` may also be another kind with its name, such as `pod/digits-6d4cf56db6-x7k2p`.
    """
    place = ["--namespace", namespace] if namespace else []
    target = service if "/" in service else f"service/{service}"
    command = kubectl.command("port-forward", "--address=127.0.0.1", *place, target, f":{port}")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            yield _address(process, service)
        finally:
            process.terminate()


def _address(process: subprocess.Popen[bytes], service: str) -> str:
    """Wait until kubectl says where it listens, or why it does not."""
    said = b""
    for chunk in _chunks(process):
        said += chunk
        if match := _FORWARDING.search(said.decode(errors="replace")):
            return match[1]
    if process.poll() is None:
        raise UnreachableError(f"no way to service/{service} within {READY_SECONDS} s; does it have a ready pod?")
    assert process.stderr is not None  # noqa: S101 - it was opened as a pipe above.
    raise explain(process.stderr.read().decode(errors="replace"))


def _chunks(process: subprocess.Popen[bytes]) -> Iterator[bytes]:
    """Yield what kubectl writes, until it ends or the time is over; a plain read could wait for ever."""
    assert process.stdout is not None  # noqa: S101 - as above.
    end = time.monotonic() + READY_SECONDS
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while (left := end - time.monotonic()) > 0:
            if not selector.select(left):
                return
            chunk = os.read(process.stdout.fileno(), 4096)
            if not chunk:
                process.wait()
                return
            yield chunk
