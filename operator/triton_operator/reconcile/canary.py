"""How a canary proceeds: its share of the pods, its steps, and when it is aborted. Pure.

Clients reach the pods of both revisions through the same Service, so the share of the traffic is that of the ready
pods. The stable pods stay as they are, so that aborting a canary costs no capacity. What is known about the progress
is an annotation of the canary's Deployment, written together with its replicas, so that a restarted operator continues.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from triton_operator.api.rollout import CanaryStep
from triton_operator.reconcile.messages import join
from triton_operator.reconcile.times import format_time, parse_time

MOST_WEIGHT = 50
"""With a higher share, there would be more pods of the canary than stable ones."""
PROMOTED = 100
"""The weight of a last step that gives the new revision to all pods."""
_DIGITS = 2
"""Of the number of a step."""
FAILING_TIME = timedelta(seconds=5)
"""How long a pod that has started may be not ready, for example because it is busy, before the canary is aborted."""


class CanaryProgress(NamedTuple):
    """What is known: the index of the step, and since when its pods have been ready, failing, and late."""

    step: int = 0
    since: datetime | None = None
    failing_since: datetime | None = None
    late_since: datetime | None = None


class CanaryHealth(NamedTuple):
    """The state of the canary's pods: `failure` is what does not recover, `failing` what may, "" without one.

    `is_complete`: all pods of the step are ready, and no others are left; otherwise `obstacle` is what they wait for,
    and `deadline` how long they may, None as long as Kubernetes itself applies the deadline of the Deployment.
    """

    is_complete: bool
    failing: str = ""
    failure: str = ""
    obstacle: str = ""
    deadline: timedelta | None = None


class CanaryAction(StrEnum):
    """What to do now."""

    WAIT = "wait"
    ASK = "ask"
    PROMOTE = "promote"
    ABORT = "abort"


class CanaryDecision(NamedTuple):
    """What to do now, the progress to record, why, and when to decide again without an event."""

    what: CanaryAction
    progress: CanaryProgress
    message: str = ""
    due: datetime | None = None


def tried_steps(steps: Sequence[CanaryStep]) -> tuple[CanaryStep, ...]:
    """The steps with a canary: all but the promotion."""
    return tuple(step for step in steps if step.weight < PROMOTED)


def canary_replicas(stable: int, weight: int) -> int:
    """How many pods next to the stable ones get nearest to the weight: at least 1, and at most as many as these."""
    return min(range(1, max(stable, 1) + 1), key=lambda count: (abs(count / (stable + count) - weight / 100), count))


def share(stable: int, canary: int) -> int:
    """The percentage of the pods that is the canary's."""
    return round(100 * canary / (stable + canary)) if canary else 0


def decide(
    progress: CanaryProgress, steps: Sequence[CanaryStep], health: CanaryHealth, now: datetime, *, resumed: int | None
) -> CanaryDecision:
    """The next decision; `steps` are not empty, `resumed` is the index of the step that a person has resumed."""
    progress = progress._replace(step=min(progress.step, len(steps) - 1))
    if health.failure:
        return CanaryDecision(CanaryAction.ABORT, progress, health.failure)
    if health.failing:
        return _judge_failing(progress, health.failing, now)
    progress = progress._replace(failing_since=None)
    if not health.is_complete:
        return _judge_late(progress, health, now)
    progress = progress._replace(since=progress.since or now, late_since=None)
    return _judge_pause(progress, steps, now, resumed)


def _judge_failing(progress: CanaryProgress, failing: str, now: datetime) -> CanaryDecision:
    since = progress.failing_since or now
    progress = progress._replace(failing_since=since)
    if now - since >= FAILING_TIME:
        return CanaryDecision(CanaryAction.ABORT, progress, failing)
    return CanaryDecision(CanaryAction.WAIT, progress, failing, since + FAILING_TIME)


def _judge_late(progress: CanaryProgress, health: CanaryHealth, now: datetime) -> CanaryDecision:
    if health.deadline is None:
        return CanaryDecision(CanaryAction.WAIT, progress._replace(late_since=None))
    since = progress.late_since or now
    progress = progress._replace(late_since=since)
    if now - since < health.deadline:
        return CanaryDecision(CanaryAction.WAIT, progress, due=since + health.deadline)
    return CanaryDecision(CanaryAction.ABORT, progress, describe_late(health.deadline, health.obstacle))


def describe_late(deadline: timedelta, obstacle: str) -> str:
    """Why a canary is aborted whose pods have not become ready in time."""
    return join(f"no progress for {deadline.total_seconds():.0f} s", obstacle)


def _judge_pause(
    progress: CanaryProgress, steps: Sequence[CanaryStep], now: datetime, resumed: int | None
) -> CanaryDecision:
    seconds, since = steps[progress.step].pause.seconds, progress.since or now
    if seconds is None and resumed != progress.step:
        return CanaryDecision(CanaryAction.ASK, progress)
    end = since + timedelta(seconds=seconds or 0)
    if now < end and resumed != progress.step:
        return CanaryDecision(CanaryAction.WAIT, progress, due=end)
    if progress.step + 1 < len(steps):
        return CanaryDecision(CanaryAction.WAIT, CanaryProgress(progress.step + 1))
    return CanaryDecision(CanaryAction.PROMOTE, progress)


def encode(progress: CanaryProgress) -> str:
    """The value of the annotation."""
    since = (progress.since, progress.failing_since, progress.late_since)
    times = (format_time(time) if time else "" for time in since)
    return ",".join((str(progress.step), *times))


def decode(text: str) -> CanaryProgress:
    """The progress in an annotation; the beginning for anything else, because anybody may edit it."""
    step, _, times = text.partition(",")
    since, failing, late = (*times.split(",", 2), "", "")[:3]
    if not (step.isascii() and step.isdigit() and len(step) <= _DIGITS):
        return CanaryProgress()
    return CanaryProgress(int(step), parse_time(since), parse_time(failing), parse_time(late))
