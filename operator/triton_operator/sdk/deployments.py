"""ModelDeployments in a cluster: applied, read, followed and deleted through the official `kubernetes` client.

Input: manifests and names. Output: objects as JSON. The clients and `tritonctl deploy` call it; each call blocks.
Inside a pod the pod's own account is used, unless another cluster is meant (as `sdk.address` judges it); else the
kubeconfig. The package is imported when a cluster is first asked: it takes half a second and 50 MB.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Generator
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from triton_operator.api.names import GROUP, PLURAL, VERSION
from triton_operator.sdk.address import is_inside
from triton_operator.sdk.cluster_errors import explain_config, explain_refusal, explain_transport
from triton_operator.sdk.errors import DeploymentNotFoundError
from triton_operator.sdk.kubectl import Kubectl
from triton_operator.sdk.manifest import Manifest

T = TypeVar("T")

FIELD_MANAGER = "triton-operator-sdk"
"""Who owns the fields that the SDK applies; `tritonctl` is its own manager."""

REQUEST_SECONDS = 30.0
_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.25, 5.0
_USUAL_WATCH_SECONDS = 5.0
"""A watch that ends sooner did not work: an API server closes one after minutes."""
_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_GONE = 410


class Stop:
    """Ends a `follow` from another thread: the read that waits for the next event returns at once."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._watch: Any = None

    def now(self) -> None:
        """End it."""
        self._asked.set()
        if self._watch is not None:
            self._watch.stop()

    @property
    def asked(self) -> bool:
        """Whether it is to end."""
        return self._asked.is_set()

    def pause(self, seconds: float) -> None:
        """Wait, but not after the end."""
        self._asked.wait(seconds)

    def watch(self) -> Any:
        """A watch that ends with this."""
        kubernetes: Any = import_module("kubernetes.watch")
        self._watch = kubernetes.Watch()
        return self._watch


class Deployments:
    """The ModelDeployments of a cluster; threads may share one. Every method raises our errors only."""

    def __init__(self, kubectl: Kubectl | None = None, *, manager: str = FIELD_MANAGER) -> None:
        self._choice = kubectl or Kubectl()
        self._manager = manager
        self._opening = threading.Lock()
        self._api: Any = None
        self._namespace = ""

    def apply(self, manifest: Manifest, namespace: str = "", *, force: bool = False) -> Manifest:
        """Apply on the server's side; `force` takes fields over that another manager owns.

        Raises InvalidRequestError where the schema refuses it, RejectedError, UnreachableError.
        """
        place = namespace or manifest["metadata"].get("namespace", "") or self.namespace
        name = manifest["metadata"]["name"]
        answer = self._ask(
            lambda api: api.patch_namespaced_custom_object(
                GROUP, VERSION, place, PLURAL, name, manifest,
                field_manager=self._manager, force=force, field_validation="Strict",
                _content_type="application/apply-patch+yaml", _request_timeout=REQUEST_SECONDS,
            )
        )  # fmt: skip
        return answer or self.read(name, place)  # The package reads no answer of status 201: created.

    def read(self, name: str, namespace: str = "") -> Manifest:
        """Return the object; raises DeploymentNotFoundError, RejectedError, UnreachableError."""
        place = namespace or self.namespace
        return self._ask(
            lambda api: api.get_namespaced_custom_object(
                GROUP, VERSION, place, PLURAL, name, _request_timeout=REQUEST_SECONDS
            )
        )

    def delete(self, name: str, namespace: str = "") -> None:
        """Delete the current object; Kubernetes deletes what it owns. Raises DeploymentNotFoundError."""
        found = self.read(name, namespace)["metadata"]
        self._ask(
            lambda api: api.delete_namespaced_custom_object(
                GROUP, VERSION, found["namespace"], PLURAL, name,
                body={"preconditions": {"uid": found["uid"]}}, _request_timeout=REQUEST_SECONDS,
            )
        )  # fmt: skip

    def follow(
        self, name: str, namespace: str = "", *, seconds: float, stop: Stop | None = None
    ) -> Generator[Manifest]:
        """Yield the object now and after each change, for `seconds`; raises DeploymentNotFoundError once it is gone."""
        stop = stop or Stop()
        end = time.monotonic() + seconds
        pause = _PAUSE_SECONDS
        while (left := end - time.monotonic()) > 0 and not stop.asked:
            found = self.read(name, namespace)
            yield found
            started = time.monotonic()
            yield from self._watch(found["metadata"], left, stop)
            if time.monotonic() - started > _USUAL_WATCH_SECONDS:
                pause = _PAUSE_SECONDS
                continue
            stop.pause(max(0.0, min(pause, end - time.monotonic())))
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def _watch(self, metadata: Manifest, seconds: float, stop: Stop) -> Generator[Manifest]:
        """One watch from what was read; it ends when its time is over, or when the server ends it."""
        import urllib3.exceptions
        from kubernetes.client.exceptions import ApiException

        watch = stop.watch()
        events = watch.stream(
            self._opened.list_namespaced_custom_object, GROUP, VERSION, metadata["namespace"], PLURAL,
            field_selector=f"metadata.name={metadata['name']}", resource_version=metadata["resourceVersion"],
            timeout_seconds=max(1, round(seconds)), _request_timeout=(REQUEST_SECONDS, seconds + 1),
        )  # fmt: skip
        try:
            for event in events:
                found: Manifest = event["object"]
                if found["metadata"]["name"] != metadata["name"]:
                    continue
                if event["type"] == "DELETED":
                    raise DeploymentNotFoundError(f'modeldeployments "{metadata["name"]}" was deleted meanwhile')
                yield found
        except ApiException as error:
            if error.status != _GONE:  # Too old to go on from: it is read again.
                raise explain_refusal(error) from error
        except (urllib3.exceptions.HTTPError, OSError):
            return  # Broken off, or ended by us: reading it again tells whether the cluster is there.
        finally:
            events.close()

    @property
    def namespace(self) -> str:
        """The namespace that is meant where none is named: the pod's, else the context's."""
        _ = self._opened
        return self._namespace

    @property
    def _opened(self) -> Any:
        with self._opening:
            if self._api is None:
                self._api, self._namespace = _open(self._choice)
            return self._api

    def _ask(self, call: Callable[[Any], T]) -> T:
        """Call the API; every failure becomes one of our errors."""
        import urllib3.exceptions
        from kubernetes.client.exceptions import ApiException

        try:
            return call(self._opened)
        except ApiException as error:
            raise explain_refusal(error) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise explain_transport(error) from error


def _open(choice: Kubectl) -> tuple[Any, str]:
    """The API and the namespace of the cluster that is meant; raises UnreachableError."""
    try:
        client: Any = import_module("kubernetes.client")
        config: Any = import_module("kubernetes.config")
    except ImportError as error:
        raise explain_config(error) from error
    settings = client.Configuration()
    try:
        if is_inside(os.environ, choice):
            config.load_incluster_config(client_configuration=settings)
            namespace = _NAMESPACE_FILE.read_text().strip()
        else:
            # The package has read KUBECONFIG when it was imported, and would not see a later value.
            file = choice.kubeconfig or os.environ.get("KUBECONFIG") or None
            context = choice.context or None
            config.load_kube_config(file, context, client_configuration=settings, persist_config=False)
            contexts, active = config.list_kube_config_contexts(file)
            chosen = next((each for each in contexts if each["name"] == context), active)
            namespace = chosen["context"].get("namespace") or "default"
    except (config.ConfigException, OSError) as error:
        raise explain_config(error) from error
    return client.CustomObjectsApi(client.ApiClient(settings)), namespace
