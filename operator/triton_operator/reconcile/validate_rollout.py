"""Checks of `spec.rollout`, which the CRD also has. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from triton_operator.api.errors import InvalidSpecError, Problem
from triton_operator.api.rollout import Canary, CanaryPause, Rollout, Strategy
from triton_operator.api.spec import Spec
from triton_operator.reconcile.canary import MOST_WEIGHT, PROMOTED
from triton_operator.reconcile.times import parse_time
from triton_operator.resources.probes import startup_seconds

_MOST_PODS = 1000
_PERCENTAGE = re.compile(r"([1-9]?[0-9]|100)%")
_MOST_STEPS = 10
_LONGEST_PAUSE = 604_800
_NONE = frozenset({"0", "0%"})


def validate_rollout(spec: Spec) -> None:
    """Raise InvalidSpecError with everything that is wrong."""
    problems = list(_problems(spec))
    if problems:
        raise InvalidSpecError.of(problems)


def _problems(spec: Spec) -> Iterator[Problem]:
    rollout = spec.rollout
    for name, value in (("maxSurge", rollout.max_surge), ("maxUnavailable", rollout.max_unavailable)):
        if value is not None:
            yield from (Problem(f"spec.rollout.{name}", problem) for problem in _wrong_count(rollout, value))
    if str(rollout.max_surge) in _NONE and str(rollout.max_unavailable) in _NONE:
        message = "must be greater than 0 while maxSurge is 0, because no pod could be replaced"
        yield Problem("spec.rollout.maxUnavailable", message)
    yield from _canary_problems(spec)
    deadline, budget = rollout.progress_deadline_seconds, startup_seconds(spec)
    if deadline is not None and deadline <= budget:
        message = (
            f"must be greater than lifecycle.startupTimeoutSeconds ({budget}), so that a start that may still succeed "
            "does not count as failed"
        )
        yield Problem("spec.rollout.progressDeadlineSeconds", message)
    if rollout.restarted_at is not None and parse_time(rollout.restarted_at) is None:
        message = f"{rollout.restarted_at!r} is not a time such as 2026-11-30T21:00:00Z"
        yield Problem("spec.rollout.restartedAt", message)


def _canary_problems(spec: Spec) -> Iterator[Problem]:
    canary, is_requested = spec.rollout.canary, spec.rollout.strategy is Strategy.CANARY
    if is_requested != (canary is not None):
        wrong = "is required with the strategy Canary" if is_requested else "has no effect unless strategy is Canary"
        yield Problem("spec.rollout.canary", wrong)
    if is_requested and spec.autoscaling:
        yield Problem(
            "spec.autoscaling", "cannot be used with the strategy Canary, whose share depends on the replicas"
        )
    if is_requested and spec.cache:
        yield Problem("spec.cache", "cannot be used with the strategy Canary, because both revisions need a cache")
    if canary is not None:
        yield from _step_problems(canary)


def _step_problems(canary: Canary) -> Iterator[Problem]:
    weights = [step.weight for step in canary.steps]
    if not 1 <= len(weights) <= _MOST_STEPS or weights[0] == PROMOTED:
        message = f"must have 1 to {_MOST_STEPS} steps, the first one with a weight from 1 to {MOST_WEIGHT}"
        yield Problem("spec.rollout.canary.steps", message)
    if weights != sorted(set(weights)):
        yield Problem("spec.rollout.canary.steps", "must have increasing weights")
    for index, step in enumerate(canary.steps):
        path = f"spec.rollout.canary.steps[{index}]"
        if not (1 <= step.weight <= MOST_WEIGHT or step.weight == PROMOTED):
            message = (
                f"must be from 1 to {MOST_WEIGHT}, because the stable pods stay, or {PROMOTED} to promote the canary; "
                f"got {step.weight}"
            )
            yield Problem(f"{path}.weight", message)
        if step.weight == PROMOTED and step.pause != CanaryPause():
            yield Problem(f"{path}.pause", "has no effect, because the weight 100 promotes the canary; remove it")
        if step.pause.seconds is not None and not 0 <= step.pause.seconds <= _LONGEST_PAUSE:
            message = f"must be from 0 to {_LONGEST_PAUSE}; got {step.pause.seconds}"
            yield Problem(f"{path}.pause.seconds", message)


def _wrong_count(rollout: Rollout, value: int | str) -> Iterator[str]:
    if rollout.strategy is not Strategy.ROLLING_UPDATE:
        yield "has no effect unless strategy is RollingUpdate; remove it or set the strategy"
    is_count = 0 <= value <= _MOST_PODS if isinstance(value, int) else _PERCENTAGE.fullmatch(value)
    if not is_count:
        yield f"must be a number from 0 to {_MOST_PODS}, or a percentage such as 25%, at most 100%; got {value!r}"
