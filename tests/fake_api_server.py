"""A small API server in the test's process: it lists, watches and applies, and can inject faults.

Objects are JSON, by path. Every change gets the next resourceVersion and is sent to all watches of the collection.
Field ownership is not simulated; tests in `tests/apiserver` use the real server for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping
from typing import Any

from aiohttp import web

Object = dict[str, Any]


class FakeApiServer:
    """An API server on loopback.

    `requests` counts requests by (method, path). `faults` are error responses by path, and `pages` are bodies that a
    proxy returns with status 200.
    """

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, str]] = Counter()
        self.queries: defaultdict[str, list[dict[str, str]]] = defaultdict(list)
        self.bodies: defaultdict[tuple[str, str], list[Object]] = defaultdict(list)
        self.faults: defaultdict[str, list[int]] = defaultdict(list)
        self.pages: defaultdict[str, list[bytes]] = defaultdict(list)
        self.tokens: set[str] = set()
        self.url = ""
        self.reachable = asyncio.Event()
        self.reachable.set()
        self._version = 100
        self._objects: dict[str, Object] = {}
        self._watches: list[tuple[str, str | None, asyncio.Queue[bytes | None]]] = []
        self._changed = asyncio.Condition()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[FakeApiServer]:
        """Serve until the block ends."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await self.end_watches()
            await runner.cleanup()

    async def put(self, path: str, body: Object) -> Object:
        """Store an object under its URL path, like another client, and notify the watches."""
        known = self._objects.get(path)
        self._version += 1
        name = path.rsplit("/", 1)[-1]
        metadata = {
            "name": name,
            "namespace": _collection(path)[1],
            "uid": known["metadata"]["uid"] if known else str(uuid.uuid4()),
            **body.get("metadata", {}),
            "resourceVersion": str(self._version),
        }
        stored = {**body, "metadata": metadata}
        self._objects[path] = stored
        await self._publish("MODIFIED" if known else "ADDED", path, stored)
        return stored

    async def remove(self, path: str) -> None:
        """Delete an object and notify the watches."""
        stored = self._objects.pop(path)
        self._version += 1
        metadata = {**stored["metadata"], "resourceVersion": str(self._version)}
        await self._publish("DELETED", path, {**stored, "metadata": metadata})

    def lose(self, path: str) -> None:
        """Delete an object without notifying the watches."""
        del self._objects[path]
        self._version += 1

    def restore(self, version: int, *paths: str) -> None:
        """Restore a backup: an older version, at which only the objects at `paths` exist."""
        self._version = version
        self._objects = {
            path: {**body, "metadata": {**body["metadata"], "resourceVersion": str(version)}}
            for path, body in self._objects.items()
            if path in paths
        }

    def stored(self, path: str) -> Object | None:
        """The object at a path."""
        return self._objects.get(path)

    async def send(self, plural: str, event: Object) -> None:
        """Send any event to the watches of a collection."""
        for watched, _, queue in self._watches:
            if watched == plural:
                queue.put_nowait(json.dumps(event).encode() + b"\n")

    async def send_line(self, plural: str, line: bytes) -> None:
        """Send a raw line, for events that Python's encoder cannot write."""
        for watched, _, queue in self._watches:
            if watched == plural:
                queue.put_nowait(line + b"\n")

    async def end_watches(self) -> None:
        """End all streams, like a restart of the server."""
        for _, _, queue in self._watches:
            queue.put_nowait(None)
        self._watches.clear()

    async def watched(self, *plurals: str) -> None:
        """Wait until all of these collections have a watch."""
        async with self._changed:
            await self._changed.wait_for(lambda: set(plurals) <= {plural for plural, _, _ in self._watches})

    async def seen(self, method: str, path: str, times: int = 1) -> None:
        """Wait until a request has been received this many times."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.requests[method, path] >= times)

    async def _publish(self, kind: str, path: str, stored: Object) -> None:
        await asyncio.sleep(0)
        plural = path.split("/")[-2]
        line = json.dumps({"type": kind, "object": stored}).encode() + b"\n"
        for watched, namespace, queue in self._watches:
            if watched == plural and namespace in {None, stored["metadata"]["namespace"]}:
                queue.put_nowait(line)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        method, path = request.method, request.path
        body = json.loads(await request.read() or b"null")
        async with self._changed:
            self.requests[method, path] += 1
            self.queries[path].append(dict(request.query))
            self.bodies[method, path].append(body)
            self._changed.notify_all()
        await self.reachable.wait()
        if self.tokens and request.headers.get("Authorization", "").removeprefix("Bearer ") not in self.tokens:
            return _refuse(401, "Unauthorized")
        if self.faults[path]:
            return _refuse(self.faults[path].pop(0), "on purpose")
        if self.pages[path] and "watch" not in request.query:
            return web.Response(body=self.pages[path].pop(0), content_type="text/html")
        if path in _DISCOVERY:
            return web.json_response(_DISCOVERY[path])
        return await self._answer(request, body)

    async def _answer(self, request: web.Request, body: Any) -> web.StreamResponse:
        if "watch" in request.query:
            return await self._watch(request)
        match request.method:
            case "GET":
                return self._get(request.path, request.query)
            case "DELETE":
                return await self._delete(request.path, body)
            case _:
                return await self._store(request.method, request.path, body)

    def _get(self, path: str, query: Mapping[str, str]) -> web.Response:
        if path in self._objects:
            return web.json_response(self._objects[path])
        plural, namespace = _collection(path)
        if plural is None:
            return _refuse(404, f"{path} not found")
        items = [
            stored
            for key, stored in sorted(self._objects.items())
            if key.split("/")[-2] == plural and namespace in {None, stored["metadata"]["namespace"]}
            if _name(query) in {"", stored["metadata"]["name"]}
        ]
        first, size = int(query.get("continue", 0)), int(query.get("limit", 500))
        metadata = {"resourceVersion": str(self._version)}
        if len(items) > first + size:
            metadata["continue"] = str(first + size)
        return web.json_response({"metadata": metadata, "items": items[first : first + size]})

    async def _delete(self, path: str, options: Object) -> web.Response:
        stored = self._objects.get(path)
        if stored is None:
            return _refuse(404, f"{path} not found")
        if options["preconditions"]["uid"] != stored["metadata"]["uid"]:
            return _refuse(409, "the UID in the precondition does not match")
        await self.remove(path)
        return web.json_response({})

    async def _store(self, method: str, path: str, body: Object) -> web.Response:
        if method == "POST":
            path = f"{path}/{body['metadata'].get('name') or body['metadata']['generateName'] + 'x'}"
        target = path.removesuffix("/status")
        known = self._objects.get(target)
        sent = body["metadata"]
        if known and (sent.get("resourceVersion") not in {None, "", known["metadata"]["resourceVersion"]}):
            return _refuse(409, f"{path} already exists, or was changed")
        if sent.get("uid") and (known is None or known["metadata"]["uid"] != sent["uid"]):
            return _refuse(409, "uid mismatch")
        metadata = {**(known or {}).get("metadata", {}), **{k: v for k, v in sent.items() if k != "resourceVersion"}}
        stored = await self.put(target, {**(known or {}), **body, "metadata": metadata})
        return web.json_response(stored, status=200 if known else 201)

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        plural, namespace = _collection(request.path)
        response = web.StreamResponse()
        await response.prepare(request)
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        async with self._changed:
            self._watches.append((str(plural), namespace, queue))
            self._changed.notify_all()
        while (line := await queue.get()) is not None:
            await response.write(line)
        return response


_PLURALS = {
    "serviceaccounts", "configmaps", "deployments", "services", "networkpolicies", "horizontalpodautoscalers",
    "poddisruptionbudgets", "controllerrevisions", "pods", "modeldeployments", "leases", "events", "replicasets",
    "persistentvolumeclaims", "jobs",
}  # fmt: skip

_DISCOVERY: dict[str, Object] = {
    "/apis": {
        "groups": [
            {
                "name": "triton-operator.io",
                "versions": [{"groupVersion": "triton-operator.io/v1alpha1", "version": "v1alpha1"}],
                "preferredVersion": {"version": "v1alpha1"},
            },
            {
                "name": "apiextensions.k8s.io",
                "versions": [{"groupVersion": "apiextensions.k8s.io/v1", "version": "v1"}],
                "preferredVersion": {"version": "v1"},
            },
        ]
    },
    "/apis/triton-operator.io/v1alpha1": {
        "resources": [
            {
                "name": "modeldeployments",
                "singularName": "modeldeployment",
                "kind": "ModelDeployment",
                "namespaced": True,
                "verbs": ["get", "list", "watch", "patch"],
            }
        ]
    },
    "/apis/apiextensions.k8s.io/v1": {
        "resources": [
            {
                "name": "customresourcedefinitions",
                "singularName": "customresourcedefinition",
                "kind": "CustomResourceDefinition",
                "namespaced": False,
                "verbs": ["get", "list", "watch"],
            }
        ]
    },
    "/api": {"versions": ["v1"]},
    "/api/v1": {
        "resources": [
            {"name": "namespaces", "singularName": "namespace", "kind": "Namespace", "namespaced": False,
             "verbs": ["get", "list", "watch"]},
            {"name": "events", "singularName": "event", "kind": "Event", "namespaced": True, "verbs": ["create"]},
        ]
    },
}  # fmt: skip


def _collection(path: str) -> tuple[str | None, str | None]:
    """The plural and the namespace in the path of a collection; no plural for other paths."""
    parts = path.strip("/").split("/")
    namespace = parts[parts.index("namespaces") + 1] if "namespaces" in parts else None
    return (parts[-1] if parts[-1] in _PLURALS else None), namespace


def _name(query: Mapping[str, str]) -> str:
    """The name in a field selector."""
    return query.get("fieldSelector", "").removeprefix("metadata.name=")


def _refuse(code: int, message: str) -> web.Response:
    return web.json_response({"kind": "Status", "code": code, "message": message}, status=code)
