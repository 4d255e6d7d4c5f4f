"""Retries of a request: which failures allow another attempt, and when it is made.

Input: a coroutine function that raises AttemptError. Output: its result, or an SdkError. A request that may have run
the model is not sent again unless the caller allows it, because a stateful model would count it twice.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from enum import Enum
from typing import Protocol, TypeVar

from triton_operator.errors import TritonOperatorError
from triton_operator.sdk.errors import DeadlineExceededError, SdkError

T = TypeVar("T")

ATTEMPTS = 5
_FIRST_DELAY_SECONDS, _MAX_DELAY_SECONDS = 0.1, 3.0


class RequestOutcome(Enum):
    """How far a failed request got."""

    NOT_SENT = "not sent"
    """There was no connection."""

    RETRYABLE = "retryable"
    """The server was busy or not ready (HTTP 503, gRPC UNAVAILABLE) and has not run the model."""

    UNKNOWN = "unknown"
    """The connection was lost after the request was sent."""

    UNTRUSTED = "untrusted"
    """TLS failed, so nothing was sent. Another attempt fails too, unless the client reads other authorities."""

    UNAUTHENTICATED = "unauthenticated"
    """The server rejected the token (HTTP 401, gRPC UNAUTHENTICATED) and has not run the model."""

    ANSWERED = "answered"
    """The server returned an error, and would return it again."""


_RENEWABLE = {RequestOutcome.UNTRUSTED, RequestOutcome.UNAUTHENTICATED}


class AttemptError(TritonOperatorError):
    """One attempt failed; `error` is for the caller if it is the last one, and `token` is a rejected token."""

    def __init__(self, error: SdkError, outcome: RequestOutcome, token: str = "") -> None:
        super().__init__(str(error))
        self.error = error
        self.outcome = outcome
        self.token = token

    def is_retryable(self, *, idempotent: bool) -> bool:
        """Return whether the request may be sent again; `idempotent` if running it twice has no further effect."""
        return self.outcome in {RequestOutcome.NOT_SENT, RequestOutcome.RETRYABLE} or (
            idempotent and self.outcome is RequestOutcome.UNKNOWN
        )


class Recovery(Protocol):
    """What a connection can do before the next attempt."""

    async def reconnect(self) -> None:
        """Replace a connection that is gone."""

    async def renew(self, failure: AttemptError) -> bool:
        """Read the authorities (UNTRUSTED) or the token (UNAUTHENTICATED) again; returns whether they changed."""


class Deadline:
    """The end of a call, `seconds` from now on the monotonic clock."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds left, at least 0."""
        return max(0.0, self._end - time.monotonic())


def backoff_delays(jitter: Callable[[], float] = random.random) -> Iterator[float]:
    """Yield the seconds before each retry: exponential, with half of each delay random so that clients spread out."""
    longest = _FIRST_DELAY_SECONDS
    for _ in range(ATTEMPTS - 1):
        yield longest * (0.5 + jitter() / 2)
        longest = min(2 * longest, _MAX_DELAY_SECONDS)


async def call_with_retries(
    call: Callable[[], Awaitable[T]],
    deadline: Deadline,
    operation: str,
    *,
    idempotent: bool,
    recovery: Recovery | None = None,
) -> T:
    """Call until it succeeds, a retry is not allowed, or the deadline is reached; raises SdkError.

    `operation` describes the call in messages. `recovery` reconnects after an attempt that found no connection, and
    reads authorities or a token again once if the server was not trusted or rejected the token.
    """
    renewed: set[RequestOutcome] = set()
    delays = [*backoff_delays(), None]
    while True:
        try:
            return await _call_before(deadline, call, operation)
        except AttemptError as failure:
            outcome = failure.outcome
            if outcome in _RENEWABLE and recovery and outcome not in renewed:
                renewed.add(outcome)
                if await _renew_before(deadline, recovery, failure, operation):
                    continue
            delay = delays.pop(0)
            if delay is None or delay >= deadline.left or not failure.is_retryable(idempotent=idempotent):
                raise failure.error from failure.__cause__
        await asyncio.sleep(delay)
        if outcome is RequestOutcome.NOT_SENT and recovery:
            await recovery.reconnect()


async def call_once(call: Callable[[], Awaitable[T]], deadline: Deadline, operation: str) -> T:
    """Call without retries; raises SdkError."""
    try:
        return await _call_before(deadline, call, operation)
    except AttemptError as failure:
        raise failure.error from failure.__cause__


async def _renew_before(deadline: Deadline, recovery: Recovery, failure: AttemptError, operation: str) -> bool:
    return await _call_before(deadline, lambda: recovery.renew(failure), operation)


async def _call_before(deadline: Deadline, call: Callable[[], Awaitable[T]], operation: str) -> T:
    try:
        async with asyncio.timeout(deadline.left):
            return await call()
    except TimeoutError as error:
        raise DeadlineExceededError(f"{operation}: no response within {deadline.seconds:g} s") from error
