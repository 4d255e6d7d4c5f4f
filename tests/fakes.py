"""A cluster in memory, for unit tests only; it does not show what a real API server does.

`World` is one ModelDeployment with its reconciler; tests change its state, let it reconcile and look at what is there.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from tests.builders import SETTINGS, a_body
from triton_operator.api.names import (
    ANNOTATION_CANARY,
    ANNOTATION_CANARY_FAILURE,
    ANNOTATION_FAILED_REVISION,
    ANNOTATION_FILLED,
    ANNOTATION_RECIPE,
    ANNOTATION_RESTORED_REVISION,
    AUTHORITY_SECRET,
    CA_CONFIG_MAP,
    LABEL_REVISION,
    MANAGER,
    SERVING_SECRET,
    content_hash,
)
from triton_operator.api.spec import parse
from triton_operator.api.status import Condition, Control, Status
from triton_operator.cluster.errors import ClusterError, ConflictError, DeniedError, NotFoundError
from triton_operator.cluster.object_cache import ObjectCache
from triton_operator.cluster.observed import (
    KINDS,
    ROUTE_KINDS,
    AutoscalerState,
    CertificateState,
    Child,
    ClaimState,
    DeploymentState,
    IngressState,
    JobState,
    Kind,
    ObservedCondition,
    OtherAutoscaler,
    Pod,
    PodEvent,
    RevisionState,
    RouteParent,
    RouteState,
    ScaledObjectState,
    State,
)
from triton_operator.cluster.protocol import Manifest
from triton_operator.cluster.shared_objects import SharedCache, SharedKind
from triton_operator.reconcile.certificate_caches import CertificateCaches, IssuerContext
from triton_operator.reconcile.reconciler import Reconciler
from triton_operator.resources.exposure import build_exposure
from triton_operator.resources.settings import Settings

Identity = tuple[Kind, str, str]

_FIRST: dict[Kind, State] = {
    Kind.AUTOSCALER: AutoscalerState(),
    Kind.CERTIFICATE: CertificateState(),
    Kind.SCALED_OBJECT: ScaledObjectState(),
}
"""The states of children that their controllers have not seen yet."""


class FakeCluster:
    """Objects by kind, namespace and name; `writes` lists every write as "verb Kind/name".

    `answers` are errors by kind of child, `hangs` the kinds whose writes are never answered; `attempts` lists
    the writes that met one of these. `config_maps` are those of users; `unreadable` is the error of reading them.
    `live` are edited children as the API server returns them, by identity.
    `autoscalers` are those of users that scale the Deployment, or the error of reading them.
    `annotated` lists the annotations of pods, and `fail_annotations` is the error of setting one.
    """

    def __init__(self) -> None:
        self.objects: dict[Identity, Child] = {}
        self.manifests: dict[Identity, Manifest] = {}
        self.live: dict[Identity, dict[str, Any]] = {}
        self.bodies: dict[tuple[str, str], dict[str, Any]] = {}
        self.writes: list[str] = []
        self.statuses: list[Status] = []
        self.events: list[tuple[str, str, str]] = []
        self.pod_event_log: dict[str, list[PodEvent]] = {}
        self.request_event_log: dict[str, list[PodEvent]] = {}
        self.in_use: frozenset[tuple[Kind, str]] = frozenset()
        self.fail_with: Exception | None = None
        self.refuse: Kind | None = None
        self.annotated: list[tuple[str, str, dict[str, str]]] = []
        self.fail_annotations: ClusterError | None = None
        self.config_maps: dict[str, dict[str, str]] = {}
        self.accounts: dict[tuple[str, str], str] = {}
        self.hidden_accounts: DeniedError | None = None
        self.unreadable: ClusterError | None = None
        self.autoscalers: Sequence[OtherAutoscaler] | ClusterError = ()
        self.autoscaler_reads = 0
        self.answers: dict[Kind, Exception] = {}
        self.hangs: frozenset[Kind] = frozenset()
        self.attempts: list[str] = []
        self.previews: list[str] = []
        self.shared = FakeSharedObjects(self)
        self.read_shared = self.shared.read
        self.create_shared = self.shared.create
        self.patch_shared = self.shared.patch
        self._version = 1000

    async def create(self, manifest: Manifest) -> Child:
        identity = identify(manifest)
        await self._refuse(f"create {identity[0]}/{identity[2]}", identity[0])
        if identity in self.objects:
            raise ConflictError("already exists", status=409)
        return self._store(manifest, "create", uid=f"uid-{self._version}")

    async def apply(self, manifest: Manifest, *, uid: str, manager: str = MANAGER) -> Child:
        identity = identify(manifest)
        await self._refuse(f"apply {identity[0]}/{identity[2]}", identity[0])
        known = self.objects.get(identity)
        if known is None or known.uid != uid:
            raise ConflictError("another uid", status=409)
        if manager != MANAGER:
            return self._transfer_replicas(identity, manifest["spec"]["replicas"])
        return self._store(manifest, "apply", uid=uid, has_foreign_fields=known.has_foreign_fields)

    async def adopt(self, manifest: Manifest, *, uid: str, resource_version: str) -> Child:
        known = self.objects[identify(manifest)]
        if (known.uid, str(known.resource_version)) != (uid, resource_version):
            raise ConflictError("another version", status=409)
        return self._store(manifest, "adopt", uid=uid)

    async def preview(self, manifest: Manifest, live: Manifest) -> Manifest:
        """No default and nothing that the API server has assigned is missing in the manifests of the tests."""
        self.previews.append(f"{manifest['kind']}/{manifest['metadata']['name']}")
        previewed: Manifest = msgspec.json.decode(msgspec.json.encode(manifest))
        return previewed

    async def replace(self, manifest: Manifest, *, uid: str) -> Child:
        return self._store(manifest, "replace", uid=uid)

    async def delete(self, kind: Kind, namespace: str, name: str, *, uid: str) -> None:
        await self._refuse(f"delete {kind}/{name}", kind)
        self._write(f"delete {kind}/{name}")
        self.objects.pop((kind, namespace, name), None)

    async def get(self, kind: Kind, namespace: str, name: str) -> Child | None:
        return self.objects.get((kind, namespace, name))

    async def read(self, kind: Kind, namespace: str, name: str) -> bytes | None:
        identity = (kind, namespace, name)
        body = self.live.get(identity) or self.manifests.get(identity)
        child = self.objects.get(identity)
        if body is None or child is None:
            return None
        metadata = {"uid": child.uid, "resourceVersion": str(child.resource_version)}
        return msgspec.json.encode({**body, "metadata": body["metadata"] | metadata})

    async def read_account_uid(self, namespace: str, name: str) -> str | None:
        if self.hidden_accounts:
            raise self.hidden_accounts
        return self.accounts.get((namespace, name))

    async def read_config_map(self, namespace: str, name: str) -> dict[str, str] | None:
        if self.unreadable:
            raise self.unreadable
        return self.config_maps.get(name)

    async def annotate_pod(self, namespace: str, name: str, uid: str, annotations: dict[str, str]) -> None:
        if self.fail_annotations:
            raise self.fail_annotations
        self.annotated.append((name, uid, annotations))

    async def write_status(self, namespace: str, name: str, uid: str, status: Status) -> dict[str, Any]:
        self._write(f"status {name}")
        self.statuses.append(status)
        stored = self.bodies[namespace, name]
        metadata = {**stored["metadata"], "resourceVersion": str(self._version)}
        return {**copy.deepcopy(stored), "metadata": metadata, "status": msgspec.to_builtins(status)}

    async def pod_events(self, namespace: str, pod_uid: str) -> Sequence[PodEvent]:
        return self.pod_event_log.get(pod_uid, [])

    async def request_events(self, namespace: str, name: str) -> Sequence[PodEvent]:
        return self.request_event_log.get(name, [])

    async def mounted(self, namespace: str, deployment: str) -> frozenset[tuple[Kind, str]]:
        return self.in_use

    async def other_autoscalers(self, namespace: str, deployment: str, owner_uid: str) -> Sequence[OtherAutoscaler]:
        self.autoscaler_reads += 1
        if isinstance(self.autoscalers, ClusterError):
            raise self.autoscalers
        return self.autoscalers

    async def post_event(
        self, namespace: str, name: str, uid: str, *, type: str, reason: str, message: str, action: str
    ) -> None:
        self.events.append((type, reason, message))

    def put_stranger(self, kind: Kind, name: str, *, owner_uid: str = "", owner: str = "digits") -> None:
        """An object that somebody else made, or with `owner_uid` the child of a ModelDeployment of the name `owner`."""
        self.objects[kind, "shop", name] = Child(
            kind=kind,
            namespace="shop",
            name=name,
            uid=f"stranger-{name}",
            resource_version=1,
            deployment=owner if owner_uid else "",
            owner_uid=owner_uid,
        )

    async def _refuse(self, what: str, kind: Kind) -> None:
        if kind in self.answers or kind in self.hangs:
            self.attempts.append(what)
        if kind in self.answers:
            raise self.answers[kind]
        if kind in self.hangs:
            await asyncio.Event().wait()

    def _store(self, manifest: Manifest, verb: str, *, uid: str, has_foreign_fields: bool = False) -> Child:
        identity = identify(manifest)
        if identity[0] is self.refuse:
            raise DeniedError("not allowed", status=403)
        self._write(f"{verb} {identity[0]}/{identity[2]}")
        child = Child(
            kind=identity[0],
            namespace=identity[1],
            name=identity[2],
            uid=uid,
            resource_version=self._version,
            deployment=manifest["metadata"]["labels"]["triton-operator.io/model-deployment"],
            owner_uid=manifest["metadata"]["ownerReferences"][0]["uid"],
            fingerprint=_fingerprint(manifest),
            has_foreign_fields=has_foreign_fields,
            state=self._state(identity, manifest),
        )
        self.objects[identity] = child
        self.manifests[identity] = copy.deepcopy(manifest)
        return child

    def _state(self, identity: Identity, manifest: Manifest) -> State | None:
        known = self.objects.get(identity)
        match identity[0]:
            case Kind.DEPLOYMENT:
                replicas = manifest["spec"].get("replicas")
                before = known.state if known and isinstance(known.state, DeploymentState) else None
                start = before or DeploymentState(generation=1, replicas=1, owns_replicas=False)
                return msgspec.structs.replace(
                    start,
                    generation=start.generation + 1 if before and self._bumps(identity, manifest) else start.generation,
                    replicas=start.replicas if replicas is None else replicas,
                    owns_replicas=replicas is not None,
                    replaces_in_place=_replaces_in_place(manifest["spec"]["strategy"]),
                    failed_revision=manifest["metadata"].get("annotations", {}).get(ANNOTATION_FAILED_REVISION, ""),
                    restored_revision=manifest["metadata"].get("annotations", {}).get(ANNOTATION_RESTORED_REVISION, ""),
                    canary_failure=manifest["metadata"].get("annotations", {}).get(ANNOTATION_CANARY_FAILURE, ""),
                    canary=manifest["metadata"].get("annotations", {}).get(ANNOTATION_CANARY, ""),
                    template_revision=manifest["spec"]["template"]["metadata"]["labels"][LABEL_REVISION],
                )
            case Kind.REVISION:
                return RevisionState(
                    number=manifest["revision"], data=msgspec.json.encode(manifest["data"], order="sorted")
                )
            case Kind.AUTOSCALER | Kind.CERTIFICATE | Kind.SCALED_OBJECT as kind:
                return known.state if known else _FIRST[kind]
            case Kind.CLAIM:
                filled = manifest["metadata"].get("annotations", {}).get(ANNOTATION_FILLED) == "true"
                return ClaimState(requested=manifest["spec"]["resources"]["requests"]["storage"], filled=filled)
            case Kind.JOB:
                start_of_job = known.state if known and isinstance(known.state, JobState) else JobState()
                recipe = manifest["metadata"]["annotations"][ANNOTATION_RECIPE]
                return msgspec.structs.replace(start_of_job, recipe=recipe, labelled=True)
        return _exposure_state(identity[0], manifest, known.state if known else None)

    def _bumps(self, identity: Identity, manifest: Manifest) -> bool:
        """Whether the API server increments the generation of a Deployment, which it also does for annotations."""
        known = self.manifests.get(identity)
        return known is None or known["spec"] != manifest["spec"] or _annotations(known) != _annotations(manifest)

    def _transfer_replicas(self, identity: Identity, replicas: int) -> Child:
        self._write(f"transfer {identity[0]}/{identity[2]}")
        known = self.objects[identity]
        assert isinstance(known.state, DeploymentState)
        state = msgspec.structs.replace(known.state, replicas=replicas)
        self.objects[identity] = msgspec.structs.replace(known, state=state, resource_version=self._version)
        return self.objects[identity]

    def next_version(self) -> int:
        """The resourceVersion of the next change."""
        self._version += 1
        return self._version

    def record(self, what: str) -> int:
        """Count a write of a shared object; returns its version."""
        self._write(what)
        return self._version

    def _write(self, what: str) -> None:
        if self.fail_with:
            raise self.fail_with
        self.next_version()
        self.writes.append(what)


class FakeSharedObjects:
    """Secrets and ConfigMaps of a fixed name, whose patches are merged as the API server does it."""

    def __init__(self, cluster: FakeCluster) -> None:
        self._cluster = cluster
        self.bodies: dict[tuple[SharedKind, str, str], dict[str, Any]] = {}
        self.answer: Exception | None = None

    async def read(self, kind: SharedKind, namespace: str, name: str) -> bytes | None:
        body = self.bodies.get((kind, namespace, name))
        return None if body is None else msgspec.json.encode(body)

    async def create(self, manifest: Manifest) -> bytes:
        kind, metadata = SharedKind(manifest["kind"]), manifest["metadata"]
        identity = (kind, metadata["namespace"], metadata["name"])
        if identity in self.bodies:
            raise ConflictError("already exists", status=409)
        body = copy.deepcopy(manifest)
        body["metadata"]["uid"] = f"uid-{self._cluster.next_version()}"
        return self._store(identity, body, "create")

    async def patch(self, kind: SharedKind, namespace: str, name: str, patch: Manifest) -> bytes:
        identity = (kind, namespace, name)
        if identity not in self.bodies:
            raise NotFoundError("not found", status=404)
        body = copy.deepcopy(self.bodies[identity])
        metadata = patch["metadata"]
        if metadata.get("uid", body["metadata"]["uid"]) != body["metadata"]["uid"]:
            raise ConflictError("another uid", status=409)
        owners = {owner["uid"]: owner for owner in body["metadata"].get("ownerReferences", [])}
        owners |= {owner["uid"]: owner for owner in metadata.get("ownerReferences", [])}
        annotations = body["metadata"].get("annotations", {}) | metadata.get("annotations", {})
        body["metadata"] |= {"ownerReferences": [*owners.values()], "annotations": _without_none(annotations)}
        body["data"] = _without_none(body.get("data", {}) | patch.get("data", {}))
        return self._store(identity, body, "patch")

    def _store(self, identity: tuple[SharedKind, str, str], body: dict[str, Any], verb: str) -> bytes:
        if self.answer:
            raise self.answer
        body["metadata"]["resourceVersion"] = str(self._cluster.record(f"{verb} {identity[0]}/{identity[2]}"))
        self.bodies[identity] = body
        return msgspec.json.encode(body)


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _exposure_state(kind: Kind, manifest: Manifest, known: State | None) -> State | None:
    """Of a child of `spec.exposure`, with what its controller has reported; None for other kinds."""
    if kind in ROUTE_KINDS:
        route = known if isinstance(known, RouteState) else RouteState()
        created = route.created_at or getattr(known, "created_at", "") or "2026-01-02T03:04:05Z"
        return msgspec.structs.replace(route, hosts=tuple(manifest["spec"].get("hostnames", ())), created_at=created)
    if kind is not Kind.INGRESS:
        return None
    before = known if isinstance(known, IngressState) else IngressState()
    hosts = tuple(rule["host"] for rule in manifest["spec"]["rules"])
    return msgspec.structs.replace(before, hosts=hosts, created_at=before.created_at or "2026-01-02T03:04:05Z")


class World:
    """One ModelDeployment (`digits` in `shop`) and its operator."""

    def __init__(self, settings: Settings = SETTINGS, **spec: Any) -> None:
        self.cluster = FakeCluster()
        self.cache = ObjectCache()
        self.now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
        self.settings = settings
        self.issuer = IssuerContext(CertificateCaches(), "triton-operator")
        self.reconciler = self.new_operator()
        self.body = a_body(**spec)
        self.cluster.bodies[self.key] = self.body
        self.cache.deployments.put(self.body)

    def new_operator(self, settings: Settings | None = None) -> Reconciler:
        """A new operator process, which knows only what the cluster shows."""
        self.issuer = self.issuer._replace(caches=CertificateCaches())
        self.issuer.caches.synced.set()
        self.reconciler = Reconciler(
            self.cluster, self.cache, settings or self.settings, clock=lambda: self.now, issuer=self.issuer
        )
        self.watch_shared()
        return self.reconciler

    async def reconcile(self) -> float | None:
        """One pass, after which the watch reports deletions."""
        again = await self.reconciler.reconcile(self.key)
        for (kind, name), child in self.cache.children.get(self.key).items():
            if (kind, self.key[0], name) not in self.cluster.objects:
                self.cache.children.remove(child)
        return again

    @property
    def key(self) -> tuple[str, str]:
        return self.body["metadata"]["namespace"], self.body["metadata"]["name"]

    def edit(self, **spec: Any) -> None:
        """A user changes the spec; None removes a field."""
        self.body["spec"] = {key: value for key, value in (self.body["spec"] | spec).items() if value is not None}
        self.body["metadata"]["generation"] += 1
        known = self.cache.deployments.get(self.key)
        version = max(int(self.body["metadata"]["resourceVersion"]), known.resource_version if known else 0) + 1
        self.body["metadata"]["resourceVersion"] = str(version)
        if self.cluster.statuses:
            self.body["status"] = msgspec.to_builtins(self.cluster.statuses[-1])
        self.cache.deployments.put(self.body)

    def child(self, kind: Kind, name: str = "digits") -> Child:
        return self.cluster.objects[kind, self.key[0], name]

    def manifest(self, kind: Kind, name: str = "digits") -> Manifest:
        return self.cluster.manifests[kind, self.key[0], name]

    def names(self, kind: Kind) -> list[str]:
        return sorted(name for stored, _, name in self.cluster.objects if stored is kind)

    def change_child(self, kind: Kind, name: str = "digits", **fields: Any) -> None:
        """Somebody else changes a child, and the watch reports it."""
        version = self.cluster.next_version()
        child = msgspec.structs.replace(self.child(kind, name), **fields, resource_version=version)
        self.cluster.objects[kind, self.key[0], name] = child
        self.cache.children.put(child)

    def report_route(self, kind: Kind, namespace: str, gateway: str, *conditions: ObservedCondition) -> None:
        """The controller of a Gateway reports on a route or policy."""
        state = self.child(kind).state
        assert isinstance(state, RouteState)
        parent = RouteParent(namespace=namespace, name=gateway, conditions=conditions)
        self.change_child(kind, state=msgspec.structs.replace(state, parents=(parent,)))

    def expose_elsewhere(
        self, exposure: Manifest, created_at: str, name: str = "rival", *, edited: bool = False
    ) -> None:
        """Another namespace has a deployment whose children for this exposure were created at that time.

        `edited`: somebody else has written the hosts into the children.
        """
        body = a_body(name, "elsewhere", exposure=exposure)
        self.cache.deployments.put(body)
        for manifest in build_exposure(parse(body), with_tls=True):
            kind = KINDS[manifest["kind"]]
            state = _exposure_state(kind, manifest, IngressState(created_at=created_at))
            child = manifest["metadata"]["name"]
            self.cache.children.put(
                Child(
                    kind=kind,
                    namespace="elsewhere",
                    name=child,
                    uid=f"uid-of-{kind}-{child}",
                    resource_version=self.cluster.next_version(),
                    deployment=name,
                    has_foreign_fields=edited,
                    state=state,
                )
            )

    def roll_out(self, *pods: Pod, **counts: int) -> None:
        """The Deployment controller and the kubelet have done their work; `counts` overrides what they report."""
        child = self.child(Kind.DEPLOYMENT)
        assert isinstance(child.state, DeploymentState)
        ready = sum(any(c.type == "Ready" and c.status == "True" for c in pod.conditions) for pod in pods)
        reported = {
            "observed_generation": child.state.generation,
            "current_replicas": len(pods),
            "updated_replicas": len(pods),
            "ready_replicas": ready,
            "available_replicas": ready,
        }
        self.change_child(Kind.DEPLOYMENT, state=msgspec.structs.replace(child.state, **(reported | counts)))
        version = self.cluster.next_version()
        self.cache.pods.replace([msgspec.structs.replace(pod, resource_version=version) for pod in pods], None)

    def hide_child(self, kind: Kind, name: str, **fields: Any) -> None:
        """Somebody else removes the labels of a child and changes it, which no watch reports."""
        self.cache.children.remove(self.cache.children.get(self.key)[kind, name])
        self.change_unseen(kind, name, **fields)

    def _shared_caches(self) -> dict[str, SharedCache[Any]]:
        caches = self.issuer.caches
        return {
            SERVING_SECRET: caches.serving,
            CA_CONFIG_MAP: caches.bundles,
            AUTHORITY_SECRET: caches.authorities,
        }

    def watch_shared(self) -> None:
        """The watches report the shared objects as they are."""
        for (_, namespace, name), body in self.cluster.shared.bodies.items():
            cache = self._shared_caches()[name]
            cache.put(cache.project(msgspec.json.encode(body)))
            assert cache.get(namespace)

    def shared(self, name: str) -> dict[str, Any]:
        """A shared object: of the deployment's namespace, or the operator's."""
        (body,) = (body for (_, _, each), body in self.cluster.shared.bodies.items() if each == name)
        return body

    def edit_shared(self, name: str, change: Callable[[dict[str, Any]], object]) -> None:
        """Somebody else changes a shared object, and the watch reports it."""
        body = self.shared(name)
        change(body)
        body["metadata"]["resourceVersion"] = str(self.cluster.next_version())
        self.watch_shared()

    def delete_shared(self, name: str) -> None:
        """Somebody else deletes a shared object, and the watch reports it."""
        (identity,) = (identity for identity in self.cluster.shared.bodies if identity[2] == name)
        del self.cluster.shared.bodies[identity]
        cache = self._shared_caches()[name]
        known = cache.get(identity[1])
        assert known
        assert cache.remove(known)

    def change_unseen(self, kind: Kind, name: str, **fields: Any) -> None:
        """Somebody else changes a child, which the watch has not reported yet."""
        child = msgspec.structs.replace(self.child(kind, name), **fields, resource_version=self.cluster.next_version())
        self.cluster.objects[kind, self.key[0], name] = child

    def vanish(self, kind: Kind, name: str = "digits") -> None:
        """The watch reports that a child is deleted."""
        child = self.cache.children.get(self.key)[kind, name]
        self.cluster.objects.pop((kind, self.key[0], name), None)
        self.cache.children.remove(child)

    @property
    def template_hash(self) -> str:
        labels = self.manifest(Kind.DEPLOYMENT)["spec"]["template"]["metadata"]["labels"]
        return str(labels["triton-operator.io/revision"])

    @property
    def status(self) -> Status:
        return self.cluster.statuses[-1]

    def condition(self, kind: str) -> Condition:
        return next(condition for condition in self.status.conditions if condition.type == kind)

    def control(self, name: str) -> Control:
        """A privacy control in the status."""
        assert self.status.privacy is not None
        return next(control for control in self.status.privacy.controls if control.name == name)

    def pass_time(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def forget_writes(self) -> None:
        self.cluster.writes.clear()


def identify(manifest: Manifest) -> Identity:
    """Kind, namespace and name of a manifest."""
    return Kind(manifest["kind"]), manifest["metadata"]["namespace"], manifest["metadata"]["name"]


def _annotations(manifest: Manifest) -> dict[str, str]:
    annotations: dict[str, str] = manifest["metadata"].get("annotations", {})
    return annotations


def _replaces_in_place(strategy: Manifest) -> bool:
    return strategy["type"] == "Recreate" or strategy["rollingUpdate"]["maxSurge"] in {0, "0%"}


def _fingerprint(manifest: Manifest) -> str:
    content = copy.deepcopy(manifest)
    content.get("spec", {}).pop("replicas", None)
    return content_hash(msgspec.json.encode(content, order="sorted"), 16)


async def orphaned(**spec: Any) -> World:
    """A new ModelDeployment, and the children of one that was deleted with `--cascade=orphan`."""
    world = World(**spec)
    await world.reconcile()
    for identity, child in world.cluster.objects.items():
        version = world.cluster.next_version()
        orphan = msgspec.structs.replace(child, owner_uid="", resource_version=version)
        world.cluster.objects[identity] = orphan
        world.cache.children.put(orphan)
    world.new_operator()
    world.forget_writes()
    return world
