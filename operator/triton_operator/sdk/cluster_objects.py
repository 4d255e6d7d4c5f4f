"""Types for requests to the Kubernetes API server, and for its responses.

`kubernetes_client` takes and returns these types.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from triton_operator.cluster.resource_paths import Resource

Object = dict[str, Any]

_NO_LIMIT = -1


class ObjectList(NamedTuple):
    """Listed objects, and the resourceVersion of the list: a watch that starts from it misses no change."""

    items: list[Object]
    version: str


class Event(NamedTuple):
    """A change: `kind` is ADDED, MODIFIED, DELETED or ERROR."""

    kind: str
    object: Object


@dataclass(frozen=True)
class Selection:
    """Objects of one resource: the one with a name, those with labels, or all.

    The namespace "" is that of the client; None stands for all namespaces, and for resources that have none.
    """

    resource: Resource
    namespace: str | None = ""
    name: str = ""
    labels: str = ""

    def query(self) -> dict[str, str]:
        """Parameters of a list or a watch."""
        fields = {"fieldSelector": f"metadata.name={self.name}"} if self.name else {}
        return fields | ({"labelSelector": self.labels} if self.labels else {})


@dataclass(frozen=True)
class LogOptions:
    """Which part of a log: the last `tail` lines, the last `since_seconds`, the run before the last restart."""

    since_seconds: int = 0
    tail: int = _NO_LIMIT
    previous: bool = False
    follow: bool = False

    def query(self) -> dict[str, str]:
        """Parameters of the request."""
        return {
            **({"sinceSeconds": str(self.since_seconds)} if self.since_seconds else {}),
            **({"tailLines": str(self.tail)} if self.tail != _NO_LIMIT else {}),
            **({"previous": "true"} if self.previous else {}),
            **({"follow": "true"} if self.follow else {}),
        }
