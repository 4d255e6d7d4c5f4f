"""The children that a deployment should have now, and the revision that its pods run. Pure, except for logs."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import NamedTuple

from triton_operator.api.conditions import Reason
from triton_operator.api.errors import InvalidSpecError
from triton_operator.api.privacy import TLSMode
from triton_operator.api.rollout import RevisionPolicy
from triton_operator.api.spec import ModelDeployment
from triton_operator.cluster.observed import KINDS
from triton_operator.cluster.protocol import Manifest
from triton_operator.reconcile.autoscaler_choice import choose_autoscaler, without_other_autoscalers
from triton_operator.reconcile.canary_children import build_canary_children
from triton_operator.reconcile.exposure import decide_exposure
from triton_operator.reconcile.failed_writes import Blocked
from triton_operator.reconcile.history import current_revision, older_revisions, revision_number
from triton_operator.reconcile.issuance import is_issued
from triton_operator.reconcile.observed_state import ObservedState
from triton_operator.reconcile.replicas import ReplicaDecision
from triton_operator.reconcile.rollout import decide_in_place
from triton_operator.reconcile.validate import validate
from triton_operator.resources.air_gap import check_air_gap
from triton_operator.resources.build import build_children, render_new_revision, without_pods
from triton_operator.resources.cache import build_cache
from triton_operator.resources.exposure import build_exposure
from triton_operator.resources.proxy_inputs import NO_INPUTS, ProxyInputs
from triton_operator.resources.proxy_policy import build_proxy_policy
from triton_operator.resources.revision import Revision, RevisionSummary
from triton_operator.resources.settings import Settings
from triton_operator.triton.proxy_contract.policy import ProxyPolicy

log = logging.getLogger(__name__)

_UNEXPECTED = (
    "the operator cannot render this spec, which is an error of the operator ({}); please report it with the "
    "operator's log. Until it is corrected, use another spec"
)


class DesiredState(NamedTuple):
    """Manifests of all children in the order in which they are written, and the desired replica count.

    `is_outdated`: with the revision policy Latest, this operator renders different pods than `manifests`.
    `spec_error`: the spec cannot be used. Then `manifests` are those of the current revision, none if there is none.
    """

    manifests: list[Manifest]
    replicas: ReplicaDecision
    revision: RevisionSummary | None
    spec_error: Blocked | None = None
    is_outdated: bool = False


def derive_desired_state(
    observed: ObservedState, replicas: ReplicaDecision, settings: Settings, proxy_inputs: ProxyInputs = NO_INPUTS
) -> DesiredState:
    """What should exist. With a spec that cannot be used, pods are not changed, and edits of children are reverted.

    The proxy's policy is an exception: it is kept as it is, because it cannot be computed.
    """
    current = current_revision(observed)
    try:
        return _derive(observed, current, replicas, settings, proxy_inputs)
    except InvalidSpecError as error:
        reason, message = error.reason, str(error)
    except Exception as error:  # whatever is wrong with one spec, edits of its children are reverted
        log.exception("cannot render %s/%s", *_name_of(observed))
        reason, message = Reason.INVALID_SPEC, _UNEXPECTED.format(f"{type(error).__name__}: {error}")
    manifests = _keep(observed, current, replicas)
    kept = observed.children.keys() - {(KINDS[each["kind"]], each["metadata"]["name"]) for each in manifests}
    spec_error = Blocked(reason, message, permanent=True, failed=frozenset(kept))
    summary = current.summary if current else None
    return DesiredState(manifests, replicas, summary, spec_error, is_outdated=observed.is_outdated)


def _derive(
    observed: ObservedState,
    current: Revision | None,
    replicas: ReplicaDecision,
    settings: Settings,
    proxy_inputs: ProxyInputs,
) -> DesiredState:
    """What should exist; raises InvalidSpecError."""
    metadata = observed.deployment.metadata
    validate(observed.deployment.spec, metadata.name, metadata.namespace)
    revision, is_outdated = _choose_revision(observed, current, settings)
    revisions = (revision, current, *older_revisions(observed, current))
    policy = _policy(observed.deployment, revisions, proxy_inputs)
    manifests = _build_in_order(observed, revision, current, replicas, settings, policy)
    manifests += build_canary_children(observed, revision, settings)
    return DesiredState(
        [*manifests, *_exposure(observed, revision)], replicas, revision.summary, is_outdated=is_outdated
    )


def _exposure(observed: ObservedState, revision: Revision) -> list[Manifest]:
    """The children of a valid `spec.exposure`, after all others: if one cannot be written, pods start nevertheless."""
    decision = decide_exposure(observed, revision.summary)
    if decision is None or decision.obstacle:
        return []
    return build_exposure(observed.deployment, with_tls=decision.with_tls)


def _keep(observed: ObservedState, current: Revision | None, replicas: ReplicaDecision) -> list[Manifest]:
    """The children of the current revision; none if they depend on what cannot be rendered."""
    try:
        return _build(observed, current, replicas, is_kept=True) if current else []
    except Exception:  # the status still reports what is wrong
        log.exception("cannot render the current revision of %s/%s", *_name_of(observed))
        return []


def _name_of(observed: ObservedState) -> tuple[str, str]:
    return observed.deployment.metadata.namespace, observed.deployment.metadata.name


def _choose_revision(observed: ObservedState, current: Revision | None, settings: Settings) -> tuple[Revision, bool]:
    """The current one as long as nothing changed that affects pods: an operator upgrade does not roll any pod.

    With the revision policy Latest, it does when it is the deployment's turn. The second part of the result is whether
    the revision is outdated.
    """
    deployment = observed.deployment
    if current is None or not current.is_rendered_from(deployment.spec):
        return render_new_revision(deployment, settings), False
    check_air_gap(deployment.spec)
    if deployment.spec.rollout.revision_policy is not RevisionPolicy.LATEST or observed.rollback or observed.canary:
        return current, False
    if observed.has_turn:
        newest = render_new_revision(deployment, settings)
        if newest.template_hash == current.template_hash:
            return current, False
        return (current, True) if _has_to_wait(observed, newest) else (newest, False)
    return current, _renders_other_pods(deployment, current, settings)


def _renders_other_pods(deployment: ModelDeployment, current: Revision, settings: Settings) -> bool:
    """Whether this operator renders the pods differently; an error is reported when it is the deployment's turn."""
    try:
        return render_new_revision(deployment, settings).template_hash != current.template_hash
    except InvalidSpecError:
        return True


def _build_in_order(
    observed: ObservedState,
    revision: Revision,
    current: Revision | None,
    replicas: ReplicaDecision,
    settings: Settings,
    policy: ProxyPolicy | None,
) -> list[Manifest]:
    """Every child. Pods of a new revision wait for what they mount; until then existing pods stay as they are."""
    caching = observed.caching
    cache = build_cache(caching.deployment, caching.generation, settings) if caching else ()
    if revision is current or not _has_to_wait(observed, revision):
        is_of_spec = observed.rollback is None or observed.rollback.is_of_spec
        is_kept = revision is current and is_of_spec and not observed.returning
        return _build(observed, revision, replicas, cache, policy, is_kept=is_kept)
    if current:
        return _build(observed, current, replicas, cache, policy, is_kept=True)
    return without_pods(_build(observed, revision, replicas, cache, policy))


def _has_to_wait(observed: ObservedState, revision: Revision) -> bool:
    """Whether the cache is not filled yet, or the certificate not issued."""
    is_cached = observed.caching is None or observed.caching.generation.filled
    return not is_cached or (revision.tls_mode is TLSMode.CERT_MANAGER and not is_issued(observed))


def _policy(
    deployment: ModelDeployment, revisions: Sequence[Revision | None], inputs: ProxyInputs
) -> ProxyPolicy | None:
    """The policy, if pods of any of these revisions have the proxy; raises InvalidSpecError."""
    has_proxy = any(revision and revision.terminates_tls for revision in revisions)
    return build_proxy_policy(deployment, inputs) if has_proxy else None


def _build(
    observed: ObservedState,
    revision: Revision,
    replicas: ReplicaDecision,
    cache: Sequence[Manifest] = (),
    policy: ProxyPolicy | None = None,
    *,
    is_kept: bool = False,
) -> list[Manifest]:
    """Every child with this revision; `is_kept`: it is what the pods run, even after a rollback."""
    number = revision_number(observed, revision, is_kept=is_kept)
    children = build_children(
        observed.deployment,
        revision,
        number=number,
        replicas=replicas.apply,
        cache=cache,
        policy=policy,
        older=older_revisions(observed, revision),
        in_place=decide_in_place(observed, revision.summary) or bool(observed.canary and observed.canary.in_place),
        rollback=observed.rollback.state if observed.rollback and is_kept else None,
        canary_failed=observed.rollback is not None and observed.rollback.canary_failed,
        with_canary=observed.may_have_canary,
    )
    return without_other_autoscalers(children, choose_autoscaler(observed))
