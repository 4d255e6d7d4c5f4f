"""The kinds that an API server has, found by the names that kubectl accepts: `md`, `NetworkPolicy`, `deployments.apps`.

Only the preferred version of each group is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from triton_operator.cluster.resource_paths import Resource
from triton_operator.sdk.cluster_objects import Object
from triton_operator.sdk.errors import SdkError


class ApiResource(NamedTuple):
    """A kind; the objects of some kinds belong to no namespace."""

    resource: Resource
    namespaced: bool


class ApiResources:
    """The kinds of one cluster; they are read again when a name is unknown, because tests install CRDs.

    `get_path` returns the API server's response for a path, or raises SdkError.
    """

    def __init__(self, get_path: Callable[[str], Object]) -> None:
        self._get_path = get_path
        self._found: dict[str, ApiResource] = {}

    def find(self, name: str) -> ApiResource:
        """The kind with this name, in any case: plural, singular or short, with or without .group or .version.group.

        Raises LookupError, whose message names the groups that could not be read.
        """
        name = name.lower()
        unread: list[str] = []
        if name not in self._found:
            for found in self._read(unread):
                for each in found:
                    self._found.setdefault(each, found[each])
                if name in self._found:
                    break
        if name not in self._found:
            raise LookupError("; ".join([f"the API server has no kind {name!r}", *unread]))
        return self._found[name]

    def _read(self, unread: list[str]) -> Iterator[dict[str, ApiResource]]:
        """The kinds of each group by their names, the core group first: its names win, as with kubectl.

        A group that cannot be read is added to `unread`, with the reason: the server of an aggregated API may be down.
        """
        yield _named(self._get_path("/api/v1"))
        for group in self._get_path("/apis")["groups"]:
            version = group["preferredVersion"]["groupVersion"]
            try:
                listed = self._get_path(f"/apis/{version}")
            except SdkError as error:
                unread.append(f"{version} cannot be read: {error}")
            else:
                yield _named(listed)


def _named(listed: Object) -> dict[str, ApiResource]:
    found = {}
    for each in listed["resources"]:
        if "/" in each["name"]:
            continue  # A subresource
        resource = Resource(listed["groupVersion"], each["kind"], each["name"])
        group, _, version = listed["groupVersion"].rpartition("/")
        for name in (each["name"], each["kind"].lower(), *each.get("shortNames", ())):
            for form in (name, f"{name}.{group}", f"{name}.{version}.{group}"):
                found[form] = ApiResource(resource, each["namespaced"])
    return found
