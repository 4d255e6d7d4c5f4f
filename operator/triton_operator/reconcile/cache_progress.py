"""The progress of a cache that is being filled and, if that fails, why and whether it is retried.

Pure. The Job's pods are diagnosed like serving pods, because they run the same `prepare`. Only the Events of a Job
report that it cannot create a pod.
"""

from __future__ import annotations

from collections.abc import Sequence

from triton_operator.api.conditions import Reason
from triton_operator.api.status import CacheState, CacheStatus
from triton_operator.cluster.observed import PodEvent
from triton_operator.reconcile.caching import Caching
from triton_operator.reconcile.container_ends import Diagnosis
from triton_operator.reconcile.observed_state import ObservedState
from triton_operator.reconcile.pod_failures import diagnose
from triton_operator.reconcile.retry_hint import retry_hint


def diagnose_cache(caching: Caching, observed: ObservedState) -> Diagnosis | None:
    """What prevents filling the cache; None if nothing does, or if it is filled."""
    if caching.generation.filled:
        return None
    return (
        _judge_pods(caching, observed) or _judge_events(observed.pod_events.get(caching.uid, ())) or _judge_job(caching)
    )


def derive_cache(caching: Caching, diagnosis: Diagnosis | None, observed: ObservedState, now: str) -> CacheStatus:
    """`status.cache`; `now` is the time since which a new state applies."""
    state = _state(caching, diagnosis)
    name = caching.generation.name
    old = observed.status.cache if observed.status else None
    unchanged = old is not None and (old.claim_name, old.state) == (name, state)
    return CacheStatus(claim_name=name, state=state, since=old.since if old and unchanged else now)


def _state(caching: Caching, diagnosis: Diagnosis | None) -> CacheState:
    if caching.generation.filled:
        return CacheState.FILLED
    if diagnosis:
        return CacheState.FAILED
    return CacheState.FILLING if caching.job else CacheState.WAITING


def _judge_pods(caching: Caching, observed: ObservedState) -> Diagnosis | None:
    """The newest pod with a diagnosis; the last failure is reported while the next attempt runs."""
    for pod in reversed(observed.cache_pods):
        if pod.job != caching.generation.name or pod.deleting or pod.phase == "Succeeded":
            continue
        for found in diagnose(pod, observed.pod_events.get(pod.uid, ()), observed.deployment.spec):
            return found._replace(retry_hint=_retry_hint(caching)) if pod.phase == "Failed" else found
    return None


def _judge_events(events: Sequence[PodEvent]) -> Diagnosis | None:
    """Events of the Job itself."""
    for event in reversed(events):
        if event.reason == "FailedCreate":
            quota = "exceeded quota" in event.message
            reason = Reason.QUOTA_EXCEEDED if quota else Reason.FORBIDDEN
            return Diagnosis(reason, event.message, retry_hint=retry_hint(reason))
    return None


def _judge_job(caching: Caching) -> Diagnosis | None:
    """The failure of the Job itself, for when its pods and their termination messages no longer exist."""
    if caching.job is None or not caching.job.failed:
        return None
    message = f"Job {caching.generation.name} failed: {caching.job.message}"
    return Diagnosis(Reason.PREPARE_FAILED, message, retry_hint=_retry_hint(caching))


def _retry_hint(caching: Caching) -> str:
    """Whether and when a failure of one of its pods is retried."""
    name = caching.generation.name
    if caching.job is None or not caching.job.failed:
        return f"Job {name} retries automatically"
    if caching.retry_at is None:
        return f"the download is retried when the spec changes or Job {name} is deleted"
    return f"Job {name} is created again at {caching.retry_at:%H:%M:%S} UTC"
