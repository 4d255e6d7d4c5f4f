"""The real Cluster: server-side apply and friends over `ApiClient`.

The reconciler calls it through the protocol in `cluster.protocol`. A write gets no more time than the Lease is surely
ours (`time_left`), so that none of a process that loses it lands after its successor has begun.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec
import orjson

from triton_operator.api.names import KIND, LABEL_DEPLOYMENT, MANAGER
from triton_operator.cluster.client import understood
from triton_operator.cluster.deployment_projection import project_deployment
from triton_operator.cluster.errors import ConflictError, InvalidObjectError, NotFoundError, UnavailableError
from triton_operator.cluster.event_objects import build_event, read_events
from triton_operator.cluster.exchange import WITHIN
from triton_operator.cluster.listing import list_all
from triton_operator.cluster.observed import KINDS, Kind
from triton_operator.cluster.projection import identify, project_child
from triton_operator.cluster.projector import Projector
from triton_operator.cluster.replacement import has_update_entries, replacement, without_update_entries
from triton_operator.cluster.replica_sets import mounted
from triton_operator.cluster.resource_paths import CHILDREN, EVENTS, MODEL_DEPLOYMENTS, REPLICA_SETS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from triton_operator.api.status import Status
    from triton_operator.cluster.client import ApiClient
    from triton_operator.cluster.observed import Child, PodEvent
    from triton_operator.cluster.protocol import Manifest

APPLY = "application/apply-patch+yaml"
JSON_PATCH = "application/json-patch+json"
_NEVER_STORED = "1"
"""A resourceVersion no object can have: an apply with it creates, or meets a Conflict, and never takes over."""


_decode_object = msgspec.json.Decoder(dict[str, Any]).decode


def _utc_now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class HttpCluster:
    """Reads and writes through one API client; `instance` names this process in Events."""

    def __init__(
        self,
        client: ApiClient,
        *,
        instance: str,
        time_left: Callable[[], float] = lambda: math.inf,
        now: Callable[[], str] = _utc_now,
        projector: Projector | None = None,
    ) -> None:
        self._client = client
        self._instance = instance
        self._time_left = time_left
        self._now = now
        self._projector = projector or Projector()

    async def create(self, manifest: Manifest) -> Child:
        """Server-side apply that succeeds only when nothing of that name exists; raises ConflictError otherwise.

        An apply rather than a POST: after a POST the fields belong to an `Update` entry too, and a field that a
        later apply drops would stay.
        """
        return self._project(*await self._apply(manifest, {"resourceVersion": _NEVER_STORED}, MANAGER))

    async def apply(self, manifest: Manifest, *, uid: str, manager: str = MANAGER) -> Child:
        """Forced server-side apply on the object with this uid; raises ConflictError when it is another one by now."""
        return self._project(*await self._apply(manifest, {"uid": uid}, manager))

    async def replace(self, manifest: Manifest, *, uid: str) -> Child:
        """Put the manifest's content in place of the object's, so that foreign additions go.

        Two requests when somebody only added; five when fields of ours were changed too, because then ownership
        has to be brought back to our apply entry. Raises ConflictError when the object changed meanwhile.
        """
        kind, path = _address(manifest)
        live = _loads(await self._client.request("GET", path, kind=kind))
        if live["metadata"]["uid"] != uid:
            raise ConflictError(
                f"{kind} {live['metadata']['name']} is another object by now", status=HTTPStatus.CONFLICT
            )
        answer = await self._put(manifest, replacement(live, manifest))
        if has_update_entries(_loads(answer)):
            _, answer = await self._apply(manifest, {"uid": uid}, MANAGER)
            answer = await self._put(manifest, without_update_entries(_loads(answer)))
        return self._project(kind, answer)

    async def delete(self, kind: Kind, namespace: str, name: str, *, uid: str) -> None:
        """Delete this very object; one that is gone already is fine."""
        # A Job stays until its pods are gone, so that the next one never writes beside them.
        propagation = "Foreground" if kind is Kind.JOB else "Background"
        options = {"preconditions": {"uid": uid}, "propagationPolicy": propagation}
        try:
            await self._write("DELETE", CHILDREN[kind].path(namespace, name), kind=kind, body=orjson.dumps(options))
        except (NotFoundError, ConflictError):  # Conflict: a namesake has that name by now
            return

    async def get(self, kind: Kind, namespace: str, name: str) -> Child | None:
        """The live object, past all caches."""
        try:
            answer = await self._client.request("GET", CHILDREN[kind].path(namespace, name), kind=kind)
        except NotFoundError:
            return None
        # Not by the projector: an object that lost our label is told of as it was before, under its new version.
        return understood(partial(project_child, kind), answer)

    async def write_status(self, namespace: str, name: str, uid: str, status: Status) -> dict[str, Any]:
        """Write the whole status of a ModelDeployment; fields that are absent now are removed.

        Returns the whole object as it is stored now, as far as it is read (`deployment_projection`).
        A JSON patch, because an apply to /status of a custom resource does not look at the uid (Kubernetes 1.36):
        it would write the status of a dead object into its namesake.
        """
        path = MODEL_DEPLOYMENTS.path(namespace, name, "status")
        said = {field: value for field, value in msgspec.to_builtins(status).items() if value is not None}
        patch = [{"op": "test", "path": "/metadata/uid", "value": uid}, {"op": "add", "path": "/status", "value": said}]
        try:
            answer = await self._write(
                "PATCH", path, kind=f"{KIND}/status", body=orjson.dumps(patch), content_type=JSON_PATCH
            )
        except InvalidObjectError:
            await self._check_uid(namespace, name, uid)
            raise
        return understood(_decode_deployment, answer)

    async def pod_events(self, namespace: str, pod_uid: str) -> Sequence[PodEvent]:
        """Events about one pod, oldest first."""
        listing = await list_all(self._client, EVENTS, namespace, {"fieldSelector": f"regarding.uid={pod_uid}"})
        return read_events(listing.items)

    async def mounted(self, namespace: str, deployment: str) -> frozenset[tuple[Kind, str]]:
        """ConfigMaps and claims that ReplicaSets of this deployment still mount."""
        selector = {"labelSelector": f"{LABEL_DEPLOYMENT}={deployment}"}
        return mounted((await list_all(self._client, REPLICA_SETS, namespace, selector)).items)

    async def post_event(
        self,
        namespace: str,
        name: str,
        uid: str,
        *,
        type: str,  # noqa: A002 - the protocol's name, as in the API
        reason: str,
        message: str,
        action: str,
    ) -> None:
        """Record an Event about a ModelDeployment (events.k8s.io/v1)."""
        said = {"type": type, "reason": reason, "action": action}
        seen = {"eventTime": self._now(), "reportingInstance": self._instance}
        event = build_event(namespace, name, uid, note=message, **said, **seen)
        await self._write("POST", EVENTS.path(namespace), kind=EVENTS.kind, body=orjson.dumps(event))

    async def _check_uid(self, namespace: str, name: str, uid: str) -> None:
        """Raise Conflict when the ModelDeployment is another one: a failed test of a patch looks like bad content."""
        live = await self._client.request("GET", MODEL_DEPLOYMENTS.path(namespace, name), kind=KIND)
        if understood(identify, live).uid != uid:
            raise ConflictError("the ModelDeployment is another object by now", status=HTTPStatus.CONFLICT)

    def _project(self, kind: Kind, answer: bytes) -> Child:
        return understood(partial(self._projector.project, kind), answer)

    async def _apply(self, manifest: Manifest, identity: dict[str, str], manager: str) -> tuple[Kind, bytes]:
        kind, path = _address(manifest)
        metadata = manifest["metadata"]
        body = {**manifest, "metadata": {**metadata, **identity}}
        with self._projector.writing(kind, metadata["namespace"], metadata["name"]):
            return kind, await self._write(
                "PATCH",
                path,
                kind=kind,
                query={"fieldManager": manager, "force": "true"},
                body=orjson.dumps(body),
                content_type=APPLY,
            )

    async def _put(self, manifest: Manifest, body: dict[str, Any]) -> bytes:
        kind, path = _address(manifest)
        return await self._write("PUT", path, kind=kind, query={"fieldManager": MANAGER}, body=orjson.dumps(body))

    async def _write(self, method: str, path: str, *, kind: str, body: bytes, **options: Any) -> bytes:
        left = self._time_left()
        if left <= 0:
            raise UnavailableError("the Lease is not surely ours any more")
        return await self._client.request(method, path, kind=kind, body=body, within=min(left, WITHIN), **options)


def _loads(answer: bytes) -> dict[str, Any]:
    return understood(_decode_object, answer)


def _decode_deployment(answer: bytes) -> dict[str, Any]:
    stored: dict[str, Any] = orjson.loads(project_deployment(answer))
    return stored


def _address(manifest: Manifest) -> tuple[Kind, str]:
    kind = KINDS[manifest["kind"]]
    return kind, CHILDREN[kind].path(manifest["metadata"]["namespace"], manifest["metadata"]["name"])
