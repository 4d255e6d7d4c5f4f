"""Access to a cluster for tests: apply, read and wait. Every wait has a time limit and reports the last observed value.

Writes go through kubectl, as a user's do. Reads go through one connection, because tests poll: each start of kubectl
uses 0.1 s of a core that the cluster needs too.
"""

from __future__ import annotations

import copy
import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from tests.api_resources import ApiResources
from triton_operator.sdk.cluster_objects import Selection
from triton_operator.sdk.errors import DeploymentNotFoundError
from triton_operator.sdk.kube_context import KubeContext
from triton_operator.sdk.kubernetes_client import KubernetesClient

T = TypeVar("T")
Object = dict[str, Any]


class KubectlError(Exception):
    """kubectl failed; the message is its output."""


class Kube:
    """One namespace of a cluster."""

    def __init__(self, kubectl: Path, kubeconfig: Path, namespace: str) -> None:
        self.namespace = namespace
        self._command = [str(kubectl), f"--kubeconfig={kubeconfig}"]
        self._client = KubernetesClient(KubeContext(str(kubeconfig)))
        self._poll_seconds = 0.25
        self._resources = ApiResources(self._client.get_path)

    def beside(self, namespace: str) -> Kube:
        """Another namespace of the same cluster."""
        other = copy.copy(self)
        other.namespace = namespace
        return other

    def polling(self, seconds: float) -> Kube:
        """The same namespace, with this interval between two polls."""
        other = copy.copy(self)
        other._poll_seconds = seconds
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
        found = self._resources.find(kind)
        try:
            return self._client.get(found.resource, name, self.namespace if found.namespaced else None)
        except DeploymentNotFoundError:
            return None

    def list(self, kinds: str, selector: str = "") -> list[Object]:
        """All objects in the namespace of one kind or, separated by commas, of several."""
        found: list[Object] = []
        for kind in kinds.split(","):
            resource, namespaced = self._resources.find(kind)
            namespace = self.namespace if namespaced else None
            found += self._client.list(Selection(resource, namespace, labels=selector)).items
        return found

    def patch(self, kind: str, name: str, change: Object, *, subresource: str = "") -> None:
        """Apply a merge patch."""
        options = [f"--subresource={subresource}"] if subresource else []
        self.run("patch", kind, name, "--type=merge", "-p", json.dumps(change), *options)

    def delete(self, kind: str, name: str, *, wait: bool = True) -> None:
        """Delete an object, if it exists."""
        self.run("delete", kind, name, "--ignore-not-found", f"--wait={str(wait).lower()}")

    def delete_namespace(self) -> None:
        """Delete the namespace with all its objects; the next tests need not wait until it is gone.

        From then on, no new pods are admitted. The existing ones are killed, because there are no more requests.
        """
        self.run("delete", "namespace", self.namespace, "--wait=false", namespaced=False)
        self.run("delete", "pods", "--all", "--grace-period=0", "--force", "--wait=false")

    def wait_for_deletion(self) -> None:
        """Wait until the namespace is gone if an earlier run is deleting it."""

        def is_gone_or_stays() -> bool:
            found = self.get("namespace", self.namespace)
            return found is None or "deletionTimestamp" not in found["metadata"]

        self.wait(is_gone_or_stays, f"the earlier namespace {self.namespace} is deleted")

    def wait(self, look: Callable[[], T | None], what: str, seconds: float = 180) -> T:
        """Poll `look` until its result is true, and return it; fails after `seconds` with the description `what`."""
        deadline = time.monotonic() + seconds
        while True:
            result = look()
            if result:
                return result
            assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}; last seen: {result!r}"
            time.sleep(self._poll_seconds)

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
        self._wait_condition(name, "Ready", lambda ready: ready["status"] == "True", "True", seconds)
        body = self.get("modeldeployment", name)
        assert body
        return body

    def wait_reason(
        self, name: str, reason: str, *, kind: str = "Ready", message: str = "", seconds: float = 180
    ) -> Object:
        """Wait until a condition is False with this reason and a message that contains `message`, and return it."""

        def accepts(condition: Object) -> bool:
            return condition["reason"] == reason and message in condition["message"]

        return self._wait_condition(name, kind, accepts, f"{reason} {message}".strip(), seconds)

    def _wait_condition(
        self, name: str, kind: str, accepts: Callable[[Object], bool], expected: str, seconds: float
    ) -> Object:
        last: Object | None = None

        def found() -> Object | None:
            nonlocal last
            last = self.condition(name, kind)
            return last if last and accepts(last) else None

        try:
            return self.wait(found, f"{kind} of {name} is {expected}", seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; it is {last}") from None
