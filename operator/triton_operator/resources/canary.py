"""The Deployment of a canary: pods of the new revision next to the stable ones.

Pure. It differs from the stable Deployment in a label of its pods, so that the selectors do not overlap. The Services,
the budget and the NetworkPolicy omit this label while there may be a canary, see `names.serving_labels`.
"""

from __future__ import annotations

from triton_operator.api.names import ANNOTATION_CANARY, LABEL_TRACK, TRACK_CANARY, canary_name, selector_labels
from triton_operator.api.spec import ModelDeployment
from triton_operator.resources.metadata import Manifest, child_metadata
from triton_operator.resources.revision import Revision
from triton_operator.resources.rollout import progress_deadline_seconds


def build_canary(deployment: ModelDeployment, revision: Revision, replicas: int, progress: str) -> Manifest:
    """The Deployment; `progress` is what the operator remembers about the canary."""
    name = deployment.metadata.name
    metadata = child_metadata(deployment, canary_name(name))
    metadata["annotations"] = {ANNOTATION_CANARY: progress}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": {
            "selector": {"matchLabels": selector_labels(name, TRACK_CANARY)},
            "template": _with_track(revision.template),
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "progressDeadlineSeconds": progress_deadline_seconds(deployment.spec),
            # The stable Deployment has the history.
            "revisionHistoryLimit": 0,
            "paused": False,
            "replicas": replicas,
        },
    }


def _with_track(template: Manifest) -> Manifest:
    metadata = template["metadata"]
    return {**template, "metadata": {**metadata, "labels": metadata["labels"] | {LABEL_TRACK: TRACK_CANARY}}}
