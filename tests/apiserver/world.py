"""Many ModelDeployments in one namespace of a real API server, and the operator's results.

Uses the operator's HTTP client for speed; the expected objects come from the pure builders.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import orjson

from tests.apiserver.api_client import MOST_ATTEMPTS
from tests.builders import a_body
from triton_operator.cluster.client import ApiClient
from triton_operator.cluster.connect import connect
from triton_operator.cluster.errors import UnavailableError
from triton_operator.cluster.listing import list_all
from triton_operator.cluster.observed import OPTIONAL_KINDS, Kind
from triton_operator.cluster.resource_paths import CHILDREN, MODEL_DEPLOYMENTS

Object = dict[str, Any]

_POLL_SECONDS = 0.5


class _RetryingClient(ApiClient):
    """The operator's client, which retries a request as the server requests; the operator queues it instead."""

    async def request(self, *arguments: Any, **named: Any) -> bytes:
        for attempt in itertools.count(1):
            try:
                return await super().request(*arguments, **named)
            except UnavailableError as error:
                if not error.retry_after or attempt == MOST_ATTEMPTS:
                    raise
                await asyncio.sleep(error.retry_after)
        raise AssertionError


class Namespace:
    """One namespace; a context manager that closes its connections."""

    def __init__(self, kubeconfig: Path, name: str) -> None:
        self.name = name
        self._client = _RetryingClient(connect(kubeconfig))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    async def create(self, count: int, *, first: int = 0, **spec: Any) -> None:
        """Create m-0 … m-N, or from another number, a few at a time."""
        gate = asyncio.Semaphore(8)

        async def one(number: int) -> None:
            body = a_body(f"m-{number}", self.name, **spec)
            body["metadata"] = {"name": body["metadata"]["name"], "namespace": self.name}
            async with gate:
                path = MODEL_DEPLOYMENTS.path(self.name)
                await self._client.request("POST", path, kind="ModelDeployment", body=orjson.dumps(body))

        await asyncio.gather(*(one(number) for number in range(first, first + count)))

    async def edit(self, name: str, **spec: Any) -> None:
        """Merge-patch one spec."""
        await self._client.request(
            "PATCH",
            MODEL_DEPLOYMENTS.path(self.name, name),
            kind="ModelDeployment",
            body=orjson.dumps({"spec": spec}),
            content_type="application/merge-patch+json",
        )

    async def delete(self, kind: Kind, name: str) -> None:
        """Delete one child."""
        await self._client.request("DELETE", CHILDREN[kind].path(self.name, name), kind=kind.value)

    async def report_replicas(self, name: str, count: int) -> None:
        """Write the number of pods to the status of a child, as the Deployment controller does."""
        await self._client.request(
            "PATCH",
            CHILDREN[Kind.DEPLOYMENT].path(self.name, name, "status"),
            kind="Deployment",
            body=orjson.dumps({"status": {"replicas": count, "updatedReplicas": count}}),
            content_type="application/merge-patch+json",
        )

    async def deployments(self) -> list[Object]:
        """All ModelDeployments."""
        listing = await list_all(self._client, MODEL_DEPLOYMENTS, self.name, {})
        return [orjson.loads(bytes(item)) for item in listing.items]

    async def children(self, kind: Kind) -> list[Object]:
        """All children of one kind."""
        listing = await list_all(
            self._client, CHILDREN[kind], self.name, {"labelSelector": "app.kubernetes.io/managed-by=triton-operator"}
        )
        return [orjson.loads(bytes(item)) for item in listing.items]

    async def child(self, kind: Kind, name: str) -> Object:
        """One child."""
        body: Object = orjson.loads(await self._client.request("GET", CHILDREN[kind].path(self.name, name), kind=kind))
        return body

    async def replace(self, kind: Kind, name: str, change: Callable[[Object], object]) -> None:
        """Change one child as `kubectl edit` and `replace` do: fields that are missing in it are removed."""
        body = await self.child(kind, name)
        change(body)
        path = CHILDREN[kind].path(self.name, name)
        query = {"fieldManager": "kubectl-edit"}
        await self._client.request("PUT", path, kind=kind, query=query, body=orjson.dumps(body))

    async def count_children(self) -> Counter[str]:
        """The number of children of each kind that every cluster has."""
        kinds = (kind for kind in Kind if kind not in OPTIONAL_KINDS)
        return Counter({kind.value: len(await self.children(kind)) for kind in kinds})

    async def until(
        self, look: Callable[[list[Object]], bool], what: str, seconds: float, poll: float = _POLL_SECONDS
    ) -> None:
        """Wait until `look` returns true for the ModelDeployments."""
        async with asyncio.timeout(seconds):
            while not look(await self.deployments()):  # noqa: ASYNC110 - the server does not know what is waited for
                await asyncio.sleep(poll)

    async def until_there(self, kind: Kind, name: str, *, seconds: float = 120, poll: float = _POLL_SECONDS) -> None:
        """Wait until the child exists."""

        async def there() -> bool:
            return name in [body["metadata"]["name"] for body in await self.children(kind)]

        async with asyncio.timeout(seconds):
            while not await there():  # noqa: ASYNC110 - the server does not know what is waited for
                await asyncio.sleep(poll)

    async def until_observed(self, seconds: float = 120, poll: float = _POLL_SECONDS) -> None:
        """Wait until every object has a status of its current generation."""

        def observed(bodies: list[Object]) -> bool:
            return all(
                body.get("status", {}).get("observedGeneration") == body["metadata"]["generation"] for body in bodies
            )

        await self.until(observed, "every object has been looked at", seconds, poll)
