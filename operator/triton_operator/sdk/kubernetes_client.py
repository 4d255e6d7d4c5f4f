"""The client for the API server outside the operator: the SDK, `tritonctl` and the demo use this one.

Input: resources, names, manifests. Output: objects as JSON, or lines of a log. Every failure is an SdkError.

Requests are built by path and sent through `ApiClient.call_api` of the official `kubernetes` package. Its classes for
each API group would load 600 models, and would lose fields that they do not know.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator, Mapping
from importlib import import_module
from typing import Any
from urllib.parse import quote, urlencode

from triton_operator.cluster.resource_paths import PODS, Resource
from triton_operator.sdk.cluster_config import open_api
from triton_operator.sdk.cluster_objects import Event, LogOptions, Object, ObjectList, Selection
from triton_operator.sdk.cluster_responses import (
    CHUNK,
    converted_errors,
    decode,
    items_of,
    metadata_of,
    read_body,
    split_lines,
)
from triton_operator.sdk.errors import InvalidRequestError, UnreachableError
from triton_operator.sdk.kube_context import KubeContext
from triton_operator.sdk.stop import Stop
from triton_operator.sdk.stoppable_connections import ended_by, make_stoppable

REQUEST_SECONDS = 20.0
"""Timeout of one request; over a slow link, a list of a few hundred pods takes some seconds."""
_CONNECT_SECONDS = 5.0
_WATCH_SECONDS = 300.0
_PAGE = 500
_MOST_PAGES = 10_000
_BODY_TIMEOUTS = 3
"""How long a response may take, as a multiple of the timeout."""
_FIRST_ERROR = 400


class KubernetesClient:
    """One cluster; threads may share it. It connects when it is first used."""

    def __init__(self, cluster: KubeContext | None = None, *, timeout: float | None = None) -> None:
        self._cluster = cluster or KubeContext()
        self._timeout = timeout or REQUEST_SECONDS
        self._opening = threading.Lock()
        self._api: Any = None
        self._namespace = ""

    @property
    def namespace(self) -> str:
        """The default namespace: the pod's own, or that of the kubeconfig's context."""
        _ = self._opened
        return self._namespace

    @property
    def server(self) -> str:
        """The URL of the API server."""
        return str(self._opened.configuration.host)

    def get(self, resource: Resource, name: str, namespace: str | None = "") -> Object:
        """Return one object; raises DeploymentNotFoundError, RejectedError, UnreachableError, as all methods do."""
        return self.get_path(self.path(resource, namespace, name))

    def get_path(self, path: str, query: Mapping[str, str] | None = None) -> Object:
        """Return the API server's response for a path, such as `/version`."""
        return self._json("GET", path, query or {})

    def list(self, selection: Selection) -> ObjectList:
        """Return the selected objects, page by page; each with its kind, which a list omits."""
        path = self.path(selection.resource, selection.namespace)
        query = {**selection.query(), "limit": str(_PAGE)}
        items: list[Object] = []
        seen: set[str] = set()
        while True:
            page = self.get_path(path, query)
            metadata = metadata_of(page)
            items += items_of(page, path)
            following = str(metadata.get("continue") or "")
            if not following:
                break
            if following in seen or len(seen) > _MOST_PAGES:
                raise UnreachableError(f"the list of {path} has no end: is this an API server?")
            seen.add(following)
            query["continue"] = following
        kind = {"apiVersion": selection.resource.api_version, "kind": selection.resource.kind}
        return ObjectList([{**kind, **item} for item in items], str(metadata.get("resourceVersion", "")))

    def apply(
        self, resource: Resource, manifest: Object, namespace: str | None = "", *, manager: str, force: bool = False
    ) -> Object:
        """Apply on the server; `force` takes over fields that another manager owns.

        Raises InvalidRequestError if the schema rejects it.
        """
        query = {"fieldManager": manager, "force": str(force).lower(), "fieldValidation": "Strict"}
        path = self.path(resource, namespace, manifest["metadata"]["name"])
        return self._json("PATCH", path, query, manifest, content="application/apply-patch+yaml")

    def change(
        self,
        resource: Resource,
        name: str,
        changes: Object,
        namespace: str | None = "",
        *,
        manager: str,
        dry_run: bool = False,
    ) -> Object:
        """Set fields of an existing object (a JSON merge patch); other fields remain.

        With `dry_run`, the API server only checks the change. Raises InvalidRequestError if the schema rejects it.
        """
        query = {"fieldManager": manager, "fieldValidation": "Strict", **({"dryRun": "All"} if dry_run else {})}
        path = self.path(resource, namespace, name)
        return self._json("PATCH", path, query, changes, content="application/merge-patch+json")

    def create(self, path: str, body: Object) -> Object:
        """Post an object, for example a SelfSubjectAccessReview, and return the response."""
        return self._json("POST", path, {}, body)

    def delete(self, resource: Resource, name: str, namespace: str | None = "", *, uid: str) -> None:
        """Delete the object with this uid; Kubernetes deletes what it owns."""
        self._json("DELETE", self.path(resource, namespace, name), {}, {"preconditions": {"uid": uid}})

    def watch(self, selection: Selection, version: str, *, seconds: float, stop: Stop) -> Generator[Event]:
        """Yield changes since `version`, until the time expires, `stop` ends it, or the server closes it."""
        seconds = min(seconds, _WATCH_SECONDS)
        query = {
            **selection.query(),
            "watch": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(max(1, round(seconds))),
        }
        path, end = self.path(selection.resource, selection.namespace), time.monotonic() + seconds
        for line in self._lines(path, query, stop, read_seconds=seconds + 1):
            if time.monotonic() > end:  # A server that sends without a pause keeps every read below its timeout.
                return
            event = decode(line, path)
            changed = event.get("object")
            yield Event(str(event.get("type", "")), changed if isinstance(changed, dict) else {})

    def log(
        self, pod: str, container: str, namespace: str, options: LogOptions, stop: Stop | None = None
    ) -> Generator[str]:
        """Yield the lines of a container's log; with `follow`, until the container or `stop` ends it."""
        path = self.path(PODS, namespace, pod) + "/log"
        query = {"container": container, **options.query()}
        read_seconds = None if options.follow else self._timeout
        for line in self._lines(path, query, stop or Stop(), read_seconds=read_seconds):
            yield line.decode(errors="replace")

    def path(self, resource: Resource, namespace: str | None, name: str | None = None, subresource: str = "") -> str:
        """Return the path of the object with this name, or without one, of all objects."""
        chosen = self.namespace if namespace == "" else namespace
        return resource.path(
            None if chosen is None else _path_segment("namespace", chosen),
            "" if name is None else _path_segment("name", name),
            subresource,
        )

    def _json(
        self, method: str, path: str, query: Mapping[str, str], body: Object | None = None, *, content: str = ""
    ) -> Object:
        with converted_errors():
            response = self._send(method, path, query, body, content or "application/json", read_seconds=self._timeout)
            return decode(read_body(response, _BODY_TIMEOUTS * self._timeout), path)

    def _lines(self, path: str, query: Mapping[str, str], stop: Stop, *, read_seconds: float | None) -> Iterator[bytes]:
        """Yield the lines of a response that may stay open."""
        with converted_errors(stop):
            with ended_by(stop):
                sent = self._send("GET", path, query, None, "application/json", read_seconds=read_seconds)
            opened = sent.response
            try:
                with stop.ends(opened.shutdown):
                    yield from split_lines(opened.stream(CHUNK, decode_content=True))
            finally:
                opened.close()

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Object | None,
        content: str,
        *,
        read_seconds: float | None,
    ) -> Any:
        """Send a request; retry if the response has a Retry-After header and there is time."""
        from kubernetes.client.exceptions import ApiException
        from urllib3.exceptions import MaxRetryError, ProtocolError

        retry: Any = import_module("kubernetes.utils.retry")

        deadline = time.monotonic() + self._timeout
        api = self._opened

        def send() -> Any:
            request = api.param_serialize(
                method,
                path + (f"?{urlencode(query)}" if query else ""),
                header_params={"Accept": "application/json, */*", "Content-Type": content},
                body=body,
                auth_settings=["BearerToken"],
            )
            connect = min(_CONNECT_SECONDS, self._timeout)
            seconds = (connect, read_seconds)
            try:
                response = api.call_api(*request, _request_timeout=seconds)
            except MaxRetryError as error:  # Of a GET; what changes something is not sent twice.
                if not isinstance(error.reason, ProtocolError):
                    raise
                response = api.call_api(*request, _request_timeout=seconds)  # The server closed an idle connection.
            if response.status < _FIRST_ERROR:
                return response
            read_body(response, self._timeout)
            raise ApiException(http_resp=response)

        def is_in_time(error: Exception) -> bool:
            try:
                seconds = retry.retry_after_seconds(error)
            except (OverflowError, ValueError):  # The number has hundreds of digits.
                return False
            return (
                seconds is not None and retry.is_retry_after_response(error) and time.monotonic() + seconds < deadline
            )

        return retry.on_retry_after_error(retry.DEFAULT_RETRY_AFTER_BACKOFF, is_in_time, send)

    @property
    def _opened(self) -> Any:
        with self._opening:
            if self._api is None:
                api, self._namespace = open_api(self._cluster)
                make_stoppable(api.rest_client.pool_manager)
                self._api = api
            return self._api


def _path_segment(field: str, name: str) -> str:
    """Return the name as a part of a path; raises InvalidRequestError if it would lead to another object.

    The rule is `IsValidPathSegmentName` of k8s.io/apimachinery, which kubectl applies too.
    """
    if name in {"", ".", ".."} or not {"/", "%"}.isdisjoint(name):
        raise InvalidRequestError(field, f"{name!r} is not a valid name")
    return quote(name, safe=":")
