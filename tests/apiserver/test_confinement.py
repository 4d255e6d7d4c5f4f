"""The operator with its own ServiceAccount under the chart's policy: it can do all its work, and nothing else."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.programs.catalogue import tools
from tests import cert_manager
from tests.apiserver.api_client import Api
from tests.apiserver.conftest import Kubectl, KubectlError
from tests.apiserver.operator_process import OperatorProcess
from tests.apiserver.test_chart import account, await_right, install_values
from tests.builders import SETTINGS, a_body
from tests.kube import Kube
from triton_operator.api.names import AUTHORITY_SECRET, CA_CONFIG_MAP, SERVING_SECRET
from triton_operator.api.spec import parse
from triton_operator.cluster.client import ApiClient
from triton_operator.cluster.errors import DeniedError
from triton_operator.cluster.kubeconfig import from_kubeconfig
from triton_operator.resources.build import render

Object = dict[str, Any]
Change = Callable[[Object], object]

REFUSED = "ValidatingAdmissionPolicy"
TOKEN: Object = {"serviceAccountToken": {"path": "token"}}
VAULT_TOKEN: Object = {"serviceAccountToken": {"path": "token", "audience": "vault"}}
OTHER_TOKEN: Object = {"serviceAccountToken": {"path": "other", "audience": "https://kubernetes.default.svc"}}
FIRST = "/spec/template/spec/containers/0"
S3: Object = {"s3": {"bucket": "models"}}


@pytest.fixture
def kube(kubeconfig: Path, namespace: str) -> Kube:
    """Return kubectl with administrator permissions."""
    return Kube(tools("kubectl") / "kubectl", kubeconfig, namespace)


@pytest.fixture
def user(api: Api, kubectl: Kubectl, namespace: str) -> str:
    """Return the operator's user name after its permissions and the policy are in effect."""
    name = account(install_values(kubectl, namespace, policies={"confineOperator": True}), namespace)
    await_right(api, name, ("get", "coordination.k8s.io", "leases", "triton-operator"), namespace)
    await_right(api, name, ("create", "", "configmaps", ""), namespace)
    admin = Kube(tools("kubectl") / "kubectl", api.kubeconfig, namespace)
    admin.wait(lambda: REFUSED in attempt(kubectl, name, plain("probe", namespace)), "the policy is in effect")
    return name


def test_the_operator_can_do_all_its_work(
    api: Api, kube: Kube, kubeconfig: Path, namespace: str, user: str, tmp_path: Path
) -> None:
    """Creating, updating, scaling, autoscaling, repairing, caching, suspending and deleting are all allowed."""
    own = kubeconfig_of(api, kubeconfig, namespace, user, tmp_path)
    with OperatorProcess(own, namespace, tmp_path) as operator:
        operator.wait_ready()
        _apply(kube)
        kube.wait(lambda: kube.get("deployment", "digits"), "the children are created")
        _change(kube, replicas=3)
        kube.wait(lambda: _spec(kube, "deployment").get("replicas") == 3, "it is scaled")
        kube.patch("service", "digits", {"metadata": {"labels": {"app.kubernetes.io/managed-by": None}}})
        kube.patch("service", "digits", {"spec": {"type": "NodePort"}})
        kube.wait(lambda: _spec(kube, "service")["type"] == "ClusterIP", "drift is corrected")
        label = "app.kubernetes.io/managed-by"
        kube.wait(lambda: label in (kube.get("service", "digits") or {})["metadata"]["labels"], "labels are restored")
        kube.delete("networkpolicy", "digits")
        kube.wait(lambda: kube.get("networkpolicy", "digits"), "a deleted child is created again")
        extra = {"name": "foreign", "image": "example.org/foreign:1"}
        kube.run("patch", "deployment", "digits", "--type=json", "-p",
                 json.dumps([{"op": "add", "path": "/spec/template/spec/containers/-", "value": extra}]))  # fmt: skip
        kube.wait(lambda: len(_containers(kube)) == 1, "an added container is removed")
        powers = {"hostNetwork": True, "hostPID": True, "automountServiceAccountToken": True}
        kube.patch("deployment", "digits", {"spec": {"template": {"spec": powers}}})
        kube.wait(
            lambda: "hostPID" not in _pod(kube.get("deployment", "digits") or {}), "added pod privileges are removed"
        )
        assert not _pod(kube.get("deployment", "digits") or {})["automountServiceAccountToken"]
        changes = [
            {"op": "replace", "path": f"{FIRST}/image", "value": "example.org/other:1"},
            {"op": "add", "path": f"{FIRST}/ports/0/hostPort", "value": 8000},
            {"op": "add", "path": f"{FIRST}/securityContext/capabilities/add", "value": ["SYS_ADMIN"]},
        ]
        kube.run("patch", "deployment", "digits", "--type=json", "-p", json.dumps(changes))
        kube.wait(
            lambda: "add" not in _containers(kube)[0]["securityContext"]["capabilities"],
            "added capabilities are removed",
        )
        assert "hostPort" not in _containers(kube)[0]["ports"][0]
        changes = [{"op": "replace", "path": f"{FIRST}/securityContext", "value": {"privileged": True}}]
        kube.run("patch", "deployment", "digits", "--type=json", "-p", json.dumps(changes))
        kube.wait(lambda: not _containers(kube)[0]["securityContext"]["privileged"], "the privileged flag is removed")
        _change(kube, autoscaling={"minReplicas": 2, "maxReplicas": 8})
        kube.wait(lambda: kube.get("horizontalpodautoscaler", "digits"), "the autoscaler is created")
        _change(kube, suspend=True)
        kube.wait(lambda: _spec(kube, "deployment").get("replicas") == 0, "it is suspended")
        kube.wait(lambda: not kube.get("horizontalpodautoscaler", "digits"), "the autoscaler is removed")
        _change(kube, suspend=False, autoscaling=None, replicas=2, privacy={"profile": "Open"})
        kube.wait(lambda: not kube.get("networkpolicy", "digits"), "the network policy is removed")
        _change(kube, modelRepository=S3 | {"image": None}, cache={"size": "1Gi"}, privacy={"profile": "Private"})
        kube.wait(lambda: kube.list("job"), "a cache is filled")
        (job,) = kube.list("job")
        complete = {"status": {"conditions": [_true("SuccessCriteriaMet"), _true("Complete")], "succeeded": 1,
                               "startTime": NOW, "completionTime": NOW}}  # fmt: skip
        kube.patch("job", job["metadata"]["name"], complete, subresource="status")
        kube.wait(lambda: _is_filled(kube), "the claim is marked")
        # There is no garbage collector here, so a Job with foreground deletion keeps its deletionTimestamp.
        kube.wait(lambda: all("deletionTimestamp" in job["metadata"] for job in kube.list("job")), "the Job is removed")
        kube.wait(lambda: (kube.condition("digits", "Accepted") or {}).get("status") == "True", "the spec is accepted")
        assert "denied request" not in operator.log.read_text()


def test_the_operator_can_issue_certificates(
    api: Api, kube: Kube, kubeconfig: Path, namespace: str, user: str, tmp_path: Path
) -> None:
    """It can create, update and restore the shared objects of TLS mode Managed, and pods with the proxy."""
    own = kubeconfig_of(api, kubeconfig, namespace, user, tmp_path)
    with OperatorProcess(own, namespace, tmp_path) as operator:
        operator.wait_ready()
        _apply(kube)
        _change(kube, privacy={"tls": {"mode": "Managed"}})
        kube.wait(lambda: "digits.crt" in _data(kube), "the certificate is issued")
        kube.wait(lambda: kube.get("deployment", "digits"), "the children are created")
        kube.patch("secret", SERVING_SECRET, {"data": {"digits.crt": None}})
        kube.wait(lambda: "digits.crt" in _data(kube), "a deleted certificate is issued again")
        kube.delete("configmap", CA_CONFIG_MAP)
        kube.wait(lambda: kube.get("configmap", CA_CONFIG_MAP), "a deleted bundle is created again")
        kube.wait(lambda: (kube.condition("digits", "Accepted") or {}).get("status") == "True", "the spec is accepted")
        assert "denied request" not in operator.log.read_text()


def test_the_operator_can_use_cert_manager(
    api: Api, kube: Kube, kubeconfig: Path, namespace: str, user: str, tmp_path: Path
) -> None:
    """It can create, restore and delete a Certificate."""
    cert_manager.install(kube)
    own = kubeconfig_of(api, kubeconfig, namespace, user, tmp_path)
    try:
        with OperatorProcess(own, namespace, tmp_path) as operator:
            operator.wait_ready()
            _apply(kube)
            issuer = {"mode": "CertManager", "certManager": {"issuerRef": {"name": "company"}}}
            _change(kube, privacy={"tls": issuer})
            kube.wait(lambda: kube.get("certificate", "digits-tls"), "the Certificate is created")
            kube.patch("certificate", "digits-tls", {"spec": {"isCA": True}})
            kube.wait(lambda: "isCA" not in _spec(kube, "certificate", "digits-tls"), "an edit is reverted")
            _change(kube, privacy={"tls": {"mode": "Managed", "certManager": None}})
            kube.wait(lambda: not kube.get("certificate", "digits-tls"), "it is deleted")
            assert "denied request" not in operator.log.read_text()
    finally:
        cert_manager.uninstall(kube)


def test_a_name_conflict_is_still_reported(
    api: Api, kube: Kube, kubeconfig: Path, namespace: str, user: str, tmp_path: Path
) -> None:
    """The API server compares resource versions before it evaluates policies."""
    kube.run("create", "service", "clusterip", "digits", "--tcp=80")
    own = kubeconfig_of(api, kubeconfig, namespace, user, tmp_path)
    with OperatorProcess(own, namespace, tmp_path) as operator:
        operator.wait_ready()
        _apply(kube)
        kube.wait_reason("digits", "NameConflict", kind="Accepted")


def plain(name: str, namespace: str) -> Object:
    """Return a ConfigMap without an owner."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}}


def child(kind: str, kube: Kube) -> Object:
    """Return a child as the operator would create it."""
    body = a_body(namespace=kube.namespace)
    body["metadata"]["uid"] = "8d7e7d3c-0000-4000-8000-000000000000"
    return next(each for each in render(parse(body), SETTINGS) if each["kind"] == kind)


def attempt(kubectl: Kubectl, user: str, body: Object, *verb: str) -> str:
    """Return the error of the API server if the operator writes this, or "" if it is admitted."""
    try:
        kubectl("--as", user, *(verb or ("create",)), "--dry-run=server", "-f", "-", stdin=json.dumps(body))
    except KubectlError as refused:
        return str(refused)
    return ""


def _pod(body: Object) -> Object:
    pod: Object = body["spec"]["template"]["spec"]
    return pod


CHANGES: dict[str, tuple[str, Change, str]] = {
    "without labels": ("ConfigMap", lambda body: body["metadata"].pop("labels"), "belong to a ModelDeployment"),
    "with the label of another": (
        "ConfigMap",
        lambda body: body["metadata"]["labels"].update({"triton-operator.io/model-deployment": "other"}),
        "belong to a ModelDeployment",
    ),
    "with another manager": (
        "Service",
        lambda body: body["metadata"]["labels"].update({"app.kubernetes.io/managed-by": "Helm"}),
        "belong to a ModelDeployment",
    ),
    "without an owner": (
        "Deployment",
        lambda body: body["metadata"].pop("ownerReferences"),
        "belong to a ModelDeployment",
    ),
    "with an owner of another kind": (
        "ServiceAccount",
        lambda body: body["metadata"]["ownerReferences"][0].update(kind="Deployment", apiVersion="apps/v1"),
        "belong to a ModelDeployment",
    ),
    "a policy for all pods": (
        "NetworkPolicy",
        lambda body: body["spec"].update(podSelector={}),
        "only for pods of a ModelDeployment",
    ),
    "a folder of the node": (
        "Deployment",
        lambda body: _pod(body)["volumes"].append({"name": "node", "hostPath": {"path": "/"}}),
        "no access to the node",
    ),
    "the network of the node": (
        "Deployment",
        lambda body: _pod(body).update(hostNetwork=True, containers=[_without_ports(_pod(body)["containers"][0])]),
        "no access to the node",
    ),
    "a token": (
        "Deployment",
        lambda body: _pod(body).update(automountServiceAccountToken=True),
        "no ServiceAccount token",
    ),
    "privileges": (
        "Deployment",
        lambda body: _pod(body)["initContainers"][0].update(securityContext={"privileged": True}),
        "without privileges",
    ),
    "a token in a volume": (
        "Deployment",
        lambda body: _add_tokens(body, TOKEN),
        "no ServiceAccount token",
    ),
    "a token for another service than a vault": (
        "Deployment",
        lambda body: _add_tokens(body, VAULT_TOKEN, OTHER_TOKEN),
        "no ServiceAccount token",
    ),
    "capabilities": (
        "Deployment",
        lambda body: _security(body)["capabilities"].update(add=["SYS_ADMIN"]),
        "without privileges",
    ),
    "the whole of /proc": (
        "Deployment",
        lambda body: [_security(body).update(procMount="Unmasked"), _pod(body).update(hostUsers=False)],
        "without privileges",
    ),
    "a port of the node": (
        "Deployment",
        lambda body: _pod(body)["containers"][0]["ports"][0].update(hostPort=8000, containerPort=8000),
        "hostPort 8000",
    ),
    "all system calls": (
        "Deployment",
        lambda body: _security(body).update(seccompProfile={"type": "Unconfined"}),
        "without privileges",
    ),
    "without a security context": (
        "Deployment",
        lambda body: _pod(body)["containers"][0].pop("securityContext"),
        "without privileges",
    ),
}


def _add_tokens(body: Object, *sources: Object) -> None:
    _pod(body)["volumes"].append({"name": "token", "projected": {"sources": list(sources)}})


def _security(body: Object) -> Object:
    context: Object = _pod(body)["containers"][0]["securityContext"]
    return context


def _without_ports(container: Object) -> Object:
    return {name: value for name, value in container.items() if name != "ports"}


def test_it_can_create_children_and_nothing_else(kubectl: Kubectl, kube: Kube, user: str) -> None:
    """A child is admitted; the same child with any of these changes is not."""
    for kind in {kind for kind, _, _ in CHANGES.values()}:
        assert attempt(kubectl, user, child(kind, kube)) == ""
    with_vault = copy.deepcopy(child("Deployment", kube))
    _add_tokens(with_vault, VAULT_TOKEN)
    assert attempt(kubectl, user, with_vault) == ""
    for change, (kind, make, words) in CHANGES.items():
        body = copy.deepcopy(child(kind, kube))
        make(body)
        output = attempt(kubectl, user, body)
        assert REFUSED in output, (change, output)
        assert words in output, (change, output)


def test_it_can_update_and_delete_children_and_nothing_else(kubectl: Kubectl, kube: Kube, user: str) -> None:
    """Adding the label and an owner reference to another object does not make it a child."""
    for body in (plain("somebody", kube.namespace), child("ConfigMap", kube)):
        kube.apply(body)
    ours = child("ConfigMap", kube)
    theirs = copy.deepcopy(ours) | {"data": {}}
    theirs["metadata"]["name"] = "somebody"
    applied = ("apply", "--server-side", "--force-conflicts")
    assert attempt(kubectl, user, ours, *applied) == ""
    assert attempt(kubectl, user, ours, "delete") == ""
    for verb in (applied, ("delete",)):
        assert "only objects that belong to a ModelDeployment" in attempt(kubectl, user, theirs, *verb), verb
    kubectl("delete", "--dry-run=server", "-f", "-", stdin=json.dumps(theirs))


def secret(name: str, namespace: str, **fields: Any) -> Object:
    """Return a Secret as the operator would create it, with changed fields."""
    labels = {"app.kubernetes.io/part-of": "triton-operator"}
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque"} | fields


def test_it_can_create_two_secrets_and_no_other(kubectl: Kubectl, kube: Kube, user: str) -> None:
    """A controller would fill a Secret of another type with the token of any ServiceAccount."""
    namespace = kube.namespace
    for name in (SERVING_SECRET, AUTHORITY_SECRET):
        assert attempt(kubectl, user, secret(name, namespace)) == ""
    assert attempt(kubectl, user, secret(SERVING_SECRET, "default")) == ""
    token = secret(SERVING_SECRET, namespace, type="kubernetes.io/service-account-token")
    token["metadata"]["annotations"] = {"kubernetes.io/service-account.name": "default"}
    rejected = {
        "only Secrets of the type Opaque": token,
        "must label them": secret(SERVING_SECRET, namespace, metadata={"name": SERVING_SECRET, "namespace": namespace}),
        "belong to a ModelDeployment": secret("another", namespace),
    }
    for words, body in rejected.items():
        assert words in attempt(kubectl, user, body), words
    assert "belong to a ModelDeployment" in attempt(kubectl, user, secret(AUTHORITY_SECRET, "default"))


def test_it_can_read_two_secrets_and_no_other(kubectl: Kubectl, kube: Kube, user: str) -> None:
    """Neither by reading, nor by an empty patch, which returns the object, nor by a list or a watch."""
    for name in (SERVING_SECRET, AUTHORITY_SECRET, "users"):
        kube.apply(secret(name, kube.namespace, stringData={"canary": "9f1c"}))
    foreign = secret(AUTHORITY_SECRET, "default", stringData={"canary": "9f1c"})
    kubectl("apply", "--filename", "-", stdin=json.dumps(foreign))

    def read(*arguments: str, namespace: str = kube.namespace) -> str:
        """What the operator gets, or the error."""
        try:
            return kubectl("--as", user, "--namespace", namespace, *arguments)
        except KubectlError as error:
            return str(error)

    for name in (SERVING_SECRET, AUTHORITY_SECRET):
        assert "canary" in read("get", "secret", name, JSON)
        assert "canary" in read("get", "secrets", f"--field-selector=metadata.name={name}", JSON)
        assert "canary" in read("patch", "secret", name, "--type=strategic", "-p", "{}", JSON)
    attempts = [
        read("get", "secret", "users", JSON),
        read("get", "secrets", JSON),
        read("get", "secrets", "--all-namespaces", JSON),
        read("get", "secrets", "--field-selector=metadata.name=users", JSON),
        read("get", "secrets", f"--field-selector=metadata.name!={SERVING_SECRET}", JSON),
        read("get", "secrets", "--selector=app.kubernetes.io/part-of=triton-operator", JSON),
        read("patch", "secret", "users", "--type=strategic", "-p", "{}", JSON),
        read("patch", "secret", "users", "--type=merge", "-p", "{}", "--dry-run=server", JSON),
        read("get", "secret", AUTHORITY_SECRET, JSON, namespace="default"),
        read("patch", "secret", AUTHORITY_SECRET, "--type=strategic", "-p", "{}", JSON, namespace="default"),
        read("delete", "secret", SERVING_SECRET, "--dry-run=server"),
    ]
    for answer in attempts:
        assert "Forbidden" in answer, answer
        assert "canary" not in answer


JSON = "--output=json"


POD_PATCHES: dict[str, tuple[Object, bool]] = {
    "an annotation": ({"metadata": {"annotations": {"triton-operator.io/proxy-policy": "0123"}}}, True),
    "a label": ({"metadata": {"labels": {"triton-operator.io/track": "canary"}}}, False),
    "an image": ({"spec": {"containers": [{"name": "triton", "image": "example.org/other:1"}]}}, False),
}


async def test_it_can_only_annotate_pods_of_a_deployment(
    api: Api, kube: Kube, kubeconfig: Path, namespace: str, user: str, tmp_path: Path
) -> None:
    """The permission to patch pods would otherwise allow another image."""
    pod = {"apiVersion": "v1", "kind": "Pod", **copy.deepcopy(child("Deployment", kube)["spec"]["template"])}
    pod["spec"]["serviceAccountName"] = "default"
    pod["metadata"] |= {"name": "serving", "namespace": namespace}
    foreign = copy.deepcopy(pod)
    foreign["metadata"] |= {"name": "foreign", "labels": {"app": "other"}}
    kube.apply(pod, foreign)
    async with ApiClient(from_kubeconfig(kubeconfig_of(api, kubeconfig, namespace, user, tmp_path))) as client:
        for name, (patch, is_annotation) in POD_PATCHES.items():
            for target in ("serving", "foreign"):
                error = await _patch_pod(client, namespace, target, patch)
                is_allowed = is_annotation and target == "serving"
                assert (error == "") is is_allowed, (name, target, error)
                assert is_allowed or "may change only annotations of pods" in error, (name, target, error)


async def _patch_pod(client: ApiClient, namespace: str, name: str, patch: Object) -> str:
    """Return the error of the API server, or "" if the change is admitted."""
    path = f"/api/v1/namespaces/{namespace}/pods/{name}"
    body = json.dumps(patch).encode()
    try:
        await client.request(
            "PATCH", path, kind="Pod", body=body, content_type="application/strategic-merge-patch+json"
        )
    except DeniedError as denied:
        return denied.message
    return ""


NOW = "2026-01-02T03:04:05Z"


def _data(kube: Kube) -> Object:
    """The content of the Secret with the serving certificates."""
    data: Object = (kube.get("secret", SERVING_SECRET) or {}).get("data", {})
    return data


def _true(kind: str) -> Object:
    return {"type": kind, "status": "True", "lastTransitionTime": NOW, "reason": "CompletionsReached", "message": ""}


def kubeconfig_of(api: Api, kubeconfig: Path, namespace: str, user: str, folder: Path) -> Path:
    """A kubeconfig with a token of the operator's ServiceAccount."""
    name = user.rpartition(":")[2]
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    answer = api.create(f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token", request)
    config = yaml.safe_load(kubeconfig.read_text())
    config["users"][0]["user"] = {"token": answer["status"]["token"]}
    file = folder / "operator.kubeconfig"
    file.write_text(yaml.safe_dump(config))
    return file


def _apply(kube: Kube) -> None:
    body = a_body(namespace=kube.namespace)
    kube.apply(body | {"metadata": {"name": "digits"}})


def _change(kube: Kube, **spec: Any) -> None:
    kube.patch("modeldeployment", "digits", {"spec": spec})


def _spec(kube: Kube, kind: str, name: str = "digits") -> Object:
    spec: Object = (kube.get(kind, name) or {})["spec"]
    return spec


def _containers(kube: Kube) -> list[Object]:
    containers: list[Object] = _spec(kube, "deployment")["template"]["spec"]["containers"]
    return containers


def _is_filled(kube: Kube) -> bool:
    claims = kube.list("persistentvolumeclaim")
    return any(claim["metadata"].get("annotations", {}).get("triton-operator.io/filled") == "true" for claim in claims)
