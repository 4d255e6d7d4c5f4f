"""A Service's port on loopback, forwarded by a child process of kubectl.

Input: a Service and its port. Output: an address that accepts connections. `sdk.address` calls it outside the cluster.
kubectl chooses a free local port and prints it, so no other program can take the port in between.
"""

from __future__ import annotations

import os
import re
import selectors
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from triton_operator.cluster.observed import Kind
from triton_operator.cluster.resource_paths import CHILDREN, PODS
from triton_operator.sdk.errors import SdkError, UnreachableError
from triton_operator.sdk.kube_context import KubeContext
from triton_operator.sdk.kubernetes_client import KubernetesClient

READY_SECONDS = 20
_FORWARDING = re.compile(r"Forwarding from (127\.0\.0\.1:\d+) ->")


@contextmanager
def port_forward(cluster: KubeContext, service: str, port: int, namespace: str = "") -> Iterator[str]:
    """Yield the `127.0.0.1:PORT` that leads to one pod of the Service.

    Raises UnreachableError, DeploymentNotFoundError, RejectedError.

    `service` may also be another kind with its name, such as `pod/digits-6d4cf56db6-x7k2p`.
    """
    options = ["--namespace", namespace] if namespace else []
    target = service if "/" in service else f"service/{service}"
    command = cluster.kubectl("port-forward", "--address=127.0.0.1", *options, target, f":{port}")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            address = _address(process)
            if address is None:
                raise _failure(process, cluster, target, namespace)
            yield address
        finally:
            process.terminate()


def _address(process: subprocess.Popen[bytes]) -> str | None:
    """Wait until kubectl prints where it listens; None if it does not."""
    text = b""
    for chunk in _chunks(process):
        text += chunk
        if match := _FORWARDING.search(text.decode(errors="replace")):
            return match[1]
    return None


def _failure(process: subprocess.Popen[bytes], cluster: KubeContext, target: str, namespace: str) -> SdkError:
    """Why there is no port: the API server's error for the target, or else the last line that kubectl printed."""
    if process.poll() is None:
        return UnreachableError(f"{target} cannot be reached within {READY_SECONDS} s; does it have a ready pod?")
    kind, _, name = target.partition("/")
    try:
        KubernetesClient(cluster).get(PODS if kind == "pod" else CHILDREN[Kind.SERVICE], name, namespace)
    except SdkError as error:
        return error
    assert process.stderr is not None  # noqa: S101 - it was opened as a pipe above.
    lines = process.stderr.read().decode(errors="replace").strip().splitlines()
    return UnreachableError(f"kubectl port-forward {target}: {lines[-1] if lines else 'it ended without a message'}")


def _chunks(process: subprocess.Popen[bytes]) -> Iterator[bytes]:
    """Yield the output of kubectl until it ends or the time expires; a plain read could block indefinitely."""
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
