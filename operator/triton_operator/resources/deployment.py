"""The Deployment around a revision's pod template."""

from __future__ import annotations

from triton_operator.api.names import selector_labels
from triton_operator.api.spec import ModelDeployment
from triton_operator.resources.metadata import Manifest, child_metadata
from triton_operator.resources.revision import Revision
from triton_operator.resources.rollout import build_strategy, old_revisions, progress_deadline_seconds


def build_deployment(
    deployment: ModelDeployment, revision: Revision, replicas: int | None, *, in_place: bool = False
) -> Manifest:
    """The Deployment; if `replicas` is None, their owner (an autoscaler) sets them. `in_place`: see `rollout`."""
    spec = {
        "selector": {"matchLabels": selector_labels(deployment.metadata.name)},
        "template": revision.template,
        "strategy": build_strategy(deployment.spec, in_place=in_place),
        "progressDeadlineSeconds": progress_deadline_seconds(deployment.spec),
        # Of ReplicaSets; as many ControllerRevisions are kept.
        "revisionHistoryLimit": old_revisions(deployment.spec),
        "paused": deployment.spec.rollout.paused,
    }
    if replicas is not None:
        spec["replicas"] = replicas
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": child_metadata(deployment, deployment.metadata.name),
        "spec": spec,
    }
