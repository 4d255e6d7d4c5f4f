"""Derive the whole status of a deployment from what was observed.

Pure and built from scratch each time; only transition times and the last failure are carried over from the previous
status. The reconciler writes the result when it differs.
"""

from __future__ import annotations

from datetime import datetime

from triton_operator.api.names import PORT_GRPC, PORT_HTTP, PORT_METRICS, headless_service_name
from triton_operator.api.spec import ModelDeployment, Spec
from triton_operator.api.status import CacheStatus, Condition, Endpoints, Failure, RevisionStatus, Status
from triton_operator.cluster.observed import Pod
from triton_operator.reconcile.assessment import Assessment, ended_at, is_ready
from triton_operator.reconcile.cache_progress import derive_cache
from triton_operator.reconcile.conditions import judge_all
from triton_operator.reconcile.container_ends import judge_end
from triton_operator.reconcile.history import past_revisions
from triton_operator.reconcile.messages import clip
from triton_operator.reconcile.model_states import derive_models
from triton_operator.reconcile.observed_state import selector
from triton_operator.reconcile.pod_failures import judge_eviction, last_end
from triton_operator.reconcile.readiness import Verdict


def derive_status(situation: Assessment) -> Status:
    """The status that says all that is known now."""
    observation = situation.observation
    deployment = observation.deployment
    state = situation.state
    return Status(
        observed_generation=deployment.metadata.generation,
        replicas=state.current_replicas if state else 0,
        ready_replicas=state.ready_replicas if state else 0,
        updated_replicas=state.updated_replicas if state else 0,
        selector=selector(deployment),
        models=derive_models(
            deployment, situation.pods, situation.diagnoses, situation.mixed, any_ready=situation.loaded_pods > 0
        ),
        endpoints=_endpoints(deployment),
        revisions=_revisions(situation),
        cache=_cache(situation),
        last_failure=_last_failure(situation),
        conditions=_conditions(judge_all(situation), situation),
    )


def _endpoints(deployment: ModelDeployment) -> Endpoints:
    name, namespace = deployment.metadata.name, deployment.metadata.namespace
    return Endpoints(
        http=f"http://{name}.{namespace}.svc:{PORT_HTTP}",
        grpc=f"{name}.{namespace}.svc:{PORT_GRPC}",
        metrics=f"http://{headless_service_name(name)}.{namespace}.svc:{PORT_METRICS}/metrics",
    )


def _revisions(situation: Assessment) -> tuple[RevisionStatus, ...]:
    """The current revision, and older ones that still have pods."""
    current = situation.revision.template_hash if situation.revision else ""
    found: dict[str, RevisionStatus] = {}
    for past in past_revisions(situation.observation):
        template = past.summary.template_hash
        pods = [pod for pod in situation.observation.pods if pod.revision == template and not pod.deleting]
        if template in found or not (pods or template == current):
            continue
        found[template] = RevisionStatus(
            name=past.name,
            generation=past.number,
            image=past.summary.server_image,
            ready=sum(is_ready(pod) for pod in pods),
            current=template == current,
        )
    return tuple(found.values())


def _cache(situation: Assessment) -> CacheStatus | None:
    observation = situation.observation
    if situation.caching is None:
        return None
    return derive_cache(situation.caching, situation.cache_failure, observation, timestamp(observation.now))


def _last_failure(situation: Assessment) -> Failure | None:
    previous = situation.observation.previous
    known = previous.last_failure if previous else None
    spec = situation.observation.deployment.spec
    pods = (*situation.observation.pods, *situation.observation.cache_pods)
    seen = [failure for pod in pods for failure in _failures(pod, spec)]
    return max([*seen, *([known] if known else [])], key=lambda failure: failure.time, default=None)


def _failures(pod: Pod, spec: Spec) -> list[Failure]:
    """Of a pod that the kubelet has given up, why; else how each of its containers ended last."""
    if pod.deleting:
        return []
    given_up = judge_eviction(pod, spec)
    if given_up:
        message = clip(given_up.message)
        return [Failure(pod=pod.name, container="", reason=given_up.reason, message=message, time=ended_at(pod))]
    found = []
    for container in pod.containers:
        ended = last_end(container)
        if ended is None or (ended.exit_code == 0 and container.init):
            continue
        judged = judge_end(container, ended, spec.triton.extra_args)[0]
        found.append(
            Failure(
                pod=pod.name,
                container=container.name,
                reason=judged.reason,
                exit_code=ended.exit_code,
                message=clip(judged.message),
                time=ended.finished_at,
            )
        )
    return found


def _conditions(verdicts: dict[str, Verdict], situation: Assessment) -> tuple[Condition, ...]:
    previous = situation.observation.previous
    old = {condition.type: condition for condition in previous.conditions} if previous else {}
    generation = situation.observation.deployment.metadata.generation
    now = timestamp(situation.observation.now)
    return tuple(
        Condition(
            type=kind,
            status=verdict.status,
            reason=verdict.reason,
            message=clip(verdict.message),
            observed_generation=generation,
            last_transition_time=_since(old.get(kind), verdict, now),
        )
        for kind, verdict in verdicts.items()
    )


def _since(old: Condition | None, verdict: Verdict, now: str) -> str:
    """By Kubernetes' convention the time moves with the status alone, not with reason or message."""
    return old.last_transition_time if old and old.status == verdict.status else now


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC with whole seconds, as Kubernetes writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
