"""The requests of HttpCluster for the Secrets and ConfigMaps that the deployments of a namespace share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from triton_operator.api.names import MANAGER
from triton_operator.cluster.errors import NotFoundError
from triton_operator.cluster.shared_objects import SHARED, SharedKind

if TYPE_CHECKING:
    from triton_operator.cluster.client import ApiClient
    from triton_operator.cluster.protocol import Manifest

STRATEGIC_MERGE_PATCH = "application/strategic-merge-patch+json"


class SharedObjectRequests:
    """A base class of HttpCluster, which has the client and limits the time of writes."""

    _client: ApiClient

    async def read_shared(self, kind: SharedKind, namespace: str, name: str) -> bytes | None:
        """A shared object as JSON; None if it does not exist."""
        try:
            return await self._client.request("GET", SHARED[kind].path(namespace, name), kind=kind)
        except NotFoundError:
            return None

    async def create_shared(self, manifest: Manifest) -> bytes:
        """Create a shared object; raises ConflictError if it exists."""
        kind = SharedKind(manifest["kind"])
        path = SHARED[kind].path(manifest["metadata"]["namespace"])
        return await self._write("POST", path, kind=kind, query={"fieldManager": MANAGER}, body=orjson.dumps(manifest))

    async def patch_shared(self, kind: SharedKind, namespace: str, name: str, patch: Manifest) -> bytes:
        """Merge a patch into a shared object; see the protocol.

        Not an apply: it would remove what an earlier apply has set for other deployments.
        """
        return await self._write(
            "PATCH",
            SHARED[kind].path(namespace, name),
            kind=kind,
            query={"fieldManager": MANAGER},
            body=orjson.dumps(patch),
            content_type=STRATEGIC_MERGE_PATCH,
        )

    async def _write(self, method: str, path: str, *, kind: str, body: bytes, **options: Any) -> bytes:
        raise NotImplementedError
