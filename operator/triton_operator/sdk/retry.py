"""One try to reach a server, what became of it, and when to try again.

Input: a failure as a transport met it. Output: another try, or one of our errors. Nothing is repeated that could make
a model run twice, unless the caller allows it: a stateful model would count the same request again.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from enum import Enum
from typing import TypeVar

from triton_operator.errors import TritonOperatorError
from triton_operator.sdk.errors import DeadlineExceededError, SdkError

T = TypeVar("T")

ATTEMPTS = 5
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.1, 3.0


class RequestOutcome(Enum):
    """What became of a request that failed."""

    NOT_SENT = "not sent"
    """There was no connection."""

    RETRYABLE = "put off"
    """The server said that it is too busy or not ready: HTTP 503, gRPC UNAVAILABLE. It has not run the model."""

    UNKNOWN = "unknown"
    """The connection broke in between."""

    ANSWERED = "answered"
    """The server's answer is an error; it would be the same again."""


class AttemptError(TritonOperatorError):
    """A transport's way to say that a request failed: the error for the caller, and its fate."""

    def __init__(self, error: SdkError, outcome: RequestOutcome) -> None:
        super().__init__(str(error))
        self.error = error
        self.outcome = outcome

    def is_retryable(self, *, harmless: bool) -> bool:
        """Whether the same request may be sent again; `harmless` where its effect is the same once or twice."""
        return self.outcome in {RequestOutcome.NOT_SENT, RequestOutcome.RETRYABLE} or (
            harmless and self.outcome is RequestOutcome.UNKNOWN
        )


class Deadline:
    """When a call must be over, on the monotonic clock."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds left; 0 when it is over."""
        return max(0.0, self._end - time.monotonic())


def pauses(chance: Callable[[], float] = random.random) -> Iterator[float]:
    """Seconds before each further attempt: twice as long each time, half of it by chance, so that clients spread."""
    longest = _FIRST_PAUSE_SECONDS
    for _ in range(ATTEMPTS - 1):
        yield longest * (0.5 + chance() / 2)
        longest = min(2 * longest, _LONGEST_PAUSE_SECONDS)


async def call_with_retries(
    call: Callable[[], Awaitable[T]],
    deadline: Deadline,
    what: str,
    *,
    harmless: bool,
    renew: Callable[[], Awaitable[None]] | None = None,
) -> T:
    """Call until it succeeds, may not be repeated, or the time is over; raises our errors only.

    `renew` is awaited after a request that was not sent: the way there may be another one now.
    """
    for pause in [*pauses(), None]:
        try:
            return await _in_time(call, deadline, what)
        except AttemptError as failed:
            if pause is None or pause >= deadline.left or not failed.is_retryable(harmless=harmless):
                raise failed.error from failed.__cause__
            not_sent = failed.outcome is RequestOutcome.NOT_SENT
        await asyncio.sleep(pause)
        if not_sent and renew:
            await renew()
    raise AssertionError("the last attempt returns or raises")


async def call_once(call: Callable[[], Awaitable[T]], deadline: Deadline, what: str) -> T:
    """Call without a second attempt; raises our errors only."""
    try:
        return await _in_time(call, deadline, what)
    except AttemptError as failed:
        raise failed.error from failed.__cause__


async def _in_time(call: Callable[[], Awaitable[T]], deadline: Deadline, what: str) -> T:
    try:
        async with asyncio.timeout(deadline.left):
            return await call()
    except TimeoutError as error:
        raise DeadlineExceededError(f"{what}: no answer within {deadline.seconds:g} s") from error
