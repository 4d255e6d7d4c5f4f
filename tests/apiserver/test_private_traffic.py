"""Ports, policy and pods of one object while its TLS mode and callers change, with the real operator and API server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hack.programs.catalogue import tools
from tests.apiserver.operator_process import OperatorProcess
from tests.builders import a_body
from tests.kube import Kube
from triton_operator.triton.proxy_contract.policy import ProxyPolicy, decode

Object = dict[str, Any]

SECRET = {"mode": "Secret", "secretRef": {"name": "certificate"}}
POLICY = "digits-proxy"


def a_public_key() -> str:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def a_caller(name: str, key: str) -> Object:
    return {"name": name, "token": {"publicKeys": [key]}}


class Life:
    """One ModelDeployment `digits`."""

    def __init__(self, kube: Kube) -> None:
        self.kube = kube

    def edit(self, **privacy: Any) -> None:
        """Replace fields of `spec.privacy`; None removes one."""
        self.kube.patch("modeldeployment", "digits", {"spec": {"privacy": privacy}})

    def ports(self, service: str = "digits") -> dict[str, int]:
        body = self.kube.get("service", service) or {"spec": {"ports": []}}
        return {port["name"]: port["port"] for port in body["spec"]["ports"]}

    def allowed_ports(self) -> list[int]:
        body = self.kube.get("networkpolicy", "digits") or {"spec": {"ingress": []}}
        return [port["port"] for rule in body["spec"]["ingress"] for port in rule["ports"]]

    def template(self) -> Object:
        template: Object = (self.kube.get("deployment", "digits") or {})["spec"]["template"]
        return template

    def policy(self) -> ProxyPolicy | None:
        """The content of the proxy's ConfigMap, None if there is none."""
        found = self.kube.get("configmap", POLICY)
        return decode(found["data"]["policy.json"].encode()) if found else None

    def callers(self) -> list[str]:
        policy = self.policy()
        return [caller.name for caller in policy.callers or ()] if policy else []

    def endpoints(self) -> Object:
        endpoints: Object = (self.kube.get("modeldeployment", "digits") or {}).get("status", {}).get("endpoints", {})
        return endpoints

    def is_private(self) -> bool:
        return self.ports() == {"https": 8443} and self.allowed_ports() == [8443]

    def wait_accepted(self, status: str) -> Object:
        """The condition Accepted, once it has this status for the current generation."""

        def current() -> bool:
            body = self.kube.get("modeldeployment", "digits") or {}
            condition = self.kube.condition("digits", "Accepted") or {}
            generation = body["metadata"]["generation"]
            return (condition.get("status"), condition.get("observedGeneration")) == (status, generation)

        self.kube.wait(current, f"Accepted is {status}")
        return self.kube.condition("digits", "Accepted") or {}


@pytest.fixture
def life(kubeconfig: Path, namespace: str, tmp_path: Path) -> Iterator[Life]:
    """A plain object that the operator has processed."""
    kube = Kube(tools("kubectl") / "kubectl", kubeconfig, namespace)
    with OperatorProcess(kubeconfig, namespace, tmp_path) as operator:
        operator.wait_ready()
        kube.apply({**a_body(privacy={"tls": {"mode": "Disabled"}}), "metadata": {"name": "digits"}})
        found = Life(kube)
        kube.wait(lambda: found.ports() == {"http": 8000, "grpc": 8001}, "the plain Service exists")
        yield found


def test_tls_replaces_the_plain_ports_everywhere_and_can_be_disabled_again(life: Life) -> None:
    assert life.allowed_ports() == [8000, 8001]
    plain = life.template()
    life.edit(tls=SECRET)
    life.kube.wait(life.is_private, "the Service and the policy have the TLS port only")
    assert life.ports("digits-headless") == {"https": 8443, "metrics": 8002}
    life.kube.wait(lambda: "https" in life.endpoints(), "the status has the address")
    assert life.endpoints() == {
        "https": f"https://digits.{life.kube.namespace}.svc:8443",
        "metrics": f"http://digits-headless.{life.kube.namespace}.svc:8002/metrics",
    }
    containers = life.template()["spec"]["initContainers"]
    assert [container["name"] for container in containers] == ["prepare", "proxy"]
    assert [port["name"] for port in life.template()["spec"]["containers"][0]["ports"]] == ["metrics"]
    life.edit(tls={"mode": "Disabled", "secretRef": None})
    life.kube.wait(lambda: life.ports() == {"http": 8000, "grpc": 8001}, "the plain ports are back")
    life.kube.wait(lambda: life.policy() is None, "the proxy's policy is deleted")
    assert life.allowed_ports() == [8000, 8001]
    assert life.template() == plain


def test_callers_change_in_place_and_a_wrong_key_changes_nothing(life: Life) -> None:
    key = a_public_key()
    life.edit(tls=SECRET, clients=[a_caller("shop", key)])
    life.kube.wait(lambda: life.callers() == ["shop"], "the caller is admitted")
    life.kube.wait(life.is_private, "TLS is on")
    template = life.template()
    life.edit(clients=[a_caller("shop", key), a_caller("partner", key)])
    life.kube.wait(lambda: life.callers() == ["shop", "partner"], "the second caller is admitted")
    life.edit(clients=[a_caller("broken", "key")])
    assert life.wait_accepted("False")["message"] == (
        "spec.privacy.clients[0].token.publicKeys[0]: it is not a public key in PEM form (BEGIN PUBLIC KEY)"
    )
    assert life.callers() == ["shop", "partner"]
    life.edit(clients=[])
    life.wait_accepted("True")
    life.kube.wait(lambda: life.callers() == [], "nobody is admitted")
    policy = life.policy()
    assert policy is not None
    assert policy.callers == ()
    assert life.template() == template


def test_an_edited_policy_is_reverted(life: Life) -> None:
    """Whoever can edit the ConfigMap could otherwise admit a caller."""
    life.edit(tls=SECRET, clients=[a_caller("shop", a_public_key())])
    life.kube.wait(lambda: life.callers() == ["shop"], "the caller is admitted")
    original = life.policy()
    life.kube.patch("configmap", POLICY, {"data": {"policy.json": json.dumps({}), "other": "x"}})
    life.kube.wait(lambda: life.policy() == original, "the policy is restored")
    life.kube.wait(lambda: set((life.kube.get("configmap", POLICY) or {})["data"]) == {"policy.json"}, "nothing else")
    life.kube.run("delete", "configmap", POLICY)
    life.kube.wait(lambda: life.policy() == original, "the policy exists again")


KEYS = {"configMapRef": {"name": "keys", "key": "keys"}}
LOGIN = {"issuer": "https://login.example.com", "audiences": ["digits"]}
NOT_KEYS: dict[str, tuple[Object, str]] = {
    "a token": ({"clients": [a_caller("broken", "key")]}, "clients[0].token.publicKeys[0]: it is not a public key"),
    "keys in the spec": (
        {"clients": [{"name": "login", "jwt": {**LOGIN, "jwks": "keys"}}]},
        "clients[0].jwt.jwks: it is not a JSON Web Key Set",
    ),
    "keys in a ConfigMap": (
        {"clients": [{"name": "login", "jwt": {**LOGIN, "jwksConfigMapRef": KEYS["configMapRef"]}}]},
        "clients[0].jwt.jwksConfigMapRef: it is not a JSON Web Key Set",
    ),
    "authorities": (
        {"clients": [{"name": "mesh", "certificate": {"san": "a"}}], "clientCas": KEYS},
        "clientCas.configMapRef: ",
    ),
}


def test_keys_that_are_no_keys_are_reported_by_field_and_everything_else_continues(life: Life) -> None:
    """The admitted callers stay, edits of other children are undone, and another deployment is created."""
    kube = life.kube
    life.edit(tls=SECRET, clients=[a_caller("shop", a_public_key())])
    kube.wait(lambda: life.callers() == ["shop"], "the caller is admitted")
    kube.run("create", "configmap", "keys", "--from-literal=keys=nothing")
    for name, (privacy, message) in NOT_KEYS.items():
        life.edit(**{"clientCas": None, **privacy})
        condition = life.wait_accepted("False")
        assert condition["reason"] == "InvalidSpec", name
        assert condition["message"].startswith(f"spec.privacy.{message}"), condition["message"]
        assert life.callers() == ["shop"], name
    kube.patch("networkpolicy", "digits", {"spec": {"egress": [{}]}})
    kube.wait(lambda: not (kube.get("networkpolicy", "digits") or {})["spec"].get("egress"), "the policy is restored")
    kube.apply({**a_body(privacy={"tls": SECRET, "clients": []}), "metadata": {"name": "other"}})
    kube.wait(lambda: kube.get("deployment", "other"), "another deployment is created")
    kube.wait(lambda: (kube.condition("other", "Accepted") or {}).get("status") == "True", "it is accepted")
