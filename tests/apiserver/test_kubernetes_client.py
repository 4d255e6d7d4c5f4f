"""The client of the SDK and `tritonctl` against a real API server: credentials, watches over TLS, and permissions."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.cluster.controlplane import ControlPlane
from tests.apiserver.api_client import Api
from tests.builders import a_body
from tests.tritonctl import tritonctl
from triton_operator.api import names
from triton_operator.cluster.resource_paths import MODEL_DEPLOYMENTS
from triton_operator.sdk.cluster_objects import Event, Selection
from triton_operator.sdk.deployments import Deployments
from triton_operator.sdk.errors import DeploymentNotFoundError, InvalidRequestError, RejectedError, UnreachableError
from triton_operator.sdk.follow import follow
from triton_operator.sdk.kube_context import KubeContext
from triton_operator.sdk.kubernetes_client import KubernetesClient
from triton_operator.sdk.service_account_token import service_account_token
from triton_operator.sdk.stop import Stop
from triton_operator.sdk.tokens import audiences

RULES: dict[str, list[dict[str, Any]]] = {
    "everything": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}],
    "one-name": [
        {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"], "resourceNames": ["digits"]},
    ],
}


def manifest(name: str, namespace: str) -> dict[str, Any]:
    """A ModelDeployment as a user writes it."""
    body = a_body(name, namespace)
    return {**body, "metadata": {"name": name, "namespace": namespace}}


@pytest.fixture
def client(kubeconfig: Path) -> KubernetesClient:
    """Return a client with an administrator's certificate."""
    return KubernetesClient(KubeContext(str(kubeconfig)))


def test_an_object_is_applied_read_listed_and_deleted(client: KubernetesClient, namespace: str) -> None:
    """And the server's own errors are distinguished."""
    deployments = Deployments(client)
    applied = deployments.apply(manifest("digits", namespace))
    assert applied["metadata"]["managedFields"][0]["manager"] == "triton-operator-sdk"
    assert deployments.read("digits", namespace) == applied
    listed = client.list(Selection(MODEL_DEPLOYMENTS, namespace))
    assert [(item["kind"], item["metadata"]["name"]) for item in listed.items] == [("ModelDeployment", "digits")]
    other = Deployments(client, manager="other")
    with pytest.raises(RejectedError, match=r"conflict.*--force"):
        other.apply({**manifest("digits", namespace), "spec": {**applied["spec"], "replicas": 7}})
    with pytest.raises(InvalidRequestError, match="modelz"):
        deployments.apply({**manifest("digits", namespace), "spec": {"modelz": []}})
    deployments.delete("digits", namespace)
    with pytest.raises(DeploymentNotFoundError, match='"digits" not found'):
        deployments.read("digits", namespace)


def test_a_change_sets_fields_and_keeps_the_others(client: KubernetesClient, namespace: str) -> None:
    """A field without its neighbours, although the applied object has them from another manager."""
    body = manifest("digits", namespace)
    body["spec"]["rollout"] = {"revisionHistoryLimit": 3}
    applied = Deployments(client).apply(body)
    deployments = Deployments(client, manager="tritonctl")
    changed = deployments.change("digits", {"spec": {"rollout": {"paused": True}}}, namespace)
    assert changed["spec"] == applied["spec"] | {"rollout": {"revisionHistoryLimit": 3, "paused": True}}
    with pytest.raises(InvalidRequestError, match="restartedAt"):
        deployments.change("digits", {"spec": {"rollout": {"restartedAt": "now"}}}, namespace)
    with pytest.raises(DeploymentNotFoundError, match='"absent" not found'):
        deployments.change("absent", {"spec": {"rollout": {"paused": True}}}, namespace)


def test_a_list_is_read_page_by_page(client: KubernetesClient, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No object is lost between pages."""
    monkeypatch.setattr("triton_operator.sdk.kubernetes_client._PAGE", 2)
    names = [f"digits-{number}" for number in range(5)]
    for name in names:
        Deployments(client).apply(manifest(name, namespace))
    listed = client.list(Selection(MODEL_DEPLOYMENTS, namespace))
    assert [item["metadata"]["name"] for item in listed.items] == names


def test_a_watch_delivers_changes_and_ends_when_it_is_stopped(client: KubernetesClient, namespace: str) -> None:
    """Over TLS, from another thread, while it waits for the next change."""
    deployments, stop = Deployments(client), Stop()
    labelled = {"name": "digits", "labels": {"a": "b"}}
    deployments.apply(manifest("digits", namespace))
    events: list[Event] = []
    deleted = threading.Event()

    def read() -> None:
        for event in follow(client, Selection(MODEL_DEPLOYMENTS, namespace), stop=stop):
            events.append(event)
            if event.kind == "ADDED":
                deployments.apply({**manifest("digits", namespace), "metadata": labelled}, namespace)
            if event.kind == "MODIFIED":
                deployments.delete("digits", namespace)
            if event.kind == "DELETED":
                deleted.set()

    thread = threading.Thread(target=read)
    thread.start()
    assert deleted.wait(60)
    stop.now()
    thread.join(60)
    assert not thread.is_alive()
    assert [event.kind for event in events] == ["ADDED", "MODIFIED", "DELETED"]


def test_a_version_that_is_too_old_ends_a_watch(client: KubernetesClient, namespace: str) -> None:
    """The server sends an event, after which `follow` lists again."""
    events = list(client.watch(Selection(MODEL_DEPLOYMENTS, namespace), "1", seconds=30, stop=Stop()))
    assert [(event.kind, event.object["code"]) for event in events] == [("ERROR", 410)]


def test_a_login_program_gives_the_token(api: Api, control_plane: ControlPlane, namespace: str, tmp_path: Path) -> None:
    """As with cloud providers; the namespace is that of the selected context."""
    file = write_exec_kubeconfig(user(api, control_plane, namespace, "everything"), namespace, tmp_path)
    client = KubernetesClient(KubeContext(str(file), context="second"))
    assert client.namespace == namespace
    Deployments(client).apply(manifest("digits", namespace))
    assert Deployments(client).read("digits")["metadata"]["namespace"] == namespace
    assert KubernetesClient(KubeContext(str(file))).namespace == "default"


def test_a_certificate_is_verified_unless_the_kubeconfig_says_otherwise(
    kubeconfig: Path, client: KubernetesClient, namespace: str, tmp_path: Path
) -> None:
    """There is no warning, because the kubeconfig disables the verification explicitly."""
    config = yaml.safe_load(kubeconfig.read_text())
    cluster = config["clusters"][0]["cluster"]
    for name in [name for name in cluster if name.startswith("certificate-authority")]:
        del cluster[name]
    file = tmp_path / "insecure"
    file.write_text(yaml.safe_dump(config))
    with pytest.raises(UnreachableError, match="CERTIFICATE_VERIFY_FAILED"):
        KubernetesClient(KubeContext(str(file))).list(Selection(MODEL_DEPLOYMENTS, namespace))
    cluster["insecure-skip-tls-verify"] = True
    file.write_text(yaml.safe_dump(config))
    assert KubernetesClient(KubeContext(str(file))).list(Selection(MODEL_DEPLOYMENTS, namespace)).items == []


def test_a_token_for_a_deployment_is_verified_by_the_api_server(
    api: Api, control_plane: ControlPlane, client: KubernetesClient, namespace: str
) -> None:
    """For its audience and for no other. A user without the right learns what to ask for."""
    one_name = user(api, control_plane, namespace, "one-name")
    audience = names.audience(namespace, "digits")
    token = service_account_token(client, f"{namespace}/one-name", "elsewhere", audience).read()
    assert audiences(token) == (audience,)
    for asked, accepted in ((audience, True), (names.audience(namespace, "words"), False)):
        review = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": [asked]},
        }
        status = client.create("/apis/authentication.k8s.io/v1/tokenreviews", review)["status"]
        assert status.get("authenticated", False) is accepted
    other = KubernetesClient(KubeContext(str(one_name)))
    with pytest.raises(
        RejectedError, match=rf"the verb create for the resource serviceaccounts/token in .*{namespace}"
    ):
        service_account_token(other, "one-name", namespace, audience).read()
    with pytest.raises(DeploymentNotFoundError, match=f"namespace {namespace} has no ServiceAccount none"):
        service_account_token(client, "none", namespace, audience).read()


def write_exec_kubeconfig(kubeconfig: Path, namespace: str, folder: Path) -> Path:
    """The same with a program that prints the token, and a second context with a namespace."""
    config = yaml.safe_load(kubeconfig.read_text())
    token = config["users"][0]["user"].pop("token")
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": token},
    }
    program = folder / "login"
    program.write_text(f"#!/bin/sh\necho '{json.dumps(credential)}'\n")
    program.chmod(0o755)
    config["users"][0]["user"]["exec"] = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": str(program),
        "interactiveMode": "Never",
    }
    (first,) = config["contexts"]
    config["contexts"].append({"name": "second", "context": {**first["context"], "namespace": namespace}})
    file = folder / "exec-kubeconfig"
    file.write_text(yaml.safe_dump(config))
    return file


def user(api: Api, control_plane: ControlPlane, namespace: str, rules: str) -> Path:
    """The kubeconfig of a service account with these rules in the namespace."""
    api.create(f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": rules}})
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    api.create(f"{rbac}/roles", {"metadata": {"name": rules}, "rules": RULES[rules]})
    subject = {"kind": "ServiceAccount", "name": rules, "namespace": namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": rules}
    api.create(f"{rbac}/rolebindings", {"metadata": {"name": rules}, "roleRef": role, "subjects": [subject]})
    return control_plane.service_account_kubeconfig(namespace, rules)


def permissions(capsys: pytest.CaptureFixture[str], kubeconfig: Path, namespace: str) -> dict[str, str]:
    """The result of the permissions check of `tritonctl doctor`."""
    outcome = tritonctl(capsys, "doctor", "-n", namespace, "-o", "json", "--kubeconfig", kubeconfig)
    (check,) = (each for each in json.loads(outcome.out) if each["check"] == "permissions")
    return dict(check)


def test_permissions_by_stars_and_names(
    api: Api, control_plane: ControlPlane, namespace: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A star grants everything; a permission for one named object does not grant all."""
    star = user(api, control_plane, namespace, "everything")
    assert permissions(capsys, star, namespace)["status"] == "ok"
    named = user(api, control_plane, namespace, "one-name")
    result = permissions(capsys, named, namespace)
    assert result["status"] == "fail"
    assert "list modeldeployments.triton-operator.io" in result["message"]
