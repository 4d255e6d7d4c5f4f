"""Decisions about a deployment's cache: is it filled, should its Job be there, and what may be made meanwhile.

Pure functions of the observation. That a claim is filled is marked on the claim itself, so neither a Job that somebody
deleted nor a new operator fills it twice, and a claim that somebody deleted is filled anew.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from triton_operator.cluster.observed import ClaimState, JobState, Kind
from triton_operator.reconcile.observed_state import ObservedState
from triton_operator.reconcile.store import ChildId
from triton_operator.resources.cache import Generation
from triton_operator.resources.cache_content import claim_name, recipe

RETRY_AFTER = timedelta(minutes=5)
"""Pause after a Job has given up on an outage; before that it has paused ever longer between its own attempts."""

MISTAKE_REASON = "PodFailurePolicy"
"""Reason of a Job's condition Failed when its pod ended with the exit code for a mistake."""


class Caching(NamedTuple):
    """The cache that the present spec asks for. `job` is its Job's state, `uid` that Job's; None and "" without one."""

    generation: Generation
    job: JobState | None
    uid: str

    @property
    def retry_at(self) -> datetime | None:
        """When a Job that gave up is made anew; None for one that did not, and for a mistake of the user's."""
        return _retry_at(self.job) if self.job else None


def decide_caching(observation: ObservedState) -> Caching | None:
    """What to do about the cache now; None when the spec asks for none."""
    deployment = observation.deployment
    cache = deployment.spec.cache
    if cache is None:
        return None
    name = claim_name(deployment)
    claim, job = observation.owned.get((Kind.CLAIM, name)), observation.owned.get((Kind.JOB, name))
    claim_state = claim.state if claim and isinstance(claim.state, ClaimState) else ClaimState()
    job_state = job.state if job and isinstance(job.state, JobState) else None
    filled = claim is not None and (claim_state.filled or (job_state is not None and job_state.complete))
    wants_job = not filled and not deployment.spec.suspend
    generation = Generation(
        name=name,
        filled=filled,
        # A claim that exists may have been enlarged by hand, and Kubernetes makes none smaller.
        size=claim_state.requested or cache.size,
        job=wants_job and (job_state is None or _may_stay(job_state, recipe(deployment.spec), observation.now)),
    )
    return Caching(generation, job_state, job.uid if job else "")


def guards(observation: ObservedState) -> frozenset[ChildId]:
    """Policies of Jobs that are still there: a pod that is being ended must not run a moment without."""
    return frozenset((Kind.NETWORK_POLICY, name) for kind, name in observation.owned if kind is Kind.JOB)


def _may_stay(job: JobState, wanted: str, now: datetime) -> bool:
    """Whether a Job is left as it is. One that is not is deleted, and then it is missing and made anew.

    A newer operator would make it a little differently; that is no cause to interrupt it.
    """
    retry_at = _retry_at(job)
    return job.recipe == wanted and not job.complete and (retry_at is None or now < retry_at)


def _retry_at(job: JobState) -> datetime | None:
    if not job.failed or job.reason == MISTAKE_REASON or not job.failed_at:
        return None
    return datetime.fromisoformat(job.failed_at) + RETRY_AFTER
