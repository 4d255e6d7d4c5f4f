"""The implementation of Cluster over `ApiClient`: server-side apply, replace, delete, status and Events.

The reconciler calls it through the protocol in `cluster.protocol`. The timeout of a write is the time for which the
Lease surely belongs to this process (`time_left`), so that no write of a former leader arrives after its successor has
started.
"""

from __future__ import annotations

import math
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec
import orjson

from triton_operator.api.names import KIND, LABEL_DEPLOYMENT, MANAGER
from triton_operator.cluster.autoscaler_projection import read_other
from triton_operator.cluster.client import decode_response
from triton_operator.cluster.deployment_projection import project_deployment
from triton_operator.cluster.errors import ConflictError, InvalidObjectError, NotFoundError, UnavailableError
from triton_operator.cluster.event_objects import build_event, read_events
from triton_operator.cluster.exchange import WITHIN
from triton_operator.cluster.listing import list_all, read_all
from triton_operator.cluster.observed import IMMUTABLE_KINDS, KINDS, Kind
from triton_operator.cluster.projection import identify, project_child
from triton_operator.cluster.projector import Projector
from triton_operator.cluster.replacement import has_update_entries, replacement, without_update_entries
from triton_operator.cluster.replica_sets import mounted
from triton_operator.cluster.resource_paths import CHILDREN, EVENTS, MODEL_DEPLOYMENTS, PODS, REPLICA_SETS
from triton_operator.cluster.shared_requests import SharedObjectRequests

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from triton_operator.api.status import Status
    from triton_operator.cluster.client import ApiClient
    from triton_operator.cluster.observed import Child, OtherAutoscaler, PodEvent
    from triton_operator.cluster.protocol import Manifest

APPLY = "application/apply-patch+yaml"
MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
_NEVER_STORED = "1"
"""A resourceVersion that no object can have: an apply with it creates the object or fails with a conflict."""


_decode_object = msgspec.json.Decoder(dict[str, Any]).decode


class _ConfigMapTexts(msgspec.Struct):
    """A ConfigMap without its binary data."""

    data: dict[str, str] | None = None


class _StoredData(msgspec.Struct):
    """The content of a ControllerRevision as the API server writes it."""

    data: msgspec.Raw


_decode_data = msgspec.json.Decoder(_StoredData).decode
_decode_texts = msgspec.json.Decoder(_ConfigMapTexts).decode


def _utc_now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class HttpCluster(SharedObjectRequests):
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
        """Server-side apply that succeeds only if no object has that name; raises ConflictError otherwise.

        Not a POST: after a POST the fields also belong to an `Update` entry, and a field that a later apply omits would
        stay.
        """
        return self._project(*await self._apply(manifest, {"resourceVersion": _NEVER_STORED}, MANAGER))

    async def apply(self, manifest: Manifest, *, uid: str, manager: str = MANAGER) -> Child:
        """Forced server-side apply to the object with this uid; raises ConflictError if its name has another uid."""
        return self._project(*await self._apply(manifest, {"uid": uid}, manager))

    async def adopt(self, manifest: Manifest, *, uid: str, resource_version: str) -> Child:
        """Replace the owners of an object and make the operator own its content; see the protocol.

        Its owners are removed first, because an apply cannot remove those that it has not set.
        """
        kind, path = _address(manifest)
        release = {"metadata": {"uid": uid, "resourceVersion": resource_version, "ownerReferences": None}}
        query = {"fieldManager": MANAGER}
        body = orjson.dumps(release)
        released = await self._write("PATCH", path, kind=kind, query=query, body=body, content_type=MERGE_PATCH)
        version = _loads(released)["metadata"]["resourceVersion"]
        _, response = await self._apply(manifest, {"uid": uid, "resourceVersion": version}, MANAGER)
        child = self._project(kind, response)
        if kind not in IMMUTABLE_KINDS and (child.has_foreign_fields or has_update_entries(_loads(response))):
            return await self.replace(manifest, uid=uid)
        return child

    async def preview(self, manifest: Manifest, live: Manifest) -> Manifest:
        """The object that `replace` would store over `live` if it had no owners; nothing is stored."""
        metadata = {key: value for key, value in live["metadata"].items() if key != "ownerReferences"}
        return _loads(await self._put(manifest, replacement({**live, "metadata": metadata}, manifest), dryRun="All"))

    async def replace(self, manifest: Manifest, *, uid: str) -> Child:
        """Replace the content of the object with the manifest's, which removes additions of others.

        Two requests if others only added fields; five if they changed the operator's too, because then ownership has to
        return to the operator's apply entry. Raises ConflictError if the object has changed meanwhile.
        """
        kind, path = _address(manifest)
        response = await self._client.request("GET", path, kind=kind)
        live = _loads(response)
        if live["metadata"]["uid"] != uid:
            raise ConflictError(
                f"{kind} {live['metadata']['name']} has been replaced by another object", status=HTTPStatus.CONFLICT
            )
        response = await self._put(manifest, _with_stored_data(kind, replacement(live, manifest), response))
        if has_update_entries(_loads(response)):
            _, response = await self._apply(manifest, {"uid": uid}, MANAGER)
            body = _with_stored_data(kind, without_update_entries(_loads(response)), response)
            response = await self._put(manifest, body)
        return self._project(kind, response)

    async def delete(self, kind: Kind, namespace: str, name: str, *, uid: str) -> None:
        """Delete the object with this uid, if it still exists."""
        # A Job stays until its pods are deleted, so that the next one never writes alongside them.
        propagation = "Foreground" if kind is Kind.JOB else "Background"
        options = {"preconditions": {"uid": uid}, "propagationPolicy": propagation}
        try:
            await self._write("DELETE", CHILDREN[kind].path(namespace, name), kind=kind, body=orjson.dumps(options))
        except (NotFoundError, ConflictError):  # conflict: another object has that name
            return

    async def get(self, kind: Kind, namespace: str, name: str) -> Child | None:
        """The live object, without any cache."""
        response = await self.read(kind, namespace, name)
        if response is None:
            return None
        # Not by the projector: for an object that lost the operator's label, the watch sends its old state with the new
        # version.
        return decode_response(partial(project_child, kind), response)

    async def read(self, kind: Kind, namespace: str, name: str) -> bytes | None:
        """The live object as JSON; see the protocol."""
        try:
            return await self._client.request("GET", CHILDREN[kind].path(namespace, name), kind=kind)
        except NotFoundError:
            return None

    async def read_account_uid(self, namespace: str, name: str) -> str | None:
        """The uid of a user's ServiceAccount; None if it does not exist."""
        account = await self.get(Kind.SERVICE_ACCOUNT, namespace, name)
        return account.uid if account else None

    async def read_config_map(self, namespace: str, name: str) -> dict[str, str] | None:
        """The texts in a user's ConfigMap by key; None if it does not exist."""
        response = await self.read(Kind.CONFIG_MAP, namespace, name)
        return None if response is None else decode_response(_decode_texts, response).data or {}

    async def annotate_pod(self, namespace: str, name: str, uid: str, annotations: dict[str, str]) -> None:
        """Set annotations of the pod with this uid, if it still exists."""
        patch = {"metadata": {"uid": uid, "annotations": annotations}}
        with suppress(NotFoundError, ConflictError):  # conflict: another pod has that name
            await self._write(
                "PATCH",
                PODS.path(namespace, name),
                kind=PODS.kind,
                query={"fieldManager": MANAGER},
                body=orjson.dumps(patch),
                content_type=MERGE_PATCH,
            )

    async def write_status(self, namespace: str, name: str, uid: str, status: Status) -> dict[str, Any]:
        """Write the whole status of a ModelDeployment; absent fields are removed.

        Returns the stored object, bounded by `deployment_projection`. A JSON patch, because an apply to /status of a
        custom resource ignores the uid (Kubernetes 1.36): it would write the status of a deleted object into another
        one of the same name.
        """
        path = MODEL_DEPLOYMENTS.path(namespace, name, "status")
        content = {field: value for field, value in msgspec.to_builtins(status).items() if value is not None}
        patch = [
            {"op": "test", "path": "/metadata/uid", "value": uid},
            {"op": "add", "path": "/status", "value": content},
        ]
        try:
            response = await self._write(
                "PATCH", path, kind=f"{KIND}/status", body=orjson.dumps(patch), content_type=JSON_PATCH
            )
        except InvalidObjectError:
            await self._check_uid(namespace, name, uid)
            raise
        return decode_response(_decode_deployment, response)

    async def pod_events(self, namespace: str, pod_uid: str) -> Sequence[PodEvent]:
        """Events about one pod, oldest first."""
        listing = await list_all(self._client, EVENTS, namespace, {"fieldSelector": f"regarding.uid={pod_uid}"})
        return read_events(listing.items)

    async def request_events(self, namespace: str, name: str) -> Sequence[PodEvent]:
        """Events about a CertificateRequest of cert-manager, oldest first."""
        selector = {"fieldSelector": f"regarding.kind=CertificateRequest,regarding.name={name}"}
        return read_events((await list_all(self._client, EVENTS, namespace, selector)).items)

    async def mounted(self, namespace: str, deployment: str) -> frozenset[tuple[Kind, str]]:
        """ConfigMaps and claims that ReplicaSets of this deployment still mount."""
        selector = {"labelSelector": f"{LABEL_DEPLOYMENT}={deployment}"}
        return mounted((await list_all(self._client, REPLICA_SETS, namespace, selector)).items)

    async def other_autoscalers(self, namespace: str, deployment: str, owner_uid: str) -> Sequence[OtherAutoscaler]:
        """HorizontalPodAutoscalers that scale this Deployment, except those of the ModelDeployment `owner_uid`."""
        read = partial(read_other, deployment=deployment, owner_uid=owner_uid)
        return (await read_all(self._client, CHILDREN[Kind.AUTOSCALER], namespace, read=read)).items

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
        fields = {"type": type, "reason": reason, "action": action}
        fields |= {"eventTime": self._now(), "reportingInstance": self._instance}
        event = build_event(namespace, name, uid, note=message, **fields)
        await self._write("POST", EVENTS.path(namespace), kind=EVENTS.kind, body=orjson.dumps(event))

    async def _check_uid(self, namespace: str, name: str, uid: str) -> None:
        """Raise ConflictError if the uid differs: a failed test of a JSON patch is reported as invalid content."""
        live = await self._client.request("GET", MODEL_DEPLOYMENTS.path(namespace, name), kind=KIND)
        if decode_response(identify, live).uid != uid:
            raise ConflictError("the ModelDeployment has been replaced by another object", status=HTTPStatus.CONFLICT)

    def _project(self, kind: Kind, response: bytes) -> Child:
        return decode_response(partial(self._projector.project, kind), response)

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

    async def _put(self, manifest: Manifest, body: dict[str, Any], **query: str) -> bytes:
        kind, path = _address(manifest)
        query |= {"fieldManager": MANAGER}
        return await self._write("PUT", path, kind=kind, query=query, body=orjson.dumps(body))

    async def _write(self, method: str, path: str, *, kind: str, body: bytes, **options: Any) -> bytes:
        left = self._time_left()
        if left <= 0:
            raise UnavailableError("the Lease may have been lost")
        return await self._client.request(method, path, kind=kind, body=body, within=min(left, WITHIN), **options)


def _loads(response: bytes) -> dict[str, Any]:
    return decode_response(_decode_object, response)


def _with_stored_data(kind: Kind, body: dict[str, Any], response: bytes) -> dict[str, Any]:
    """The data of a ControllerRevision byte by byte: the API server compares the bytes to see that nothing changes."""
    if kind is not Kind.REVISION:
        return body
    return {**body, "data": orjson.Fragment(bytes(decode_response(_decode_data, response).data))}


def _decode_deployment(response: bytes) -> dict[str, Any]:
    stored: dict[str, Any] = orjson.loads(project_deployment(response))
    return stored


def _address(manifest: Manifest) -> tuple[Kind, str]:
    kind = KINDS[manifest["kind"]]
    return kind, CHILDREN[kind].path(manifest["metadata"]["namespace"], manifest["metadata"]["name"])
