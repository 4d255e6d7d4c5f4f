"""Build all children of one deployment, in the order of their creation.

Pure. `reconcile` calls `build_children` with the revision that it found or rendered. The CLI calls `render` to render a
file offline.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from triton_operator.api.keda import SCALED_OBJECT
from triton_operator.api.privacy import TLSMode
from triton_operator.api.rollout import Strategy
from triton_operator.api.spec import ModelDeployment
from triton_operator.api.status import Rollback
from triton_operator.resources.air_gap import check_air_gap
from triton_operator.resources.autoscaler import build_autoscaler
from triton_operator.resources.cache import build_cache, first_generation
from triton_operator.resources.certificate import build_certificate
from triton_operator.resources.config_map import build_config_map
from triton_operator.resources.deployment import build_deployment
from triton_operator.resources.disruption_budget import build_disruption_budget
from triton_operator.resources.exposure import build_exposure
from triton_operator.resources.fetch_defaults import with_fetch_defaults
from triton_operator.resources.metadata import Manifest
from triton_operator.resources.network_policy import build_network_policy
from triton_operator.resources.proxy_inputs import OFFLINE, ProxyInputs
from triton_operator.resources.proxy_policy import build_proxy_config, build_proxy_policy
from triton_operator.resources.revision import Revision, build_controller_revision, render_revision
from triton_operator.resources.scaled_object import build_scaled_object
from triton_operator.resources.service import (
    build_headless_service,
    build_service,
    container_ports,
    ports_of_revisions,
)
from triton_operator.resources.service_account import build_service_account, needs_own_account
from triton_operator.resources.settings import Settings
from triton_operator.resources.tls import terminates_tls, tls_mode
from triton_operator.triton.proxy_contract.policy import ProxyPolicy

_ABOUT_PODS = frozenset(
    {"ConfigMap", "ControllerRevision", "Deployment", "HorizontalPodAutoscaler", SCALED_OBJECT, "PodDisruptionBudget"}
)


def render(deployment: ModelDeployment, settings: Settings, proxy_inputs: ProxyInputs = OFFLINE) -> list[Manifest]:
    """The children of a new deployment, as the first apply creates them; raises InvalidSpecError."""
    revision = render_new_revision(deployment, settings)
    cache = build_cache(with_fetch_defaults(deployment, settings.fetching), first_generation(deployment), settings)
    policy = build_proxy_policy(deployment, proxy_inputs) if terminates_tls(deployment.spec) else None
    replicas = first_replicas(deployment)
    with_canary = deployment.spec.rollout.strategy is Strategy.CANARY
    children = build_children(
        deployment, revision, number=1, replicas=replicas, cache=cache, policy=policy, with_canary=with_canary
    )
    return [*children, *build_exposure(deployment, with_tls=revision.terminates_tls)]


def render_new_revision(deployment: ModelDeployment, settings: Settings) -> Revision:
    """Render a new revision of the spec; raises InvalidSpecError."""
    check_air_gap(deployment.spec, settings)
    return render_revision(deployment, container_ports(deployment.spec), settings)


def build_children(  # noqa: PLR0913 -- everything that decides about children
    deployment: ModelDeployment,
    revision: Revision,
    *,
    number: int,
    replicas: int | None,
    cache: Sequence[Manifest] = (),
    policy: ProxyPolicy | None = None,
    older: Sequence[Revision] = (),
    in_place: bool = False,
    rollback: Rollback | None = None,
    canary_failed: bool = False,
    with_canary: bool = False,
) -> list[Manifest]:
    """Every child but those of `spec.exposure`, in the order of creation: what pods need comes before the Deployment.

    `number` is the number of the ControllerRevision. If `replicas` is None, another field manager owns the count.
    `policy` is that of the sidecar `proxy`; if it is None, for example because a key in the spec cannot be used, the
    proxy's ConfigMap is not part of the result. `older` are the revisions that still have pods. Their ports and the
    policy of their proxy stay in the result, so that changing the TLS mode causes no outage. `in_place`: the strategy
    Auto stops an old pod before it starts a new one. `rollback`: the revision is not that of the spec, with
    `canary_failed` because of its canary. `with_canary`: there may be pods of a canary.
    """
    spec = deployment.spec
    revisions = [revision, *older]
    ports = ports_of_revisions(revisions)
    children = [
        *([build_service_account(deployment)] if needs_own_account(deployment, revisions) else ()),
        *cache,
        build_config_map(deployment, revision),
        build_controller_revision(deployment, revision, number),
    ]
    if tls_mode(spec) is TLSMode.CERT_MANAGER and spec.privacy.tls.cert_manager:
        children.append(build_certificate(deployment, spec.privacy.tls.cert_manager))
    if policy and any(each.terminates_tls for each in revisions):
        children.append(build_proxy_config(deployment, policy))
    if spec.privacy.profile.is_private:
        # Created before the pods, so that no pod runs without its policy.
        children.append(build_network_policy(deployment, ports, with_canary=with_canary))
    children += [
        build_service(deployment, ports, with_canary=with_canary),
        build_headless_service(deployment, ports, with_canary=with_canary),
        build_deployment(
            deployment, revision, replicas, in_place=in_place, rollback=rollback, canary_failed=canary_failed
        ),
    ]
    if spec.autoscaling and not spec.suspend:
        build = build_scaled_object if spec.autoscaling.uses_keda else build_autoscaler
        children.append(build(deployment, spec.autoscaling))
    if _may_have_several_pods(deployment):
        children.append(build_disruption_budget(deployment, with_canary=with_canary))
    return children


def without_pods(children: Iterable[Manifest]) -> list[Manifest]:
    """The children that may exist before the models are available: neither pods nor objects that refer to pods."""
    return [child for child in children if child["kind"] not in _ABOUT_PODS]


def _may_have_several_pods(deployment: ModelDeployment) -> bool:
    """Whether a disruption budget is useful; with one pod, it would only block a drain."""
    if deployment.spec.suspend:
        return False
    autoscaling = deployment.spec.autoscaling
    return (autoscaling.max_replicas if autoscaling else deployment.spec.replicas) > 1


def first_replicas(deployment: ModelDeployment) -> int | None:
    """Replicas of a new Deployment; None gives one pod, from which an autoscaler scales."""
    if deployment.spec.suspend:
        return 0
    return None if deployment.spec.autoscaling else deployment.spec.replicas
