"""ServiceAccount of the serving pods: an identity without a token, because they never call the API server.

Annotations connect it to an identity of a cloud, with which pods fetch models. A user's own account is never written.
"""

from __future__ import annotations

from collections.abc import Iterable

from triton_operator.api.spec import ModelDeployment
from triton_operator.resources.metadata import Manifest, child_metadata
from triton_operator.resources.pod_settings import account_name
from triton_operator.resources.revision import Revision


def needs_own_account(deployment: ModelDeployment, revisions: Iterable[Revision]) -> bool:
    """Whether the operator creates the account: the spec names no other one, or pods of a revision still use it."""
    name = deployment.metadata.name
    accounts = {revision.template["spec"].get("serviceAccountName") for revision in revisions}
    return name in {account_name(deployment), *accounts}


def build_service_account(deployment: ModelDeployment) -> Manifest:
    """The deployment's ServiceAccount."""
    metadata = child_metadata(deployment, deployment.metadata.name)
    if annotations := deployment.spec.service_account.annotations:
        metadata["annotations"] = dict(annotations)
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": metadata,
        "automountServiceAccountToken": False,
    }
