"""When to reconcile a deployment again although no watch reports a change. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from triton_operator.reconcile.assessment import report_time_left
from triton_operator.reconcile.failed_writes import Blocked
from triton_operator.reconcile.issuance import pending_request
from triton_operator.reconcile.observed_state import PENDING_GRACE, ObservedState, find_stuck
from triton_operator.reconcile.upgrades import end_of_turn
from triton_operator.resources.proxy_inputs import needs_cluster_keys, references

BLOCKED_RETRY_SECONDS = 15.0
"""Objects of others under names of children do not carry the operator's labels, so no watch reports their deletion."""

POLICY_INPUTS_INTERVAL = timedelta(seconds=60)
"""Time between two reads of the users' ConfigMaps and ServiceAccounts that the proxy's policy depends on."""

ISSUANCE_INTERVAL = timedelta(seconds=10)
"""Time between two reads of the Events of a pending CertificateRequest."""

OTHER_AUTOSCALERS_INTERVAL = timedelta(seconds=30)
"""Time between two reads of the autoscalers of others, which do not carry the operator's labels."""

HELD_HOST_INTERVAL = timedelta(seconds=30)
"""Time between two looks at a host that another deployment has, whose changes do not enqueue this one."""

LONGEST_EVENT_INTERVAL = timedelta(seconds=60)
"""Longest time between two reads of the Events of what is stuck."""


def next_pass_delay(before: ObservedState, after: ObservedState, blocked: Blocked | None) -> float | None:
    """Seconds until the next pass, None if only a change is a reason for one.

    `before` is what the pass began with, `after` what its status was derived from.
    """
    if _was_cache_filled(before, after):
        return 0.0  # The response to the operator's write shows it, and no other event will.
    if blocked and not blocked.permanent:
        return BLOCKED_RETRY_SECONDS
    return min((delay.total_seconds() for delay in _delays(after)), default=None)


def _delays(observed: ObservedState) -> Iterator[timedelta]:
    """Times until something changes that no watch reports."""
    if stuck := find_stuck(observed):
        # The longer a pod is stuck, the less likely is news: pulling a large image may take half an hour.
        age = observed.now - max(stuck.values())
        yield min(max(age, PENDING_GRACE), LONGEST_EVENT_INTERVAL)
    yield from filter(None, (report_time_left(pod, observed.now) for pod in observed.pods))
    if observed.caching and observed.caching.retry_at:
        yield max(observed.caching.retry_at - observed.now, timedelta(0))
    if pending_request(observed):
        yield ISSUANCE_INTERVAL
    if observed.other_autoscalers != ():
        yield OTHER_AUTOSCALERS_INTERVAL
    if observed.exposure.held_hosts:
        yield HELD_HOST_INTERVAL
    if room := observed.room.changes_in(observed.now):
        yield room
    if observed.due:
        yield max(observed.due - observed.now, timedelta(0))
    if end := end_of_turn(observed):
        yield max(end - observed.now, timedelta(0))
    spec = observed.deployment.spec
    if any(references(spec)) or needs_cluster_keys(spec):
        yield POLICY_INPUTS_INTERVAL


def _was_cache_filled(before: ObservedState, after: ObservedState) -> bool:
    return bool(
        before.caching and after.caching and after.caching.generation.filled and not before.caching.generation.filled
    )
