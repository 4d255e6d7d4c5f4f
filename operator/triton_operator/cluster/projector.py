"""Projects children, each version of one only once.

The answer to a write and the event that tells of it are the same version of the same object, and either may come
first: whichever is second finds the work done. `HttpCluster` and the reflectors share one Projector.
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
"""Versions remembered at most: those that others wrote come only once."""


class Projector:
    """`project_child` with a memory of what it projected last."""

    def __init__(self) -> None:
        self._recent: dict[tuple[str, str], Child] = {}
        self._written: set[tuple[Kind, str, str]] = set()

    @contextlib.contextmanager
    def writing(self, kind: Kind, namespace: str, name: str) -> Iterator[None]:
        """While the object is being written, so that what we own of it is known without a look."""
        child = (kind, namespace, name)
        self._written.add(child)
        try:
            yield
        finally:
            self._written.discard(child)

    def project(self, kind: Kind, body: bytes | msgspec.Raw, *, with_owned: bool = False) -> Child:
        """A child object; raises msgspec.DecodeError when the bytes are no such object.

        What we own of it (`with_owned`) is of use only where we have not written it ourselves: of what lists and
        watches show, not of answers, nor of events that overtake them.
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
