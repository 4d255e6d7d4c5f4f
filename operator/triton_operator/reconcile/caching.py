"""The model cache that a deployment's spec requests: whether it is filled, and whether its Job should exist.

Pure. The claim itself carries the mark that it is filled, so that neither a Job that somebody deleted nor a new
operator fills it twice, and a claim that somebody deleted is filled again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from triton_operator.api.spec import ModelDeployment
from triton_operator.cluster.observed import Child, ChildId, ClaimState, JobState, Kind
from triton_operator.resources.cache import Generation
from triton_operator.resources.cache_content import claim_name, recipe
from triton_operator.resources.fetch_defaults import with_fetch_defaults
from triton_operator.resources.settings import FetchDefaults

RETRY_AFTER = timedelta(minutes=5)
"""Pause after a Job has given up on an outage, on top of the growing pauses between its own attempts."""

MISTAKE_REASON = "PodFailurePolicy"
"""Reason of a Job's condition Failed when its pod ended with the exit code for a user's mistake."""


class Caching(NamedTuple):
    """The cache of the current spec; `job` and `uid` are its Job's state and uid, None and "" without a Job.

    `deployment` is the one for which the Job is built: with the defaults of the installation.
    """

    generation: Generation
    job: JobState | None
    uid: str
    deployment: ModelDeployment

    @property
    def retry_at(self) -> datetime | None:
        """When a Job that gave up is created again; None for one that did not, and after a user's mistake."""
        return _retry_at(self.job) if self.job else None


def decide_caching(
    specified: ModelDeployment, children: Mapping[ChildId, Child], now: datetime, fetching: FetchDefaults
) -> Caching | None:
    """State of the cache and what it should become; None when the spec requests none."""
    cache = specified.spec.cache
    if cache is None:
        return None
    deployment = with_fetch_defaults(specified, fetching)
    name = claim_name(deployment)
    claim, job = children.get((Kind.CLAIM, name)), children.get((Kind.JOB, name))
    claim_state = claim.state if claim and isinstance(claim.state, ClaimState) else ClaimState()
    job_state = job.state if job and isinstance(job.state, JobState) else None
    filled = claim is not None and (claim_state.filled or (job_state is not None and job_state.complete))
    needs_job = not filled and not deployment.spec.suspend
    generation = Generation(
        name=name,
        filled=filled,
        # An existing claim may have been enlarged by hand, and Kubernetes cannot shrink it.
        size=claim_state.requested or cache.size,
        job=needs_job and (job_state is None or _may_stay(job_state, recipe(deployment.spec), now)),
    )
    return Caching(generation, job_state, job.uid if job else "", deployment)


def policies_of_jobs(children: Iterable[ChildId]) -> frozenset[ChildId]:
    """Policies of the Jobs that still exist: a pod must not run without one, not even while it is being deleted."""
    return frozenset((Kind.NETWORK_POLICY, name) for kind, name in children if kind is Kind.JOB)


def _may_stay(job: JobState, desired: str, now: datetime) -> bool:
    """Whether a Job is kept. Any other one is deleted, and once it is gone it is created again.

    A newer operator would build the Job a little differently, which is no reason to interrupt it.
    """
    retry_at = _retry_at(job)
    return job.recipe == desired and not job.complete and (retry_at is None or now < retry_at)


def _retry_at(job: JobState) -> datetime | None:
    if not job.failed or job.reason == MISTAKE_REASON or not job.failed_at:
        return None
    return datetime.fromisoformat(job.failed_at) + RETRY_AFTER
