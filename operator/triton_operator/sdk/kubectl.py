"""Reading objects and opening ports through the user's own kubectl.

Input: names of objects. Output: their JSON, or an address on loopback. The SDK outside a cluster and the CLI call it.
kubectl knows every kubeconfig, login program, proxy and impersonation that the user has set up, starts in 50 ms and is
there wherever the cluster is used by hand; the `kubernetes` package needs half a second and 50 MB to say the same.
Inside a cluster nothing here is needed: a Service's name is its address.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any

from triton_operator.api.names import GROUP, LABEL_DEPLOYMENT, PLURAL
from triton_operator.sdk.errors import DeploymentNotFoundError, RejectedError, SdkError, UnreachableError

Object = dict[str, Any]

_RESOURCE = f"{PLURAL}.{GROUP}"
_NO_CONNECTION = (
    "Unable to connect",
    "connection refused",
    "was refused",
    "no configuration has been provided",
    "no such host",
    "i/o timeout",
    "deadline exceeded",
    "You must be logged in",
    "Unauthorized",
    "context was not found",
    "does not exist",
    "stat ",
    "getting credentials",
)
_REQUEST_SECONDS = 20
"""For one request; kubectl alone would wait for ever where a link has died."""
_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.25, 8.0
_USUAL_WATCH_SECONDS = 5.0
"""A watch that ends sooner did not work: an API server closes one after minutes."""


@dataclass(frozen=True)
class Kubectl:
    """kubectl with the cluster it talks to; empty members leave the choice to kubectl (KUBECONFIG, its context)."""

    kubeconfig: str = ""
    context: str = ""

    def deployment(self, name: str, namespace: str = "") -> Object:
        """Return the ModelDeployment; raises DeploymentNotFoundError, RejectedError, UnreachableError."""
        found = self._json("get", _RESOURCE, name, *_in(namespace))
        if "spec" not in found:
            raise UnreachableError(f"kubectl gave no ModelDeployment, but {found.get('kind', 'something')}")
        return found

    def pods(self, deployment: str, namespace: str = "") -> list[Object]:
        """Return the pods of a ModelDeployment: those that serve, and those of its cache's Job."""
        selector = f"{LABEL_DEPLOYMENT}={deployment}"
        items: list[Object] = self._json("get", "pods", "-l", selector, *_in(namespace))["items"]
        return items

    def follow(self, name: str, namespace: str = "", *, seconds: float) -> Generator[Object]:
        """Yield the ModelDeployment now and after every change, for at most so many seconds.

        Where watching is not allowed or breaks off at once, it is read again, at ever longer intervals.
        """
        end = time.monotonic() + seconds
        pause = _PAUSE_SECONDS
        while (left := end - time.monotonic()) > 0:
            yield self.deployment(name, namespace)
            started = time.monotonic()
            yield from self._watch(name, namespace, left)
            if time.monotonic() - started > _USUAL_WATCH_SECONDS:
                pause = _PAUSE_SECONDS
                continue
            time.sleep(max(0.0, min(pause, end - time.monotonic())))
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def _watch(self, name: str, namespace: str, seconds: float) -> Generator[Object]:
        """One watch; it ends when its time is over, or earlier when the API server closes it."""
        timeout = f"--request-timeout={max(1, round(seconds))}s"
        command = self.command("get", _RESOURCE, name, *_in(namespace), "--watch", "-o", "json", timeout)
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            try:
                yield from _documents(process)
            finally:
                process.terminate()

    def _json(self, *arguments: str) -> Object:
        command = self.command(*arguments, "-o", "json", f"--request-timeout={_REQUEST_SECONDS}s")
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise explain(done.stderr)
        try:
            answer = json.loads(done.stdout)
        except json.JSONDecodeError:
            answer = None
        if not isinstance(answer, dict):  # A login page of a proxy, for example.
            raise UnreachableError(f"kubectl gave no object, but {done.stdout[:80]!r}")
        return answer

    def command(self, *arguments: str) -> list[str]:
        """Return the whole command line; raises UnreachableError where there is no kubectl."""
        program = shutil.which("kubectl")
        if program is None:
            raise UnreachableError(
                "kubectl is not on PATH, and it is what reaches the cluster from here. Install it "
                "(https://kubernetes.io/docs/tasks/tools), or give the server's address with --url."
            )
        options = [*(["--kubeconfig", self.kubeconfig] if self.kubeconfig else [])]
        options += ["--context", self.context] if self.context else []
        return [program, *options, *arguments]


def is_inside(environ: Mapping[str, str], cluster: Kubectl) -> bool:
    """Whether this program runs in a pod, and that pod's cluster is meant."""
    other = cluster.kubeconfig or cluster.context or environ.get("KUBECONFIG")
    return "KUBERNETES_SERVICE_HOST" in environ and not other


def explain(stderr: str) -> SdkError:
    """Turn what kubectl wrote into one of our errors, with what to do about it."""
    lines = [
        line for line in stderr.strip().splitlines() if not line.startswith(("E", "W", "I")) or ":" not in line[:6]
    ]
    said = (lines or stderr.strip().splitlines() or ["kubectl said nothing"])[-1].removeprefix("error: ")
    if "(NotFound)" in said:
        return DeploymentNotFoundError(
            f"{said.split('(NotFound): ')[-1]}; `kubectl get {PLURAL} -A` lists what there is"
        )
    if "doesn't have a resource type" in said:
        return DeploymentNotFoundError(
            f"this cluster does not know {PLURAL}: install the chart charts/triton-operator first"
        )
    if "(Forbidden)" in said:
        return RejectedError(said.split("(Forbidden): ")[-1])
    if any(sign in said for sign in _NO_CONNECTION):
        return UnreachableError(f"{said} (kubectl; check KUBECONFIG, --kubeconfig and --context)")
    return SdkError(f"kubectl: {said}")


def _documents(process: subprocess.Popen[str]) -> Generator[Object]:
    """Split kubectl's stream of indented JSON objects: each ends with a brace in the first column."""
    text = ""
    for line in process.stdout or ():
        text += line
        if line.startswith("}"):
            yield json.loads(text)
            text = ""


def _in(namespace: str) -> list[str]:
    return ["--namespace", namespace] if namespace else []
