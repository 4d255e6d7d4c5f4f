"""`tritonctl doctor --probe` in networks that enforce policies, that do not, and that are broken otherwise."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest

from triton_operator.api.network_probe import RESULT_KEY, NetworkProbe, decode
from triton_operator.cli.doctor.evidence import Evidence
from triton_operator.cli.doctor.probe.command import operators, report
from triton_operator.cli.doctor.probe.objects import BLOCKED, LABEL, LABEL_ROLE, OPEN, ProbeObjects, record
from triton_operator.cli.doctor.probe.run import CHANGE_SECONDS, START_SECONDS, ProbeFailedError, ProbeOutcome, ProbeRun
from triton_operator.cluster.resource_paths import Resource
from triton_operator.sdk.cluster_objects import LogOptions, Object, ObjectList, Selection
from triton_operator.sdk.errors import DeploymentNotFoundError, RejectedError

Enforce = Callable[[Object], bool]


@dataclass
class Network:
    """Pods and policies of a cluster; `enforces` are the directions in which policies take effect, after `delay`."""

    enforces: tuple[str, ...] = ("Ingress", "Egress")
    delay: float = 2.0
    blocked: bool = False
    phase: str = "Running"
    status: Object = field(default_factory=dict)
    comes_back: bool = True
    fail_on: str = ""
    interrupt_on: str = ""
    now: float = 0.0
    objects: dict[str, Object] = field(default_factory=dict)
    created: list[str] = field(default_factory=list)
    _effects: list[tuple[float, str]] = field(default_factory=list)

    def clock(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += seconds

    def create(self, path: str, body: Object) -> Object:
        name, plural = body["metadata"]["name"], path.rsplit("/", 1)[-1]
        role = body["metadata"]["labels"][LABEL_ROLE]
        if self.fail_on == f"{plural}/{role}":
            raise RejectedError("forbidden")
        stored = {**body, "metadata": {**body["metadata"], "uid": f"uid-{name}-{plural}"}}
        self.objects[f"{plural}/{name}"] = stored
        self.created.append(f"{plural}/{role}")
        if self.interrupt_on == f"{plural}/{role}":
            raise KeyboardInterrupt
        return stored

    def get(self, resource: Resource, name: str, namespace: str | None = "") -> Object:
        assert namespace == "operators"
        found = self.objects.get(f"{resource.plural}/{name}")
        if found is None:
            raise DeploymentNotFoundError(name)
        status = {"phase": self.phase, "podIP": "10.0.0.7", **self.status}
        return {**found, "spec": {**found["spec"], "nodeName": f"node-of-{name.rsplit('-', 1)[-1]}"}, "status": status}

    def list(self, selection: Selection) -> ObjectList:
        key, _, value = selection.labels.partition("=")
        found = [
            item
            for place, item in self.objects.items()
            if place.startswith(f"{selection.resource.plural}/") and item["metadata"]["labels"].get(key) == value
        ]
        return ObjectList(found, "1")

    def delete(self, resource: Resource, name: str, namespace: str | None = "", *, uid: str) -> None:
        item = self.objects.pop(f"{resource.plural}/{name}")
        assert item["metadata"]["uid"] == uid
        if resource.kind == "NetworkPolicy" and not self.comes_back:
            self.blocked = True

    def log(self, pod: str, container: str, namespace: str, options: LogOptions) -> Iterable[str]:
        """The client prints a line with each attempt; a policy takes effect some time after its creation."""
        policies = [item for place, item in self.objects.items() if place.startswith("networkpolicies/")]
        for policy in policies:
            policy.setdefault("seen", self.now)
        effective = [
            policy
            for policy in policies
            if policy["spec"]["policyTypes"][0] in self.enforces and self.now >= policy["seen"] + self.delay
        ]
        return [f"{BLOCKED if self.blocked or effective else OPEN}\n"] * 3


def probe(network: Network) -> ProbeOutcome:
    objects = ProbeObjects("abc123", "example.com/operator:1")
    return ProbeRun(network, "operators", objects, clock=network.clock, pause=network.pause).run()


@pytest.mark.parametrize("enforced", [("Ingress", "Egress"), ("Ingress",), ("Egress",), ()])
def test_each_direction_is_tested_on_its_own(enforced: tuple[str, ...]) -> None:
    network = Network(enforces=enforced)
    assert probe(network) == (("node-of-server", "node-of-client"), "Ingress" in enforced, "Egress" in enforced)
    assert network.created == ["pods/server", "pods/client", "networkpolicies/server", "networkpolicies/client"]
    assert network.objects == {}


def test_a_policy_that_takes_effect_too_late_counts_as_not_enforced() -> None:
    assert probe(Network(delay=CHANGE_SECONDS - 1)).ingress
    assert not probe(Network(delay=CHANGE_SECONDS + 2)).ingress


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (Network(blocked=True), "cannot connect to another one in namespace operators"),
        (Network(comes_back=False), "did not resume after the policy was deleted"),
        (Network(phase="Failed", status={"message": "evicted"}), "probe-abc123-server has ended: evicted"),
        (
            Network(
                phase="Pending",
                status={"containerStatuses": [{"state": {"waiting": {"reason": "ErrImagePull", "message": "no"}}}]},
            ),
            "does not start: ErrImagePull no",
        ),
        (
            Network(phase="Pending", status={"conditions": [{"status": "False", "message": "0/1 nodes fit"}]}),
            "does not start: 0/1 nodes fit",
        ),
    ],
)
def test_a_test_that_shows_nothing_fails_and_leaves_nothing(network: Network, message: str) -> None:
    with pytest.raises(ProbeFailedError, match=message):
        probe(network)
    assert network.objects == {}
    assert network.now < START_SECONDS + 2 * CHANGE_SECONDS


@pytest.mark.parametrize("place", ["pods/server", "pods/client", "networkpolicies/server", "networkpolicies/client"])
def test_an_interruption_or_an_error_leaves_nothing(place: str) -> None:
    """Not even an object whose creation was interrupted, so that its uid is not known."""
    interrupted, denied = Network(interrupt_on=place), Network(fail_on=place)
    with pytest.raises(KeyboardInterrupt):
        probe(interrupted)
    with pytest.raises(RejectedError):
        probe(denied)
    assert (interrupted.objects, denied.objects) == ({}, {})
    assert interrupted.created[-1] == place


def test_signals_are_handled_as_before_when_everything_is_deleted() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    probe(Network())
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


def test_the_objects_belong_to_the_first_pod_and_the_pods_end_by_themselves() -> None:
    objects = ProbeObjects("abc123", "image", pull_secrets=[{"name": "registry"}])
    server = objects.server()
    server["metadata"]["uid"] = "u"
    owned = [objects.client("10.0.0.7", server), objects.policy("server", server), objects.policy("client", server)]
    owners = [each["metadata"]["ownerReferences"] for each in owned]
    assert owners == [[{"apiVersion": "v1", "kind": "Pod", "name": server["metadata"]["name"], "uid": "u"}]] * 3
    for pod in (server, owned[0]):
        assert pod["spec"]["activeDeadlineSeconds"] == 600
        assert pod["spec"]["imagePullSecrets"] == [{"name": "registry"}]
    assert owned[0]["spec"]["containers"][0]["command"][-1] == "10.0.0.7"
    assert owned[1]["spec"] == {
        "podSelector": {"matchLabels": {LABEL: "abc123", LABEL_ROLE: "server"}},
        "policyTypes": ["Ingress"],
    }
    assert owned[2]["spec"]["policyTypes"] == ["Egress"]


# --- The record and the result.


def a_result(**changes: Any) -> NetworkProbe:
    fields = {"time": "2026-01-02T03:04:05Z", "kubernetes_version": "v1.36.1", "nodes": ("a", "b")}
    return NetworkProbe(**{**fields, "ingress": True, "egress": True, **changes})


def test_the_operator_can_read_the_record() -> None:
    manifest = record(a_result())
    assert manifest["metadata"] == {"name": "triton-operator-network-probe"}
    assert decode(manifest["data"][RESULT_KEY]) == a_result()


def deny(place: str) -> None:
    raise RejectedError(f"no permission in {place}")


@pytest.mark.parametrize(
    ("result", "places", "denied", "status", "part"),
    [
        (a_result(), ["o"], False, "ok", "tested on a, b; recorded in ConfigMap o/triton-operator-network-probe"),
        (a_result(ingress=False), ["o"], False, "fail", "have no effect on ingress"),
        (a_result(ingress=False, egress=False), ["o"], False, "fail", "have no effect on ingress and egress"),
        (a_result(), ["o"], True, "warn", "not recorded: no permission in o"),
        (a_result(), [], False, "warn", "not recorded: no operator"),
    ],
)
def test_the_result_says_what_was_shown_and_where_it_is_recorded(
    result: NetworkProbe, places: list[str], denied: bool, status: str, part: str
) -> None:
    written: list[str] = []
    found = report(result, places, deny if denied else written.append)
    assert (found.check, found.status) == ("network policies", status)
    assert part in found.message
    assert written == ([] if denied else places)


def test_the_image_and_the_pull_secrets_are_those_of_the_operator() -> None:
    pod = {"containers": [{"image": "example.com/operator:1"}], "imagePullSecrets": [{"name": "registry"}]}
    deployment = {"metadata": {"namespace": "o"}, "spec": {"template": {"spec": pod}}}
    found = operators(Evidence("models", {"operator": {"items": [deployment]}}))
    assert found == [("o", "example.com/operator:1", ({"name": "registry"},))]
    assert operators(Evidence("models", {"operator": RejectedError("no")})) == []
