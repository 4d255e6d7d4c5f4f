"""A Reflector for a kind that may not exist, or that the operator cannot read: then it has no objects.

It tries again from time to time, so that a definition that is installed later is found without a restart.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, TypeVar

from triton_operator.cluster.errors import ClusterError
from triton_operator.cluster.reflector import Reflector, Versioned

T = TypeVar("T", bound=Versioned)

ABSENT_SECONDS = 15.0
"""Longest pause before the next attempt while the kind does not exist."""


class OptionalReflector(Reflector[T]):
    """`synced` is also set after a failed attempt, so that nobody waits for this kind.

    `unavailable` is called with the status of an attempt that failed because of the kind, and with None when a list has
    succeeded.
    """

    def __init__(
        self, *args: Any, unavailable: Callable[[HTTPStatus | None], None] = lambda _status: None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._unavailable = unavailable

    async def _list(self) -> None:
        await super()._list()
        self._unavailable(None)

    async def _recover(self, error: ClusterError) -> None:
        self.synced.set()
        if error.status not in {HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN}:
            await super()._recover(error)
            return
        self._alive()
        self._version = ""
        self._sink.replace([], math.inf)
        self._unavailable(HTTPStatus(error.status))
        await self._pause(ABSENT_SECONDS * random.uniform(0.5, 1.0))
