"""The deployments whose serving certificates the operator issues. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from triton_operator.api.privacy import TLSMode
from triton_operator.api.spec import ModelDeployment, Spec
from triton_operator.cluster.deployment_cache import DeploymentCache
from triton_operator.cluster.observed import Key
from triton_operator.reconcile.history import current_revision
from triton_operator.reconcile.observed_state import ObservedState
from triton_operator.resources.tls import tls_mode


def is_managed(spec: Spec) -> bool:
    """Whether the operator issues the certificate of new pods of this spec."""
    return tls_mode(spec) is TLSMode.MANAGED


def managed_deployments(deployments: DeploymentCache, namespace: str | None = None) -> Iterator[ModelDeployment]:
    """The deployments of one or (None) of all namespaces whose certificates the operator issues, sorted by key.

    Those with an unreadable spec are left out.
    """
    for key in sorted(key for key in deployments.keys() if namespace in {None, key[0]}):  # noqa: SIM118 -- no dictionary
        if deployment := managed_deployment(deployments, key):
            yield deployment


def managed_deployment(deployments: DeploymentCache, key: Key) -> ModelDeployment | None:
    """This deployment, if the operator issues its certificate; None otherwise."""
    record = deployments.get(key)
    deployment = record.deployment if record else None
    return deployment if isinstance(deployment, ModelDeployment) and is_managed(deployment.spec) else None


def needs_certificate(observed: ObservedState) -> bool:
    """Whether the operator issues the certificate of the deployment's pods.

    A deployment that was rendered when the profile had another default keeps the mode of its revision.
    """
    spec = observed.deployment.spec
    if spec.privacy.tls.mode or not is_managed(spec):
        return is_managed(spec)
    current = current_revision(observed)
    return current is None or current.tls_mode is TLSMode.MANAGED or not current.is_rendered_from(spec)
