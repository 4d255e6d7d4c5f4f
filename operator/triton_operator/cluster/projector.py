"""Projects each version of a child only once.

The response to a write and its event have the same version of the object, and either may arrive first; the second one
reuses the result. `HttpCluster` and the reflectors share one Projector.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from triton_operator.cluster.projection import identify, project_child

if TYPE_CHECKING:
    from collections.abc import Iterator

    import msgspec

    from triton_operator.cluster.observed import Child, Kind

RECENT = 256
"""Maximum number of cached versions; those that others wrote arrive only once."""


class Projector:
    """`project_child` with a cache of recent results."""

    def __init__(self) -> None:
        self._recent: dict[tuple[str, str], Child] = {}
        self._written: set[tuple[Kind, str, str]] = set()

    @contextlib.contextmanager
    def writing(self, kind: Kind, namespace: str, name: str) -> Iterator[None]:
        """Context of a write by us, after which it is known what we own of the object."""
        child = (kind, namespace, name)
        self._written.add(child)
        try:
            yield
        finally:
            self._written.discard(child)

    def project(self, kind: Kind, body: bytes | msgspec.Raw, *, with_owned: bool = False) -> Child:
        """A child; raises msgspec.DecodeError for anything else.

        The digest of what we own (`with_owned`) is needed only for objects from lists and watches that we have not just
        written, not for responses or events that overtake them.
        """
        found = identify(body)
        version = (found.uid, found.resource_version)
        known = self._recent.pop(version, None)
        if known is not None:
            return known
        with_owned = with_owned and (kind, found.namespace, found.name) not in self._written
        child = self._recent[version] = project_child(kind, body, with_owned=with_owned)
        if len(self._recent) > RECENT:
            del self._recent[next(iter(self._recent))]
        return child
