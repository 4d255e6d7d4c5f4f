"""The ConfigMap with the input of `prepare`. Its name contains a hash, so a rollback finds the old one."""

from __future__ import annotations

from triton_operator.api.spec import ModelDeployment
from triton_operator.resources.metadata import Manifest, child_metadata
from triton_operator.resources.revision import Revision


def build_config_map(deployment: ModelDeployment, revision: Revision) -> Manifest:
    """The ConfigMap that pods of this revision mount."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": child_metadata(deployment, revision.config_name),
        "data": dict(revision.config),
    }
