"""Whether and when something that failed is retried: the last part of a message about a failure.

Pure. Kubernetes retries nearly everything, but for some reasons (`TERMINAL`) a retry cannot help, and the message says
so. Times are reported only if known: the kubelet writes how long it delays the restart of a container.
"""

from __future__ import annotations

import re
from datetime import UTC, timedelta

from triton_operator.api.conditions import TERMINAL, Reason
from triton_operator.cluster.observed import Container, Terminated
from triton_operator.reconcile.times import parse_time

_BACK_OFF = re.compile(r"back-off (?=\d)(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)(?:\.\d+)?s)? restarting failed")
"""The kubelet's message of a container in CrashLoopBackOff, with a Go duration in it."""

_BY_REASON = {
    # The kubelet doubles its pause between pulls up to this (MaxImageBackOff).
    Reason.IMAGE_PULL_FAILED: "the kubelet retries automatically, at least every 5 minutes",
    Reason.VOLUME_UNBOUND: "the pod starts automatically once the volume is bound",
    # The kubelet doubles its pause between mounts up to 2 minutes and 2 seconds.
    Reason.DEPENDENCY_MISSING: "the pod starts automatically within about 2 minutes after the object is created",
    Reason.CERTIFICATE_PENDING: "pods are created when cert-manager has issued the certificate",
    Reason.INSUFFICIENT_GPU: "the pod is scheduled automatically once a node has enough free GPUs",
    Reason.UNSCHEDULABLE: "the pod is scheduled automatically once a node can run it",
    # Work queues of Kubernetes' controllers double their pause up to 1000 seconds.
    Reason.QUOTA_EXCEEDED: "Kubernetes retries automatically, at least every 17 minutes",
    Reason.FORBIDDEN: "change what is requested, or the rule that forbids it",
    Reason.OUT_OF_SPACE: "a new pod is created automatically",
    Reason.NODE_LOST: "the pod is replaced automatically if the node does not come back, by default after 5 minutes",
    Reason.PROGRESS_DEADLINE_EXCEEDED: "the existing pods keep retrying, but the cause needs attention",
}


def retry_hint(reason: str) -> str:
    """The hint for a failure that is not the end of a container; "" if nothing is known."""
    return _BY_REASON.get(reason, "")


def restart_hint(reason: str, container: Container, ended: Terminated) -> str:
    """The hint for the end of a container; the kubelet restarts every container of these pods."""
    when = _next_start(container, ended)
    if reason in TERMINAL:
        return f"the container is restarted{when}, but fails until the cause is fixed"
    return f"the container is restarted automatically{when}"


def _next_start(container: Container, ended: Terminated) -> str:
    """When the kubelet restarts the container, "" if unknown."""
    ended_at = parse_time(ended.finished_at)
    found = _BACK_OFF.search(container.waiting_message)
    if ended_at is None or found is None:
        return ""
    hours, minutes, seconds = (int(part or 0) for part in found.groups())
    try:
        start = ended_at + timedelta(hours=hours, minutes=minutes, seconds=seconds)
    except OverflowError:
        return ""
    return f" at about {start.astimezone(UTC):%H:%M:%S} UTC"
