"""Privacy controls of the traffic to the pods: TLS, callers and the audit log, which the sidecar `proxy` enforces.

Pure. Pods of an older revision count as long as they exist, because the Service sends them requests.
"""

from __future__ import annotations

from collections.abc import Iterator

from triton_operator.api.conditions import Reason
from triton_operator.api.exposure import exposed_hosts
from triton_operator.api.names import proxy_config_name
from triton_operator.api.privacy import Audit, TLSMode
from triton_operator.api.status import ControlName
from triton_operator.cluster.observed import Kind
from triton_operator.reconcile.assessment import Assessment
from triton_operator.reconcile.child_controls import judge_child
from triton_operator.reconcile.issuance import describe_renewal
from triton_operator.reconcile.judged_control import JudgedControl, enforced, not_enforced, not_rendered, unknown
from triton_operator.reconcile.messages import join
from triton_operator.reconcile.revisions_in_use import RevisionsInUse


def judge_traffic(assessment: Assessment, used: RevisionsInUse) -> Iterator[JudgedControl]:
    """The controls of the traffic."""
    tls = _tls(assessment, used)
    yield tls
    callers = _callers(assessment, tls, _unchecked(used))
    yield callers
    if assessment.observed.deployment.spec.exposure:
        yield _exposure(assessment, callers)
    # An audit log helps to find out what happened, but does not restrict traffic.
    yield _audit(assessment, tls, _unchecked(used)).as_advice()


def _tls(assessment: Assessment, used: RevisionsInUse) -> JudgedControl:
    mode = assessment.observed.deployment.spec.privacy.tls.mode
    if not used.revisions:
        return not_rendered(ControlName.TLS)
    plain = [revision for revision in used.revisions if not revision.terminates_tls]
    if mode is TLSMode.EXTERNAL and plain:
        return unknown(
            ControlName.TLS,
            Reason.TLS_NOT_VERIFIABLE,
            "spec.privacy.tls.mode is External: a service mesh has to encrypt the traffic, which cannot be verified",
        )
    if plain:
        return not_enforced(ControlName.TLS, Reason.TLS_NOT_CONFIGURED, _why_plain(assessment, mode))
    if used.foreign_pods:
        return unknown(
            ControlName.TLS,
            Reason.WAITING,
            f"pod {used.foreign_pods[0]} has the labels of the serving pods, but not the revision of this deployment",
        )
    renewal = describe_renewal(assessment.observed, assessment.revision)
    return enforced(ControlName.TLS, join("every pod accepts only TLS 1.3, in the sidecar `proxy`", renewal))


def _why_plain(assessment: Assessment, mode: TLSMode | None) -> str:
    if mode is TLSMode.DISABLED:
        return "traffic to the pods is not encrypted because spec.privacy.tls.mode is Disabled"
    if assessment.revision and assessment.revision.terminates_tls:
        return "pods of an older revision, without TLS, still exist"
    if mode is None:
        return (
            "the pods are of an older revision, without TLS, because Disabled was the default when they were created; "
            "set spec.privacy.tls.mode to Managed to replace them with pods that accept only TLS"
        )
    return f"the pods are of an older revision, without TLS; those of spec.privacy.tls.mode {mode} do not exist yet"


def _unchecked(used: RevisionsInUse) -> str:
    """Who reaches Triton without the proxy: containers of a pod share its loopback. "" if there is no other one.

    One that listens on Triton's port before Triton does receives the requests.
    """
    if not (added := ", ".join(used.added_containers)):
        return ""
    return f"containers of spec.podTemplate reach Triton without it, and can answer instead of Triton: {added}"


def _callers(assessment: Assessment, tls: JudgedControl, unchecked: str) -> JudgedControl:
    """Without `clients`, the user has chosen that every client that the policy admits can call the models."""
    deployment = assessment.observed.deployment
    clients = deployment.spec.privacy.clients
    if clients is None:
        return enforced(
            ControlName.CALLERS,
            "spec.privacy.clients is not set, so every client that the NetworkPolicy admits can call the models",
        )
    if tls.reason != Reason.ENFORCED:
        return tls._replace(name=ControlName.CALLERS, message=f"callers are not checked: {tls.message}")
    config = proxy_config_name(deployment.metadata.name)
    if wrong := judge_child(ControlName.CALLERS, Kind.CONFIG_MAP, config, assessment):
        return wrong
    return enforced(ControlName.CALLERS, join(f"the sidecar `proxy` admits {_admitted(len(clients))}", unchecked))


def _exposure(assessment: Assessment, callers: JudgedControl) -> JudgedControl:
    """All connections come from the controller, so a NetworkPolicy cannot distinguish its clients."""
    spec = assessment.observed.deployment.spec
    hosts = ", ".join(exposed_hosts(spec.exposure))
    if spec.privacy.clients is None:
        return not_enforced(
            ControlName.EXPOSURE,
            Reason.CALLERS_NOT_NAMED,
            f"anyone who can reach {hosts} can call the models, because spec.privacy.clients is not set, and the "
            "NetworkPolicy cannot distinguish the controller's clients; list the callers in spec.privacy.clients, or "
            "remove spec.exposure",
        )
    if callers.reason != Reason.ENFORCED:
        return callers._replace(name=ControlName.EXPOSURE)
    if spec.exposure and spec.exposure.gateway:
        return unknown(
            ControlName.EXPOSURE,
            Reason.TLS_NOT_VERIFIABLE,
            f"only the callers in spec.privacy.clients can call the models through {hosts}, but the operator cannot "
            "verify that the listeners of the Gateway use TLS",
        )
    return enforced(
        ControlName.EXPOSURE, f"only the callers in spec.privacy.clients can call the models through {hosts}"
    )


def _admitted(count: int) -> str:
    if not count:
        return "nobody, because spec.privacy.clients is empty"
    callers = "caller" if count == 1 else f"{count} callers"
    return f"only the {callers} in spec.privacy.clients"


def _audit(assessment: Assessment, tls: JudgedControl, unchecked: str) -> JudgedControl:
    audit = assessment.observed.deployment.spec.privacy.audit or Audit.ALL
    if audit is Audit.OFF:
        return not_enforced(ControlName.AUDIT, "", "no requests are logged, because spec.privacy.audit is Off")
    if tls.reason != Reason.ENFORCED:
        return tls._replace(name=ControlName.AUDIT, message=f"requests are not logged: {tls.message}")
    logged = "all requests" if audit is Audit.ALL else "refused requests"
    return enforced(ControlName.AUDIT, join(f"the sidecar `proxy` logs {logged}, without their content", unchecked))
