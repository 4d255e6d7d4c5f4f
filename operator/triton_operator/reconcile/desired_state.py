"""The children that a deployment should have now, and the revision that its pods run. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from triton_operator.api.errors import InvalidSpecError
from triton_operator.api.spec import ModelDeployment
from triton_operator.cluster.protocol import Manifest
from triton_operator.reconcile.failed_writes import Blocked
from triton_operator.reconcile.history import current_revision, revision_number
from triton_operator.reconcile.observed_state import ObservedState
from triton_operator.reconcile.replicas import ReplicaDecision
from triton_operator.reconcile.validate import validate
from triton_operator.resources.build import build_children, render_new_revision, without_pods
from triton_operator.resources.cache import build_cache
from triton_operator.resources.revision import Revision, RevisionSummary, inputs_hash
from triton_operator.resources.settings import Settings


class DesiredState(NamedTuple):
    """Manifests of all children in the order in which they are written, and the desired replica count.

    `spec_error`: the spec cannot be used. Then `manifests` are those of the current revision, none if there is none.
    """

    manifests: list[Manifest]
    replicas: ReplicaDecision
    revision: RevisionSummary | None
    spec_error: Blocked | None = None


def derive_desired_state(observed: ObservedState, replicas: ReplicaDecision, settings: Settings) -> DesiredState:
    """What should exist. A spec that cannot be used changes no pod, but existing children still revert to it."""
    current = current_revision(observed)
    try:
        validate(observed.deployment.spec)
        revision = _choose_revision(observed.deployment, current, settings)
    except InvalidSpecError as error:
        spec_error = Blocked(error.reason, str(error), permanent=True)
        if current is None:
            return DesiredState([], replicas, None, spec_error)
        return DesiredState(_build(observed, current, replicas), replicas, current.summary(), spec_error)
    manifests = _build_with_cache(observed, revision, current, replicas, settings)
    return DesiredState(manifests, replicas, revision.summary())


def _choose_revision(deployment: ModelDeployment, current: Revision | None, settings: Settings) -> Revision:
    """The current one as long as nothing changed that affects pods: an operator upgrade does not roll any pod."""
    if current and current.inputs_hash == inputs_hash(deployment.spec):
        return current
    return render_new_revision(deployment, settings)


def _build_with_cache(
    observed: ObservedState,
    revision: Revision,
    current: Revision | None,
    replicas: ReplicaDecision,
    settings: Settings,
) -> list[Manifest]:
    """Every child. Pods of a new revision wait for its cache; until then existing pods stay as they are."""
    caching = observed.caching
    if caching is None:
        return _build(observed, revision, replicas)
    cache = build_cache(observed.deployment, caching.generation, settings.operator_image)
    if caching.generation.filled or revision is current:
        return _build(observed, revision, replicas, cache)
    if current:
        return _build(observed, current, replicas, cache)
    return without_pods(_build(observed, revision, replicas, cache))


def _build(
    observed: ObservedState, revision: Revision, replicas: ReplicaDecision, cache: Sequence[Manifest] = ()
) -> list[Manifest]:
    number = revision_number(observed, revision)
    return build_children(observed.deployment, revision, number=number, replicas=replicas.apply, cache=cache)
