"""Pods whose user IDs an admission controller chooses, as on OpenShift; here, policies of the API server do it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from hack.cluster.handle import RunningCluster
from hack.images.builder import BuiltImage
from hack.install import install_operator
from tests.kube import Kube, Object
from tests.served import serve
from training.verify import verify
from triton_operator.resources.settings import PodUserIDs

RANGE_START = 1_000_650_000
"""The first ID of the range of a namespace. It has no entry in the images' passwd files."""
REFUSED = "user IDs must be in the range of the namespace"
ADMISSION = "admissionregistration.k8s.io/v1"


def _policies(namespace: str) -> list[Object]:
    """Policies that set the user and the group of pods without IDs, and reject containers with IDs of their own."""
    rules = [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}]
    ids = f"Object.spec.securityContext{{runAsUser: {RANGE_START}, fsGroup: {RANGE_START}}}"
    mutation = {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": _unless_set(ids)}}
    containers = "(object.spec.containers + (has(object.spec.initContainers) ? object.spec.initContainers : []))"
    own = f"{containers}.all(each, !has(each.securityContext.runAsUser))"
    pod = f"object.spec.securityContext.runAsUser == {RANGE_START}"
    selected = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}
    common = {"matchConstraints": {"resourceRules": rules}, "failurePolicy": "Fail"}
    bodies: list[tuple[str, Object, Object]] = [
        ("MutatingAdmissionPolicy", {"reinvocationPolicy": "Never", "mutations": [mutation]}, {}),
        (
            "ValidatingAdmissionPolicy",
            {"validations": [{"expression": f"{pod} && {own}", "message": REFUSED}]},
            {"validationActions": ["Deny"]},
        ),
    ]
    return [
        body
        for kind, spec, binding in bodies
        for body in (
            {"apiVersion": ADMISSION, "kind": kind, "metadata": {"name": namespace}, "spec": common | spec},
            {
                "apiVersion": ADMISSION,
                "kind": f"{kind}Binding",
                "metadata": {"name": namespace},
                "spec": {"policyName": namespace, "matchResources": selected} | binding,
            },
        )
    ]


def _unless_set(context: str) -> str:
    """An expression that adds the security context to pods without a user ID."""
    changed = f"Object{{spec: Object.spec{{securityContext: {context}}}}}"
    return f"has(object.spec.securityContext.runAsUser) ? Object{{}} : {changed}"


@pytest.fixture(scope="module")
def admitted(kube: Kube) -> Iterator[Kube]:
    """The namespace with its range of IDs."""
    policies = _policies(kube.namespace)
    kube.apply(*policies)
    yield kube
    manifests = json.dumps({"apiVersion": "v1", "kind": "List", "items": policies})
    kube.run("delete", "-f", "-", "--ignore-not-found", stdin=manifests)


@pytest.fixture
def leaves_ids(node: RunningCluster, images: dict[str, BuiltImage], operator: str) -> Iterator[None]:
    """The operator with `podUserIds: Cluster`."""
    install_operator(node, images, podUserIds=PodUserIDs.CLUSTER)
    yield
    install_operator(node, images)


def test_pods_with_fixed_ids_are_refused_and_the_status_quotes_the_policy(
    admitted: Kube, model_deployment: Callable[..., Object]
) -> None:
    """The positive control of the next test."""
    admitted.apply(model_deployment("breast_cancer"))
    admitted.wait(lambda: REFUSED in str((admitted.condition("breast-cancer") or {}).get("message")), REFUSED)
    admitted.delete("modeldeployment", "breast-cancer")


@pytest.mark.usefixtures("leaves_ids")
def test_models_are_served_with_the_ids_of_the_cluster(
    node: RunningCluster, admitted: Kube, model_deployment: Callable[..., Object]
) -> None:
    """Over both protocols, through the sidecar with TLS, with a TorchScript model and a Python model."""
    models = [{"name": "digits"}, {"name": "wordpiece_tokenizer"}]
    admitted.apply(model_deployment("digits", models=models))
    admitted.wait_ready("digits")
    (pod,) = admitted.list("pods", "triton-operator.io/model-deployment=digits")
    containers = [*pod["spec"]["initContainers"], *pod["spec"]["containers"]]
    assert {each["name"] for each in containers} == {"prepare", "proxy", "triton"}
    assert not any({"runAsUser", "runAsGroup"} & each["securityContext"].keys() for each in containers)
    with serve(node, admitted, "digits") as served, served.http() as http, served.grpc() as grpc:
        report = verify("digits", http, grpc)
        assert http.is_model_ready("wordpiece_tokenizer")
    assert report.passed, report.lines()
