"""Each privacy control by the state that decides it, and PrivacyEnforced as their summary."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.builders import SETTINGS, a_deployment, a_pod
from tests.fakes import World
from triton_operator.api.conditions import PRIVACY_ENFORCED
from triton_operator.api.network_probe import NetworkProbe
from triton_operator.api.status import ControlName, ControlState, PrivacyStatus, Truth
from triton_operator.cluster.observed import Child, ChildId, Kind, Pod, RevisionState
from triton_operator.cluster.policy_projection import ObservedPolicy
from triton_operator.reconcile.assessment import Assessment, assess
from triton_operator.reconcile.failed_writes import Blocked
from triton_operator.reconcile.judged_control import JudgedControl
from triton_operator.reconcile.observed_state import ObservedState
from triton_operator.reconcile.privacy_controls import judge_controls, summarize
from triton_operator.reconcile.times import parse_time
from triton_operator.resources.pod_summary import ContainerSummary
from triton_operator.resources.revision import RevisionSummary

NOW = parse_time("2026-06-01T00:00:00Z")
ENFORCED, NOT_ENFORCED, UNKNOWN = ControlState.ENFORCED, ControlState.NOT_ENFORCED, ControlState.UNKNOWN
PROBE = NetworkProbe("2026-05-20T10:00:00Z", "v1.36.1", ("node-1", "node-2"), ingress=True, egress=True)
DIGEST = "@sha256:" + "5f" * 32
CLIENTS = [{"name": "shop", "serviceAccount": {"name": "checkout"}}]


def a_revision(
    template: str = "r", *, tls: bool = True, version: str = "26.11", digest: str = DIGEST
) -> RevisionSummary:
    """A rendered template, with or without the sidecar that terminates TLS."""
    names = ["prepare", *(["proxy"] if tls else [])]
    pod = {
        "initContainers": [{"name": name, "image": f"example.org/operator{digest}"} for name in names],
        "containers": [{"name": "triton", "image": f"example.org/triton{digest}"}],
    }
    fields = {"templateHash": template, "serverImage": "x", "serverVersion": version, "configName": "c"}
    if tls:
        fields["tlsMode"] = "Managed"
    return msgspec.convert({**fields, "template": {"spec": pod}}, RevisionSummary)


def a_child(kind: Kind, name: str, state: Any = None) -> tuple[ChildId, Child]:
    child = Child(kind=kind, namespace="shop", name=name, uid=name, resource_version=1, state=state)
    return (kind, name), child


def stored(revision: RevisionSummary, number: int) -> tuple[ChildId, Child]:
    """The ControllerRevision of a revision."""
    data = msgspec.json.encode(revision)
    return a_child(Kind.REVISION, revision.template_hash, RevisionState(number=number, data=data))


def enforcing(
    *,
    pods: tuple[Pod, ...] = (),
    revision: RevisionSummary | None = None,
    older: RevisionSummary | None = None,
    without: tuple[ChildId, ...] = (),
    blocked: Blocked | None = None,
    observed: dict[str, Any] | None = None,
    **privacy: Any,
) -> Assessment:
    """A deployment with every control enforced, except for what the arguments change."""
    children = dict([a_child(Kind.NETWORK_POLICY, "digits"), a_child(Kind.CONFIG_MAP, "digits-proxy")])
    if older:
        children |= dict([stored(older, 1)])
    fields: dict[str, Any] = {
        "deployment": a_deployment(privacy={"profile": "Private", **privacy}),
        "status": None,
        "children": {key: child for key, child in children.items() if key not in without},
        "pods": pods,
        "now": NOW,
        "network_probe": PROBE,
    }
    return assess(ObservedState(**(fields | (observed or {}))), blocked, revision or a_revision())


def judge(assessment: Assessment, name: ControlName) -> JudgedControl:
    (found,) = (control for control in judge_controls(assessment) if control.name is name)
    return found


# --- The summary.


def test_privacy_is_enforced_if_every_control_is() -> None:
    controls = judge_controls(enforcing())
    of_others = {ControlName.CACHE_EGRESS, ControlName.VAULT_EGRESS, ControlName.MODEL_SOURCES, ControlName.EXPOSURE}
    assert [control.name for control in controls] == [name for name in ControlName if name not in of_others]
    assert {control.state for control in controls} == {ENFORCED}
    assert summarize(controls) == (Truth.TRUE, "Enforced", "all 6 required controls are enforced")


@pytest.mark.parametrize("name", [name for name in ControlName if name is not ControlName.MODEL_SOURCES])
@pytest.mark.parametrize(("state", "status"), [(NOT_ENFORCED, Truth.FALSE), (UNKNOWN, Truth.UNKNOWN)])
def test_one_required_control_decides_and_advice_does_not(
    name: ControlName, state: ControlState, status: Truth
) -> None:
    advice = {ControlName.AUDIT, ControlName.IMAGES_BY_DIGEST, ControlName.SERVER_RELEASE}
    controls = [
        control._replace(state=state, reason="R", message="m") if control.name is name else control
        for control in judge_controls(cached())
    ]
    assert summarize(controls) == (
        (Truth.TRUE, "Enforced", "all 9 required controls are enforced") if name in advice else (status, "R", "m")
    )


def test_what_is_not_enforced_takes_precedence_over_what_is_unknown() -> None:
    first, second, *others = judge_controls(enforcing())
    controls = [first._replace(state=UNKNOWN, reason="U"), second._replace(state=NOT_ENFORCED, reason="N"), *others]
    judged = summarize(controls)
    assert judged is not None
    assert (judged.status, judged.reason) == (Truth.FALSE, "N")


async def test_profile_open_has_no_controls_and_no_condition() -> None:
    world = World(privacy={"profile": "Open"})
    await world.reconcile()
    assert world.status.privacy is None
    assert PRIVACY_ENFORCED not in {condition.type for condition in world.status.conditions}
    world.edit(privacy={"profile": "Private"})
    await world.reconcile()
    assert world.condition(PRIVACY_ENFORCED).status is Truth.UNKNOWN


async def test_private_with_tls_callers_and_a_probed_network_is_enforced() -> None:
    """From the rendered pods and children, with nothing assumed but the result of the probe."""
    tls = {"mode": "Secret", "secretRef": {"name": "certificate"}}
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    clients = [{"name": "shop", "token": {"publicKeys": [pem]}}]
    world = World(privacy={"profile": "Private", "tls": tls, "clients": clients})
    world.cache.network_probe = msgspec.structs.replace(PROBE, time="2026-01-01T00:00:00Z")
    await world.reconcile()
    condition = world.condition(PRIVACY_ENFORCED)
    assert (condition.status, condition.reason, condition.message) == (
        Truth.TRUE,
        "Enforced",
        "all 6 required controls are enforced",
    )
    world.vanish(Kind.CONFIG_MAP, "digits-proxy")
    world.cluster.refuse = Kind.CONFIG_MAP
    await world.reconcile()
    condition = world.condition(PRIVACY_ENFORCED)
    assert (condition.status, condition.reason) == (Truth.FALSE, "PolicyMissing")
    assert "digits-proxy does not exist" in condition.message


async def test_the_status_lists_the_controls_and_which_ones_are_only_advice() -> None:
    world = World()
    await world.reconcile()
    privacy = world.status.privacy
    assert privacy is not None
    assert [(control.name, control.state, control.required) for control in privacy.controls] == [
        ("NetworkPolicy", ENFORCED, True),
        ("OtherPolicies", ENFORCED, True),
        ("NetworkEnforcement", UNKNOWN, True),
        ("TLS", ENFORCED, True),
        ("Callers", ENFORCED, True),
        ("Audit", ENFORCED, False),
        ("AdminApis", ENFORCED, True),
        ("ImagesByDigest", NOT_ENFORCED, False),
        ("ServerRelease", NOT_ENFORCED, False),
    ]
    assert world.condition(PRIVACY_ENFORCED).reason == "NetworkNotProven"


async def test_a_new_private_deployment_is_enforced_on_a_network_that_is() -> None:
    """With the defaults: TLS, and every client that the policy admits can call the models."""
    world = World()
    world.cache.network_probe = msgspec.structs.replace(PROBE, time="2026-01-01T00:00:00Z")
    await world.reconcile()
    assert world.condition(PRIVACY_ENFORCED).status is Truth.TRUE


# --- The network.


def test_a_policy_that_does_not_exist_is_not_enforced() -> None:
    judged = judge(enforcing(without=((Kind.NETWORK_POLICY, "digits"),)), ControlName.NETWORK_POLICY)
    assert (judged.state, judged.reason) == (NOT_ENFORCED, "PolicyMissing")


def test_a_policy_of_another_owner_is_unknown() -> None:
    taken = Blocked("NameConflict", "", taken=frozenset({(Kind.NETWORK_POLICY, "digits")}))
    judged = judge(enforcing(blocked=taken), ControlName.NETWORK_POLICY)
    assert (judged.state, judged.reason) == (UNKNOWN, "NameConflict")


@pytest.mark.parametrize(
    ("failed", "policy", "callers"),
    [
        (None, UNKNOWN, UNKNOWN),
        (frozenset(), ENFORCED, ENFORCED),
        ({(Kind.NETWORK_POLICY, "digits")}, UNKNOWN, ENFORCED),
        ({(Kind.CONFIG_MAP, "digits-proxy")}, ENFORCED, UNKNOWN),
        ({(Kind.SERVICE, "digits")}, ENFORCED, ENFORCED),
    ],
)
def test_what_could_not_be_updated_is_unknown_because_an_earlier_spec_may_admit_more(
    failed: Any, policy: ControlState, callers: ControlState
) -> None:
    """None means that no child was updated."""
    blocked = Blocked("Forbidden", "denied", failed=None if failed is None else frozenset(failed))
    assessment = enforcing(blocked=blocked, clients=CLIENTS)
    judged = [judge(assessment, name) for name in (ControlName.NETWORK_POLICY, ControlName.CALLERS)]
    assert [each.state for each in judged] == [policy, callers]
    assert {each.reason for each in judged} <= {"Enforced", "Forbidden"}


async def test_an_invalid_edit_leaves_the_callers_of_the_earlier_spec_unknown() -> None:
    """The network policy does not depend on what is wrong, so it is up to date."""
    tls = {"mode": "Secret", "secretRef": {"name": "certificate"}}
    world = World(privacy={"profile": "Private", "tls": tls, "clients": []})
    await world.reconcile()
    assert (world.control("NetworkPolicy").state, world.control("Callers").state) == (ENFORCED, ENFORCED)
    world.edit(models=[{"name": "digits"}, {"name": "digits"}])
    await world.reconcile()
    assert (world.control("NetworkPolicy").state, world.control("Callers").state) == (ENFORCED, UNKNOWN)
    assert "ConfigMap digits-proxy may be outdated" in world.control("Callers").message
    world.edit(models=[{"name": "digits"}])
    await world.reconcile()
    assert world.control("Callers").state is ENFORCED


@pytest.mark.parametrize(
    ("network", "peers"),
    [
        ({}, "the same namespace,"),
        ({"allowFrom": [{"podSelector": {}}]}, "the same namespace and spec.privacy.network.allowFrom,"),
    ],
)
def test_the_message_says_whom_the_policy_admits(network: dict[str, Any], peers: str) -> None:
    assert peers in judge(enforcing(network=network), ControlName.NETWORK_POLICY).message


def a_policy(name: str, **fields: Any) -> ObservedPolicy:
    return ObservedPolicy(namespace="shop", name=name, uid=name, resource_version=1, **fields)


def test_policies_of_others_are_named_with_what_they_open() -> None:
    one = (a_policy("dns", allows_egress=True),)
    two = (*one, a_policy("all", allows_egress=True, allows_ingress=True))
    judged = [
        judge(enforcing(observed={"opening_policies": found}), ControlName.OTHER_POLICIES) for found in ((), one, two)
    ]
    assert [each.reason for each in judged] == ["Enforced", "OtherPolicyOpensPod", "OtherPolicyOpensPod"]
    assert "NetworkPolicy dns (egress) also selects the pods and allows" in judged[1].message
    assert "NetworkPolicies dns (egress), all (ingress and egress) also select the pods" in judged[2].message


async def test_a_policy_of_somebody_else_is_reported_until_it_is_deleted() -> None:
    world = World()
    await world.reconcile()
    policy = a_policy("dns", allows_egress=True)
    world.cache.policies.put(policy)
    await world.reconcile()
    assert world.control("OtherPolicies").state is NOT_ENFORCED
    assert world.condition(PRIVACY_ENFORCED).reason == "OtherPolicyOpensPod"
    world.cache.policies.remove(policy)
    await world.reconcile()
    assert world.control("OtherPolicies").state is ENFORCED


@pytest.mark.parametrize(
    ("probe", "state", "reason", "part"),
    [
        (None, UNKNOWN, "NetworkNotProven", "run: tritonctl doctor --probe"),
        ({}, ENFORCED, "Enforced", "on 2026-05-20 with Kubernetes v1.36.1 on nodes node-1, node-2"),
        ({"nodes": ("node-1",)}, ENFORCED, "Enforced", "on node node-1"),
        ({"ingress": False}, NOT_ENFORCED, "NetworkNotEnforced", "for ingress on"),
        ({"egress": False}, NOT_ENFORCED, "NetworkNotEnforced", "for egress on"),
        ({"ingress": False, "egress": False}, NOT_ENFORCED, "NetworkNotEnforced", "for ingress and egress on"),
        ({"time": "2026-03-03T00:00:01Z"}, ENFORCED, "Enforced", "2026-03-03"),
        ({"time": "2026-03-02T23:59:59Z"}, UNKNOWN, "NetworkNotProven", "on 2026-03-02, is older than 90 days"),
        ({"time": "yesterday"}, UNKNOWN, "NetworkNotProven", "older than"),
    ],
)
def test_the_network_is_judged_by_the_last_probe(
    probe: dict[str, Any] | None, state: ControlState, reason: str, part: str
) -> None:
    found = None if probe is None else msgspec.structs.replace(PROBE, **probe)
    judged = judge(enforcing(observed={"network_probe": found}), ControlName.NETWORK_ENFORCEMENT)
    assert (judged.state, judged.reason) == (state, reason)
    assert part in judged.message


async def test_a_probe_counts_until_it_is_too_old_although_no_event_says_so() -> None:
    world = World()
    await world.reconcile()
    world.cache.network_probe = msgspec.structs.replace(PROBE, time="2026-01-01T03:04:05Z")
    for days, state in ((0, ENFORCED), (88, ENFORCED), (2, UNKNOWN)):
        world.pass_time(days * 24 * 60 * 60)
        await world.reconcile()
        assert world.control("NetworkEnforcement").state is state
    world.forget_writes()
    await world.reconcile()
    assert not world.cluster.writes


def cached(**egress: Any) -> Assessment:
    """A deployment with a cache, with a key in a vault, and with an Ingress."""
    repository = {"http": {"url": "https://models.example.com/m.zip"}}
    cache = {"size": "1Gi", "egress": egress or {"cidrs": ["203.0.113.0/24"]}}
    vault = {"address": "https://10.20.0.5", "role": "digits", "key": "models", "egress": {"to": [{"podSelector": {}}]}}
    decryption = {"vault": vault, "memory": "1Gi"}
    spec: dict[str, Any] = {
        "privacy": {"profile": "Private", "clients": CLIENTS},
        "modelRepository": repository,
        "cache": cache,
        "decryption": decryption,
        "exposure": {"ingress": {"host": "digits.example.com", "tls": {}}},
    }
    return enforcing(observed={"deployment": a_deployment(**spec)})


def test_the_egress_of_the_cache_job_is_enforced_if_its_addresses_are_given() -> None:
    assert judge(cached(), ControlName.CACHE_EGRESS).state is ENFORCED
    judged = judge(cached(ports=[8443]), ControlName.CACHE_EGRESS)
    assert (judged.state, judged.reason) == (NOT_ENFORCED, "CacheEgressOpen")
    assert "any address on port 8443;" in judged.message


def with_vault(address: str, **egress: Any) -> Assessment:
    """A deployment whose keys are in a vault."""
    vault = {"address": address, "role": "digits", "key": "models", "egress": egress}
    deployment = a_deployment(privacy={"profile": "Private"}, decryption={"vault": vault, "memory": "1Gi"})
    return enforcing(observed={"deployment": deployment})


def test_what_a_vault_opens_is_reported() -> None:
    blocks = [{"ipBlock": {"cidr": "10.20.0.5/32"}}]
    found = judge(with_vault("https://10.20.0.5:8200", to=blocks), ControlName.VAULT_EGRESS)
    assert (found.state, found.required) == (ENFORCED, True)
    assert (
        "not only prepare, can connect to the vault https://10.20.0.5:8200 at 10.20.0.5/32 on port 8200"
        in found.message
    )
    assert "DNS" not in found.message
    peers = [*blocks, {"podSelector": {}}, {"namespaceSelector": {}}]
    found = judge(with_vault("https://vault.example.com", to=peers, ports=[8200, 443]), ControlName.VAULT_EGRESS)
    assert "10.20.0.5/32, the pods that 2 selectors of spec.decryption.vault.egress.to match" in found.message
    assert "on ports 8200, 443" in found.message
    assert "and to the cluster's DNS, which resolves vault.example.com" in found.message
    policy = judge(with_vault("https://10.20.0.5:8200", to=blocks), ControlName.NETWORK_POLICY)
    assert "allows egress only to the vault of spec.decryption" in policy.message
    assert "allows no egress" in judge(enforcing(), ControlName.NETWORK_POLICY).message


# --- The traffic.


@pytest.mark.parametrize(
    ("mode", "current", "older", "state", "reason", "part"),
    [
        ("Managed", True, None, ENFORCED, "Enforced", "every pod accepts only TLS"),
        ("Managed", True, True, ENFORCED, "Enforced", "every pod accepts only TLS"),
        ("Managed", True, False, NOT_ENFORCED, "TLSNotConfigured", "pods of an older revision, without TLS"),
        ("Disabled", False, None, NOT_ENFORCED, "TLSNotConfigured", "because spec.privacy.tls.mode is Disabled"),
        (
            "Managed",
            False,
            None,
            NOT_ENFORCED,
            "TLSNotConfigured",
            "those of spec.privacy.tls.mode Managed do not exist",
        ),
        (None, False, None, NOT_ENFORCED, "TLSNotConfigured", "set spec.privacy.tls.mode to Managed"),
        ("External", False, None, UNKNOWN, "TLSNotVerifiable", "a service mesh has to encrypt"),
    ],
)
def test_tls_is_enforced_if_all_pods_terminate_it(
    mode: str | None, current: bool, older: bool | None, state: ControlState, reason: str, part: str
) -> None:
    pods = [a_pod("new", revision="r", ready=True)]
    if older is not None:
        pods.append(a_pod("old", revision="older", ready=True))
    assessment = enforcing(
        pods=tuple(pods),
        revision=a_revision(tls=current),
        older=None if older is None else a_revision("older", tls=older),
        tls={"mode": mode} if mode else {},
    )
    judged = judge(assessment, ControlName.TLS)
    assert (judged.state, judged.reason) == (state, reason)
    assert part in judged.message


def test_an_older_revision_without_pods_does_not_count() -> None:
    assessment = enforcing(pods=(a_pod("old", revision="older", deleting=True),), older=a_revision("older", tls=False))
    assert judge(assessment, ControlName.TLS).state is ENFORCED


def test_a_pod_that_is_not_of_the_deployment_makes_tls_unknown() -> None:
    judged = judge(enforcing(pods=(a_pod("intruder", revision=""),)), ControlName.TLS)
    assert (judged.state, judged.reason) == (UNKNOWN, "Waiting")
    assert "pod intruder" in judged.message


def test_nothing_is_known_of_pods_before_there_is_a_template() -> None:
    observed = enforcing().observed
    states = {control.name: control.state for control in judge_controls(assess(observed, None, None))}
    assert {name for name, state in states.items() if state is UNKNOWN} == {
        ControlName.TLS,
        ControlName.AUDIT,
        ControlName.ADMIN_APIS,
        ControlName.IMAGES_BY_DIGEST,
        ControlName.SERVER_RELEASE,
    }


@pytest.mark.parametrize(
    ("clients", "part"),
    [
        (None, "every client that the NetworkPolicy admits can call the models"),
        ([], "admits nobody"),
        (CLIENTS, "admits only the caller in"),
        ([*CLIENTS, {"name": "bank", "certificate": {"san": "bank"}}], "admits only the 2 callers in"),
    ],
)
def test_callers_are_enforced_by_the_proxy_and_absent_ones_by_choice(clients: Any, part: str) -> None:
    judged = judge(enforcing(**({} if clients is None else {"clients": clients})), ControlName.CALLERS)
    assert judged.state is ENFORCED
    assert part in judged.message


def test_callers_that_no_proxy_checks_are_not_enforced() -> None:
    plain = judge(enforcing(revision=a_revision(tls=False), clients=CLIENTS), ControlName.CALLERS)
    assert (plain.state, plain.reason) == (NOT_ENFORCED, "TLSNotConfigured")
    assert plain.message.startswith("callers are not checked: ")
    config = (Kind.CONFIG_MAP, "digits-proxy")
    missing = judge(enforcing(without=(config,), clients=CLIENTS), ControlName.CALLERS)
    assert (missing.state, missing.reason) == (NOT_ENFORCED, "PolicyMissing")
    taken = Blocked("NameConflict", "", taken=frozenset({config}))
    conflict = judge(enforcing(blocked=taken, clients=CLIENTS), ControlName.CALLERS)
    assert (conflict.state, conflict.reason) == (UNKNOWN, "NameConflict")


@pytest.mark.parametrize(
    ("audit", "tls", "state", "part"),
    [
        (None, True, ENFORCED, "logs all requests, without their content"),
        ("All", True, ENFORCED, "logs all requests, without their content"),
        ("Refused", True, ENFORCED, "logs refused requests, without their content"),
        ("Off", True, NOT_ENFORCED, "spec.privacy.audit is Off"),
        (None, False, NOT_ENFORCED, "requests are not logged: the pods are of an older revision, without TLS"),
    ],
)
def test_requests_are_logged_by_the_proxy(audit: str | None, tls: bool, state: ControlState, part: str) -> None:
    privacy: dict[str, Any] = {"audit": audit} if audit else {}
    judged = judge(enforcing(revision=a_revision(tls=tls), **privacy), ControlName.AUDIT)
    assert (judged.state, judged.required) == (state, False)
    assert part in judged.message


# --- The server.


def test_open_endpoints_are_listed() -> None:
    closed = judge(enforcing(), ControlName.ADMIN_APIS)
    deployment = a_deployment(triton={"openEndpoints": ["Statistics", "ModelConfig"]})
    opened = judge(enforcing(observed={"deployment": deployment}), ControlName.ADMIN_APIS)
    assert (closed.state, opened.state) == (ENFORCED, ENFORCED)
    assert closed.message == "Triton's administration APIs are closed over HTTP and gRPC"
    assert opened.message == f"{closed.message}, except Statistics, ModelConfig, which spec.triton.openEndpoints opens"


def test_images_without_a_digest_are_named_once() -> None:
    judged = judge(enforcing(revision=a_revision(digest=":1")), ControlName.IMAGES_BY_DIGEST)
    assert (judged.state, judged.required) == (NOT_ENFORCED, False)
    assert judged.message.endswith(": example.org/operator:1, example.org/triton:1")


@pytest.mark.parametrize(
    ("version", "state", "reason"),
    [("26.11", ENFORCED, "Patched"), ("24.10", NOT_ENFORCED, "BelowSecurityFloor"), ("", UNKNOWN, "ReleaseUnknown")],
)
def test_the_release_is_judged_as_by_the_condition(version: str, state: ControlState, reason: str) -> None:
    judged = judge(enforcing(revision=a_revision(version=version)), ControlName.SERVER_RELEASE)
    assert (judged.state, judged.reason, judged.required) == (state, reason, False)


async def test_the_images_of_a_rendered_template_are_read() -> None:
    world = World()
    await world.reconcile()
    server = SETTINGS.images[1].image
    assert world.control("ImagesByDigest").message.endswith(f": {SETTINGS.operator_image}, {server}")


async def test_a_control_has_the_time_since_which_its_state_is_the_same() -> None:
    """Its message may change in between; another pass without a change writes nothing."""
    world = World()
    await world.reconcile()
    first = world.control("NetworkEnforcement").last_transition_time
    assert first
    world.forget_writes()
    world.pass_time(60)
    await world.reconcile()
    assert world.cluster.writes == []
    world.cache.network_probe = msgspec.structs.replace(PROBE, time="2000-01-01T00:00:00Z")
    await world.reconcile()
    outdated = world.control("NetworkEnforcement")
    assert ("is older than" in outdated.message, outdated.last_transition_time) == (True, first)
    world.cache.network_probe = msgspec.structs.replace(PROBE, time="2026-01-01T00:00:00Z")
    await world.reconcile()
    proven = world.control("NetworkEnforcement")
    assert (proven.state, proven.last_transition_time > first) == (ENFORCED, True)
    assert world.control("TLS").last_transition_time == first


async def test_a_control_of_an_older_operator_gets_a_time_once() -> None:
    """That operator did not write any."""
    world = World()
    await world.reconcile()
    privacy = world.status.privacy
    assert privacy is not None
    untimed = tuple(msgspec.structs.replace(control, last_transition_time="") for control in privacy.controls)
    world.cluster.statuses.append(msgspec.structs.replace(world.status, privacy=PrivacyStatus(untimed)))
    world.edit()
    world.new_operator()
    world.pass_time(60)
    await world.reconcile()
    timed = world.control("TLS").last_transition_time
    assert timed > privacy.controls[0].last_transition_time
    world.pass_time(60)
    await world.reconcile()
    assert world.control("TLS").last_transition_time == timed


def test_added_containers_are_named_where_the_proxy_does_not_check_them() -> None:
    """They share the loopback on which Triton listens; the network policy keeps others from them."""
    revision = a_revision()
    added = ContainerSummary("shipper", f"example.org/shipper{DIGEST}")
    pod = msgspec.structs.replace(revision.template.spec, containers=(*revision.template.spec.containers, added))
    template = msgspec.structs.replace(revision.template, spec=pod)
    for each, named in ((revision, False), (msgspec.structs.replace(revision, template=template), True)):
        judged = judge_controls(enforcing(revision=each, clients=CLIENTS))
        of_proxy = {control.name: control for control in judged if control.name in {"Callers", "Audit"}}
        assert {control.state for control in of_proxy.values()} == {ENFORCED}
        words = "containers of spec.podTemplate reach Triton without it, and can answer instead of Triton: shipper"
        assert [words in control.message for control in of_proxy.values()] == [named, named]
