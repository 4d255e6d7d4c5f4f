"""The limit of core dumps, which programs lower for their own process and its children."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager

from triton_operator.cpu_server.entrypoint import NO_CORE_DUMPS


@contextmanager
def core_dumps_allowed() -> Iterator[int]:
    """Allow this process and its children as much as the system does, until the block ends.

    Yields the limit of a program that forbids core dumps; only a system that forbids them itself has a lower one.
    """
    before, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (most, most))
    try:
        yield NO_CORE_DUMPS if most == resource.RLIM_INFINITY else min(most, NO_CORE_DUMPS)
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, (before, most))
