"""LIST in pages, each processed before the next is requested; for the reflectors, the resync and `HttpCluster`.

The size of a response is limited (`exchange.MOST_BYTES`), because anybody who may create objects may create large ones:
a page that is too large is requested again with fewer objects. A page of one object may be as large as any object, as
otherwise the list could not continue after it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

import msgspec

from triton_operator.cluster import exchange
from triton_operator.cluster.client import decode_response
from triton_operator.cluster.deep_json import decode_any_depth
from triton_operator.cluster.errors import TooLargeError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from triton_operator.cluster.client import ApiClient
    from triton_operator.cluster.resource_paths import Resource

PAGE = 500
"""Objects per page at most."""
_FEWER = 8
"""Divisor of the number of objects after a page that was too large."""

T = TypeVar("T")


class _ListMetadata(msgspec.Struct):
    resource_version: str = msgspec.field(default="0", name="resourceVersion")
    proceed: str = msgspec.field(default="", name="continue")


class _List(msgspec.Struct):
    metadata: _ListMetadata
    items: list[msgspec.Raw] = []


_decode_list = msgspec.json.Decoder(_List).decode


class Listing(NamedTuple, Generic[T]):
    """All objects of a collection as of `version`, a resourceVersion from which a watch can continue."""

    items: list[T]
    version: str


async def list_all(
    client: ApiClient, resource: Resource, namespace: str | None, selector: Mapping[str, str] | None = None
) -> Listing[msgspec.Raw]:
    """Every object that matches `selector` (labelSelector, fieldSelector), as bytes; raises ClusterError."""
    return await read_all(client, resource, namespace, selector, read=lambda raw: raw)


async def read_all(
    client: ApiClient,
    resource: Resource,
    namespace: str | None,
    selector: Mapping[str, str] | None = None,
    *,
    read: Callable[[msgspec.Raw], T | None],
) -> Listing[T]:
    """The results of `read` for all objects, without None; a page is dropped before the next one is requested.

    A page token can expire (410, UnavailableError): the caller lists again, as after any failure.
    """
    items: list[T] = []
    limit, proceed = PAGE, ""
    while True:
        query = {"limit": str(limit), **(selector or {}), **({"continue": proceed} if proceed else {})}
        most = exchange.MOST_BYTES_OF_ONE if limit == 1 else None
        try:
            response = await client.request("GET", resource.path(namespace), kind=resource.kind, query=query, most=most)
        except TooLargeError:
            if limit == 1:
                raise
            limit = max(limit // _FEWER, 1)
            continue
        page = decode_response(partial(decode_any_depth, _decode_list), response)
        items += [item for raw in page.items if (item := read(raw)) is not None]
        if not page.metadata.proceed:
            return Listing(items, page.metadata.resource_version)
        proceed = page.metadata.proceed
