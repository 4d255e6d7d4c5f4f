"""LIST in pages, items left as bytes; reflectors, the resync and `HttpCluster` read collections through it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from triton_operator.cluster.client import understood

if TYPE_CHECKING:
    from collections.abc import Mapping

    from triton_operator.cluster.client import ApiClient
    from triton_operator.cluster.resource_paths import Resource

PAGE = 500
"""Objects per page: bounds the memory of one answer to a few megabytes."""


class _ListMetadata(msgspec.Struct):
    resource_version: str = msgspec.field(default="0", name="resourceVersion")
    proceed: str = msgspec.field(default="", name="continue")


class _List(msgspec.Struct):
    metadata: _ListMetadata
    items: list[msgspec.Raw] = []


_decode_list = msgspec.json.Decoder(_List).decode


class Listing(NamedTuple):
    """All objects of a collection as of `version`, a resourceVersion from which a watch can go on."""

    items: list[msgspec.Raw]
    version: str


async def list_all(
    client: ApiClient, resource: Resource, namespace: str | None, selector: Mapping[str, str] | None = None
) -> Listing:
    """Every object that matches `selector` (labelSelector, fieldSelector); raises ClusterError.

    A page token can expire (410, an Unavailable): the caller starts anew, as after any failure.
    """
    items: list[msgspec.Raw] = []
    query = {"limit": str(PAGE), **(selector or {})}
    while True:
        answer = await client.request("GET", resource.path(namespace), kind=resource.kind, query=query)
        page = understood(_decode_list, answer)
        items += page.items
        if not page.metadata.proceed:
            return Listing(items, page.metadata.resource_version)
        query["continue"] = page.metadata.proceed
