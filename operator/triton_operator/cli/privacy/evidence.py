"""The evidence for each privacy control and for the settings that protect models.

Pure. Input: an `Observed`. Output: evidence by control. For a control without an entry in `_EVIDENCE`, a user of the
namespace cannot read any object, so the only evidence is the control's message in the status.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from triton_operator.api.conditions import RUNTIME_VULNERABLE
from triton_operator.api.decryption import KeysetRef
from triton_operator.api.exposure import exposed_hosts
from triton_operator.api.names import CA_CONFIG_MAP, CA_KEY, SERVING_SECRET, proxy_config_name
from triton_operator.api.privacy import Audit, TLSMode
from triton_operator.api.spec import ModelDeployment
from triton_operator.api.status import ControlName, Status
from triton_operator.cli.privacy import certificates, models, objects
from triton_operator.cli.privacy.callers import describe_callers
from triton_operator.cli.privacy.observed import Observed
from triton_operator.cli.privacy.report import EvidenceItem, Setting
from triton_operator.resources.pod import open_endpoints
from triton_operator.resources.scan_mode import scan_mode
from triton_operator.resources.tls import tls_mode
from triton_operator.resources.vault import vault_of, vault_ports
from triton_operator.triton.proxy_contract.policy import POLICY_FILE, ProxyPolicy

_EVERYBODY = "every client that the NetworkPolicy admits"

Describe = Callable[[ModelDeployment, Status, Observed], Iterator[EvidenceItem]]


def control_evidence(
    control: str, deployment: ModelDeployment, status: Status, observed: Observed
) -> tuple[EvidenceItem, ...]:
    """The evidence for one control."""
    return tuple(_EVIDENCE[control](deployment, status, observed)) if control in _EVIDENCE else ()


def _network_policy(deployment: ModelDeployment, _status: Status, observed: Observed) -> Iterator[EvidenceItem]:
    for policy in observed.policies:
        if policy["metadata"]["name"] == deployment.metadata.name:
            yield objects.describe_policy(policy)


def _other_policies(deployment: ModelDeployment, _status: Status, observed: Observed) -> Iterator[EvidenceItem]:
    name, uid = deployment.metadata.name, deployment.metadata.uid
    for policy in objects.policies_of_others(observed.policies, name, uid, observed.pods):
        yield objects.describe_policy(policy)


def _cache_egress(deployment: ModelDeployment, status: Status, observed: Observed) -> Iterator[EvidenceItem]:
    if cache := deployment.spec.cache:
        yield EvidenceItem("spec.cache.egress", {"cidrs": ", ".join(cache.egress.cidrs) or "any address"})
    for policy in observed.policies:
        if status.cache and policy["metadata"]["name"] == status.cache.claim_name:
            yield objects.describe_policy(policy)


def _vault_egress(deployment: ModelDeployment, _status: Status, _observed: Observed) -> Iterator[EvidenceItem]:
    if vault := vault_of(deployment.spec):
        yield EvidenceItem(
            "spec.decryption.vault", {"address": vault.address, "ports": ", ".join(map(str, vault_ports(vault)))}
        )


def _tls(deployment: ModelDeployment, _status: Status, observed: Observed) -> Iterator[EvidenceItem]:
    mode, reference = tls_mode(deployment.spec), deployment.spec.privacy.tls.secret_ref
    secret = {TLSMode.MANAGED: SERVING_SECRET, TLSMode.SECRET: reference.name if reference else ""}.get(mode)
    unread = {"certificate": f"in Secret {secret}, which this report does not read"} if secret else {}
    yield EvidenceItem("spec.privacy.tls", {"mode": mode, **unread})
    if observed.served:
        yield certificates.served(observed.served)
    bundle = observed.config_maps.get(CA_CONFIG_MAP)
    if bundle and mode is TLSMode.MANAGED:
        yield from certificates.authorities(_value(bundle, CA_KEY), f"ConfigMap {CA_CONFIG_MAP}")
    if observed.certificate:
        yield certificates.issued(observed.certificate)


def _callers(deployment: ModelDeployment, _status: Status, observed: Observed) -> Iterator[EvidenceItem]:
    privacy, namespace = deployment.spec.privacy, deployment.metadata.namespace
    if privacy.clients is None:
        yield EvidenceItem("spec.privacy.clients", {"callers": _EVERYBODY})
        return
    yield from describe_callers(privacy.clients, namespace)
    if config := observed.config_maps.get(proxy_config_name(deployment.metadata.name)):
        yield objects.describe_config_map(config, POLICY_FILE, {"callers": _admitted(_value(config, POLICY_FILE))})
    if privacy.client_cas:
        reference = privacy.client_cas.config_map_ref
        if bundle := observed.config_maps.get(reference.name):
            yield from certificates.authorities(_value(bundle, reference.key), f"ConfigMap {reference.name}")


def _admitted(policy: str) -> str:
    """The callers in the policy that the proxy mounts."""
    try:
        callers = msgspec.json.decode(policy, type=ProxyPolicy).callers
    except msgspec.DecodeError:
        return "cannot be read; install the same release of the operator and tritonctl"
    if callers is None:
        return _EVERYBODY
    return ", ".join(caller.name for caller in callers) or "nobody"


def _exposure(deployment: ModelDeployment, _status: Status, _observed: Observed) -> Iterator[EvidenceItem]:
    if hosts := exposed_hosts(deployment.spec.exposure):
        yield EvidenceItem("spec.exposure", {"hosts": ", ".join(hosts)})


def _audit(deployment: ModelDeployment, _status: Status, _observed: Observed) -> Iterator[EvidenceItem]:
    yield EvidenceItem("spec.privacy.audit", {"requests": deployment.spec.privacy.audit or Audit.ALL})


def _admin_apis(deployment: ModelDeployment, _status: Status, _observed: Observed) -> Iterator[EvidenceItem]:
    opened = open_endpoints(deployment.spec)
    yield EvidenceItem("spec.triton.openEndpoints", {"open": ", ".join(opened) or "none"})


def _images(_deployment: ModelDeployment, _status: Status, observed: Observed) -> Iterator[EvidenceItem]:
    yield from objects.describe_images(observed.pods)


def _model_sources(deployment: ModelDeployment, status: Status, _observed: Observed) -> Iterator[EvidenceItem]:
    yield from models.describe_sources(deployment.spec, status)


def _server_release(_deployment: ModelDeployment, status: Status, _observed: Observed) -> Iterator[EvidenceItem]:
    for revision in status.revisions:
        if revision.current or revision.ready:
            yield EvidenceItem(f"revision {revision.name}", {"image": revision.image, "readyPods": str(revision.ready)})
    for condition in status.conditions:
        if condition.type == RUNTIME_VULNERABLE:
            yield EvidenceItem(
                f"condition {RUNTIME_VULNERABLE}",
                {"status": condition.status, "reason": condition.reason, "since": condition.last_transition_time},
            )


_EVIDENCE: dict[str, Describe] = {
    ControlName.NETWORK_POLICY: _network_policy,
    ControlName.OTHER_POLICIES: _other_policies,
    ControlName.CACHE_EGRESS: _cache_egress,
    ControlName.VAULT_EGRESS: _vault_egress,
    ControlName.TLS: _tls,
    ControlName.CALLERS: _callers,
    ControlName.EXPOSURE: _exposure,
    ControlName.AUDIT: _audit,
    ControlName.ADMIN_APIS: _admin_apis,
    ControlName.MODEL_SOURCES: _model_sources,
    ControlName.IMAGES_BY_DIGEST: _images,
    ControlName.SERVER_RELEASE: _server_release,
}


def protections(deployment: ModelDeployment, observed: Observed) -> tuple[Setting, ...]:
    """Verification, decryption and scan of models."""
    scan = Setting("Scan", scan_mode(deployment.spec), ())
    return _verification(deployment, observed), _decryption(deployment), scan


def _verification(deployment: ModelDeployment, observed: Observed) -> Setting:
    verification = deployment.spec.verification
    if verification is None or not verification.keys:  # It may only configure the scan.
        return Setting("Verification", "Off", ())
    keys = []
    for key in verification.keys:
        reference = key.config_map_ref
        source, pem = "spec.verification.keys", key.public_key or ""
        if reference:
            source = f"ConfigMap {reference.name}, key {reference.key}"
            config_map = observed.config_maps.get(reference.name)
            pem = _value(config_map, reference.key) if config_map else ""
        keys.append(EvidenceItem(f"key {key.name}", {"source": source, **(certificates.key_facts(pem) if pem else {})}))
    return Setting("Verification", "Required" if verification.require else "IfSigned", tuple(keys))


def _decryption(deployment: ModelDeployment) -> Setting:
    decryption = deployment.spec.decryption
    if decryption is None:
        return Setting("Decryption", "Off", ())
    if vault := decryption.vault:
        facts = {"role": vault.role, "key": f"{vault.transit_path}/{vault.key}", "memory": decryption.memory}
        return Setting("Decryption", "On", (EvidenceItem(f"vault {vault.address}", facts),))
    secret = decryption.secret_ref or KeysetRef("")
    facts = {"key": f"{secret.key}, which this report does not read", "memory": decryption.memory}
    return Setting("Decryption", "On", (EvidenceItem(f"Secret {secret.name}", facts),))


def _value(config_map: dict[str, object], key: str) -> str:
    data = config_map.get("data")
    return str(data.get(key, "")) if isinstance(data, dict) else ""
