"""ServiceAccount of the serving pods: an identity without a token, because they never call the API server."""

from __future__ import annotations

from triton_operator.api.spec import ModelDeployment
from triton_operator.resources.metadata import Manifest, child_metadata


def build_service_account(deployment: ModelDeployment) -> Manifest:
    """The deployment's ServiceAccount."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": child_metadata(deployment, deployment.metadata.name),
        "automountServiceAccountToken": False,
    }
