"""The Deployment around a revision's pod template."""

from __future__ import annotations

from triton_operator.api.names import (
    ANNOTATION_CANARY_FAILURE,
    ANNOTATION_FAILED_REVISION,
    ANNOTATION_RESTORED_REVISION,
    selector_labels,
)
from triton_operator.api.spec import ModelDeployment
from triton_operator.api.status import Rollback
from triton_operator.resources.metadata import Manifest, child_metadata
from triton_operator.resources.revision import Revision
from triton_operator.resources.rollout import build_strategy, old_revisions, progress_deadline_seconds


def build_deployment(
    deployment: ModelDeployment,
    revision: Revision,
    replicas: int | None,
    *,
    in_place: bool = False,
    rollback: Rollback | None = None,
    canary_failed: bool = False,
) -> Manifest:
    """The Deployment; if `replicas` is None, their owner (an autoscaler) sets them. `in_place`: see `rollout`.

    `rollback` is recorded in annotations, in the same write as the pod template; with `canary_failed`, its cause, too.
    """
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
    metadata = child_metadata(deployment, deployment.metadata.name)
    if rollback:
        metadata["annotations"] = {
            ANNOTATION_FAILED_REVISION: rollback.failed_revision,
            ANNOTATION_RESTORED_REVISION: rollback.restored_revision,
        }
        if canary_failed:
            metadata["annotations"][ANNOTATION_CANARY_FAILURE] = rollback.message
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": spec,
    }
