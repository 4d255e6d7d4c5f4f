"""A Reflector for a kind that may not exist, or that the operator cannot read: then it has no objects.

It tries again from time to time, so that a definition that is installed later is found without a restart.
"""

from __future__ import annotations

import math
import random
from http import HTTPStatus
from typing import TypeVar

from triton_operator.cluster.errors import ClusterError
from triton_operator.cluster.reflector import Reflector, Versioned

T = TypeVar("T", bound=Versioned)

ABSENT_SECONDS = 15.0
"""Longest pause before the next attempt while the kind does not exist."""


class OptionalReflector(Reflector[T]):
    """`synced` is also set after a failed attempt, so that nobody waits for this kind."""

    async def _recover(self, error: ClusterError) -> None:
        self.synced.set()
        if error.status not in {HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN}:
            await super()._recover(error)
            return
        self._alive()
        self._version = ""
        self._sink.replace([], math.inf)
        await self._pause(ABSENT_SECONDS * random.uniform(0.5, 1.0))
