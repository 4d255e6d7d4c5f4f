"""The decisions about a canary: its share of the pods, its steps, and its end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from triton_operator.api.rollout import CanaryPause, CanaryStep
from triton_operator.reconcile.canary import (
    FAILING_TIME,
    MOST_WEIGHT,
    CanaryAction,
    CanaryDecision,
    CanaryHealth,
    CanaryProgress,
    canary_replicas,
    decide,
    decode,
    encode,
    share,
    tried_steps,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
READY = CanaryHealth(is_complete=True)
STARTING = CanaryHealth(is_complete=False)

weights = st.integers(1, MOST_WEIGHT)
pauses = st.one_of(st.none(), st.integers(0, 600)).map(CanaryPause)
steps_of_canaries = st.lists(st.builds(CanaryStep, weights, pauses), min_size=1, max_size=10).map(tuple)
deadlines = st.one_of(st.none(), st.timedeltas(timedelta(seconds=1), timedelta(minutes=10)))
healths = st.builds(
    CanaryHealth,
    st.booleans(),
    failing=st.sampled_from(["", "busy"]),
    failure=st.sampled_from(["", "crashed"]),
    obstacle=st.just(""),
    deadline=deadlines,
)


@given(st.integers(1, 200), weights)
def test_no_other_number_of_pods_is_nearer_to_the_weight(stable: int, weight: int) -> None:
    found = canary_replicas(stable, weight)
    assert 1 <= found <= stable
    distance = abs(found / (stable + found) - weight / 100)
    assert all(distance <= abs(other / (stable + other) - weight / 100) for other in range(1, stable + 1))


@given(st.integers(1, 200), weights, weights)
def test_a_higher_weight_never_has_fewer_pods(stable: int, one: int, other: int) -> None:
    low, high = sorted((one, other))
    assert canary_replicas(stable, low) <= canary_replicas(stable, high)


def test_the_share_is_that_of_the_pods() -> None:
    assert [share(9, 1), share(4, 4), share(1, 1), share(3, 0), share(0, 0)] == [10, 50, 50, 0, 0]
    assert [canary_replicas(9, 10), canary_replicas(4, 50), canary_replicas(1, 10)] == [1, 4, 1]


@given(steps_of_canaries, healths, st.one_of(st.none(), st.integers(0, 9)), st.lists(st.integers(0, 60), max_size=30))
def test_a_step_ends_only_when_its_pods_are_ready_and_its_pause_is_over(
    steps: tuple[CanaryStep, ...], health: CanaryHealth, resumed: int | None, delays: list[int]
) -> None:
    progress, now = CanaryProgress(), NOW
    for delay in delays:
        before, now = progress, now + timedelta(seconds=delay)
        decision = decide(before, steps, health, now, resumed=resumed)
        progress = decision.progress
        has_ended = decision.what is CanaryAction.PROMOTE or progress.step != before.step
        if decision.what is CanaryAction.ABORT:
            assert health.failure or health.failing or _is_late(health, now)
            return
        if has_ended:
            assert health._replace(deadline=None) == READY
            seconds = steps[before.step].pause.seconds
            waited = now - (before.since or now)
            assert resumed == before.step or (seconds is not None and waited >= timedelta(seconds=seconds))
        if decision.what is CanaryAction.PROMOTE:
            assert before.step == len(steps) - 1
            return
        assert before.step <= progress.step <= before.step + 1
        assert progress.step < len(steps)


def _is_late(health: CanaryHealth, now: datetime) -> bool:
    return not health.is_complete and health.deadline is not None and now - NOW >= health.deadline


def test_a_step_without_seconds_waits_until_a_person_resumes_it() -> None:
    steps = (CanaryStep(10), CanaryStep(50, CanaryPause(60)))
    waiting = decide(CanaryProgress(), steps, READY, NOW, resumed=None)
    assert waiting == CanaryDecision(CanaryAction.ASK, CanaryProgress(0, NOW))
    later = NOW + timedelta(days=30)
    assert decide(waiting.progress, steps, READY, later, resumed=1).what is CanaryAction.ASK, "another step was resumed"
    assert decide(waiting.progress, steps, READY, later, resumed=0) == CanaryDecision(
        CanaryAction.WAIT, CanaryProgress(1)
    )


def test_the_pause_begins_when_the_pods_are_ready() -> None:
    steps = (CanaryStep(50, CanaryPause(60)),)
    assert decide(CanaryProgress(), steps, STARTING, NOW, resumed=None) == CanaryDecision(
        CanaryAction.WAIT, CanaryProgress()
    )
    ready = NOW + timedelta(minutes=10)
    decision = decide(CanaryProgress(), steps, READY, ready, resumed=None)
    assert decision == CanaryDecision(CanaryAction.WAIT, CanaryProgress(0, ready), due=ready + timedelta(seconds=60))
    assert (
        decide(decision.progress, steps, READY, ready + timedelta(seconds=60), resumed=None).what
        is CanaryAction.PROMOTE
    )


def test_a_pod_that_is_not_ready_for_a_moment_does_not_abort_the_canary() -> None:
    steps = (CanaryStep(50, CanaryPause(60)),)
    failing = CanaryHealth(is_complete=False, failing="busy")
    first = decide(CanaryProgress(0, NOW), steps, failing, NOW, resumed=None)
    assert (first.what, first.due) == (CanaryAction.WAIT, NOW + FAILING_TIME)
    assert decide(first.progress, steps, READY, NOW, resumed=None).progress.failing_since is None
    last = decide(first.progress, steps, failing, NOW + FAILING_TIME, resumed=None)
    assert (last.what, last.message) == (CanaryAction.ABORT, "busy")


def test_a_removed_step_is_not_continued() -> None:
    """The user has shortened the list."""
    assert decide(CanaryProgress(3), (CanaryStep(10),), STARTING, NOW, resumed=None).progress.step == 0


def test_the_last_step_with_all_pods_is_the_promotion() -> None:
    assert tried_steps((CanaryStep(10), CanaryStep(100))) == (CanaryStep(10),)


def test_pods_that_no_deadline_of_kubernetes_covers_have_one_too() -> None:
    steps, deadline = (CanaryStep(10), CanaryStep(50)), timedelta(seconds=700)
    lacking = CanaryHealth(is_complete=False, obstacle="no free GPU", deadline=deadline)
    first = decide(CanaryProgress(1), steps, lacking, NOW, resumed=None)
    assert (first.what, first.due) == (CanaryAction.WAIT, NOW + deadline)
    assert decide(first.progress, steps, READY, NOW, resumed=None).progress.late_since is None
    assert decide(first.progress, steps, STARTING, NOW, resumed=None).progress.late_since is None
    last = decide(first.progress, steps, lacking, NOW + deadline, resumed=None)
    assert (last.what, last.message) == (CanaryAction.ABORT, "no progress for 700 s; no free GPU")


times = st.one_of(st.none(), st.just(NOW))


@given(st.builds(CanaryProgress, st.integers(0, 9), times, times, times))
def test_the_progress_survives_a_restart(progress: CanaryProgress) -> None:
    assert decode(encode(progress)) == progress


def test_the_progress_of_an_earlier_version_is_continued() -> None:
    assert decode("1,2026-01-02T03:04:05Z,") == CanaryProgress(1, NOW)


@given(st.text(max_size=40))
def test_a_progress_that_somebody_edited_is_never_an_error(text: str) -> None:
    assert decode(text).step <= 99
