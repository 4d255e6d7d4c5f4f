"""The children of a canary: its Deployment, and what only its pods need. Pure."""

from __future__ import annotations

import msgspec

from triton_operator.cluster.protocol import Manifest
from triton_operator.reconcile.history import revision_number
from triton_operator.reconcile.observed_state import ObservedState
from triton_operator.reconcile.validate import validate
from triton_operator.resources.air_gap import check_air_gap
from triton_operator.resources.build import render_new_revision
from triton_operator.resources.canary import build_canary
from triton_operator.resources.config_map import build_config_map
from triton_operator.resources.revision import Revision, build_controller_revision
from triton_operator.resources.service_account import build_service_account, needs_own_account
from triton_operator.resources.settings import Settings


def build_canary_children(observed: ObservedState, stable: Revision, settings: Settings) -> list[Manifest]:
    """What to add to the children of the stable pods; raises InvalidSpecError for the requested spec."""
    canary, deployment = observed.canary, observed.deployment
    if canary is None:
        return []
    if canary.spec is None:  # All pods are of its revision soon, so it needs nothing of its own.
        return [build_canary(deployment, canary.revision or stable, canary.replicas, canary.progress)]
    deployment = msgspec.structs.replace(deployment, spec=canary.spec)
    validate(canary.spec, deployment.metadata.name)
    check_air_gap(canary.spec)
    revision = canary.revision or render_new_revision(deployment, settings)
    needs_account = needs_own_account(deployment, [revision]) and not needs_own_account(observed.deployment, [stable])
    children = [
        *([build_service_account(deployment)] if needs_account else ()),
        build_config_map(deployment, revision),
        build_controller_revision(deployment, revision, revision_number(observed, revision)),
    ]
    if canary.replicas and revision.template_hash != stable.template_hash:
        children.append(build_canary(deployment, revision, canary.replicas, canary.progress))
    return children
