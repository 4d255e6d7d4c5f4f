"""The Deployment around a revision's pod template."""

from __future__ import annotations

from triton_operator.api.names import selector_labels
from triton_operator.api.spec import ModelDeployment, Spec
from triton_operator.resources.metadata import Manifest, child_metadata
from triton_operator.resources.probes import startup_seconds
from triton_operator.resources.revision import HISTORY, Revision

BEFORE_STARTUP_SECONDS = 1800
"""A rollout may pull a 15 GB image before the startup timeout begins."""


def build_deployment(deployment: ModelDeployment, revision: Revision, replicas: int | None) -> Manifest:
    """The Deployment; if `replicas` is None, their owner (an autoscaler) sets them."""
    spec = {
        "selector": {"matchLabels": selector_labels(deployment.metadata.name)},
        "template": revision.template,
        "strategy": _strategy(deployment.spec),
        "progressDeadlineSeconds": progress_deadline_seconds(deployment.spec),
        # Old ReplicaSets; with the current one, there are as many as ControllerRevisions.
        "revisionHistoryLimit": HISTORY - 1,
        "paused": False,
    }
    if replicas is not None:
        spec["replicas"] = replicas
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": child_metadata(deployment, deployment.metadata.name),
        "spec": spec,
    }


def progress_deadline_seconds(spec: Spec) -> int:
    """The time without progress after which a rollout has failed."""
    return spec.lifecycle.progress_deadline_seconds or startup_seconds(spec) + BEFORE_STARTUP_SECONDS


def replaces_in_place(spec: Spec) -> bool:
    """Whether a rollout stops an old pod before it starts a new one, which could wait forever for the last GPU."""
    return spec.gpu is not None


def _strategy(spec: Spec) -> dict[str, object]:
    surge, unavailable = (0, 1) if replaces_in_place(spec) else (1, 0)
    return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}
