"""The kinds that an API server has, found by any name that kubectl accepts: `md`, `pods`, `NetworkPolicy`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from triton_operator.cluster.resource_paths import Resource
from triton_operator.sdk.cluster_objects import Object
from triton_operator.sdk.kubernetes_client import KubernetesClient


class ApiResource(NamedTuple):
    """A kind; the objects of some kinds belong to no namespace."""

    resource: Resource
    namespaced: bool


class ApiResources:
    """The kinds of one cluster; they are read again when a name is unknown, because tests install CRDs."""

    def __init__(self, client: KubernetesClient) -> None:
        self._client = client
        self._found: dict[str, ApiResource] = {}

    def find(self, name: str) -> ApiResource:
        """The kind with this name, in any case: plural, singular, short, or the form plural.version.group.

        Raises LookupError.
        """
        name = name.lower()
        if name not in self._found:
            for found in self._read():
                for each in found:
                    self._found.setdefault(each, found[each])
                if name in self._found:
                    break
        if name not in self._found:
            raise LookupError(f"the API server has no kind {name!r}")
        return self._found[name]

    def _read(self) -> Iterator[dict[str, ApiResource]]:
        """The kinds of each group by their names, the core group first: its names win, as with kubectl."""
        yield _named(self._client.get_path("/api/v1"))
        for group in self._client.get_path("/apis")["groups"]:
            yield _named(self._client.get_path(f"/apis/{group['preferredVersion']['groupVersion']}"))


def _named(listed: Object) -> dict[str, ApiResource]:
    found = {}
    for each in listed["resources"]:
        if "/" in each["name"]:
            continue  # A subresource
        resource = Resource(listed["groupVersion"], each["kind"], each["name"])
        group, _, version = listed["groupVersion"].rpartition("/")
        for name in (
            f"{each['name']}.{version}.{group}",
            each["name"],
            each["kind"].lower(),
            *each.get("shortNames", ()),
        ):
            found[name] = ApiResource(resource, each["namespaced"])
    return found
