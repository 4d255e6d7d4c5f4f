"""Run kubectl from tests: apply, read and wait. Every wait has a time limit and reports the last observed value."""

from __future__ import annotations

import copy
import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
Object = dict[str, Any]

_POLL_SECONDS = 0.5
"""Interval between two polls. Each starts kubectl, which uses 0.1 s of a core that the cluster needs too."""


class KubectlError(Exception):
    """kubectl failed; the message is its output."""


class Kube:
    """One namespace of a cluster, accessed with kubectl."""

    def __init__(self, kubectl: Path, kubeconfig: Path, namespace: str) -> None:
        self.namespace = namespace
        self._command = [str(kubectl), f"--kubeconfig={kubeconfig}"]

    def beside(self, namespace: str) -> Kube:
        """Another namespace of the same cluster."""
        other = copy.copy(self)
        other.namespace = namespace
        return other

    def run(self, *arguments: str, stdin: str | None = None, namespaced: bool = True) -> str:
        """Run kubectl and return its output. Raises KubectlError."""
        scope = [f"--namespace={self.namespace}"] if namespaced else []
        done = subprocess.run(
            [*self._command, *scope, *arguments], input=stdin, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise KubectlError(done.stderr.strip())
        return done.stdout

    def apply(self, *manifests: Object) -> None:
        """Kubectl apply."""
        self.run("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests}))

    def get(self, kind: str, name: str) -> Object | None:
        """The object, or None if it does not exist."""
        text = self.run("get", kind, name, "-o", "json", "--ignore-not-found")
        result: Object | None = json.loads(text) if text else None
        return result

    def list(self, kind: str, selector: str = "") -> list[Object]:
        """All objects of a kind in the namespace."""
        chosen = ["-l", selector] if selector else []
        items: list[Object] = json.loads(self.run("get", kind, *chosen, "-o", "json"))["items"]
        return items

    def patch(self, kind: str, name: str, change: Object, *, subresource: str = "") -> None:
        """Apply a merge patch."""
        options = [f"--subresource={subresource}"] if subresource else []
        self.run("patch", kind, name, "--type=merge", "-p", json.dumps(change), *options)

    def delete(self, kind: str, name: str, *, wait: bool = True) -> None:
        """Delete an object, if it exists."""
        self.run("delete", kind, name, "--ignore-not-found", f"--wait={str(wait).lower()}")

    def delete_namespace(self) -> None:
        """Delete the namespace, and wait until it is gone.

        Workloads and pods are deleted first, without a grace period, because there are no more requests. Otherwise, the
        namespace controller would wait for half of the pods' grace period before it checks again.
        """
        self.run("delete", "modeldeployments", "--all")
        for _ in range(2):  # A ReplicaSet that still exists may have created new pods.
            self.run("delete", "pods", "--all", "--grace-period=1")
        self.run("delete", "namespace", self.namespace, namespaced=False)

    def wait(self, look: Callable[[], T | None], what: str, seconds: float = 180) -> T:
        """Poll `look` until its result is true, and return it; fails after `seconds` with the description `what`."""
        deadline = time.monotonic() + seconds
        while True:
            result = look()
            if result:
                return result
            assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}; last seen: {result!r}"
            time.sleep(_POLL_SECONDS)

    def condition(self, name: str, kind: str = "Ready") -> Object | None:
        """A condition of a ModelDeployment, or None if it is not of the current generation."""
        body = self.get("modeldeployment", name)
        if body is None:
            return None
        for condition in body.get("status", {}).get("conditions", []):
            if condition["type"] == kind and condition.get("observedGeneration") == body["metadata"]["generation"]:
                result: Object = condition
                return result
        return None

    def wait_ready(self, name: str, seconds: float = 300) -> Object:
        """Wait for Ready=True of the current generation, and return the ModelDeployment."""
        try:
            self.run("wait", f"modeldeployment/{name}", "--for=condition=Ready", f"--timeout={seconds:.0f}s")
        except KubectlError as error:
            raise AssertionError(f"{name} is not Ready: {error}; it is {self.condition(name)}") from None
        body = self.get("modeldeployment", name)
        assert body
        return body

    def wait_reason(self, name: str, reason: str, *, kind: str = "Ready", seconds: float = 180) -> Object:
        """Wait until a condition is False with this reason, and return it."""
        last: list[Object | None] = [None]

        def found() -> Object | None:
            last[0] = self.condition(name, kind)
            return last[0] if last[0] and last[0]["reason"] == reason else None

        try:
            return self.wait(found, f"{kind} of {name} is {reason}", seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; it is {last[0]}") from None
