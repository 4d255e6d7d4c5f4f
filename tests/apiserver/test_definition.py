"""The CRD on a real API server: subresources, columns, documentation and status."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.apiserver.api_client import Api, RequestRefusedError
from tests.apiserver.conftest import CRD, Kubectl
from triton_operator.api.status import (
    Condition,
    Endpoints,
    Failure,
    ModelState,
    ModelStatus,
    RevisionStatus,
    Status,
    Truth,
)

COLLECTION = "/apis/triton-operator.io/v1alpha1/namespaces/{}/modeldeployments"
BODY: dict[str, Any] = {
    "apiVersion": "triton-operator.io/v1alpha1",
    "kind": "ModelDeployment",
    "metadata": {"name": "digits"},
    "spec": {"modelRepository": {"image": {"reference": "models:v1"}}, "models": [{"name": "digits"}]},
}
FULL_STATUS = Status(
    observed_generation=1,
    replicas=2,
    ready_replicas=1,
    updated_replicas=2,
    selector="triton-operator.io/model-deployment=digits",
    models=(ModelStatus("digits", ModelState.FAILED, ("1", "3"), "sha256:0", "no model.pt"),),
    endpoints=Endpoints("http://digits.test.svc:8000", "digits.test.svc:8001", "http://digits.test.svc:8002/metrics"),
    revisions=(RevisionStatus("digits-0123456789", 1, "tritonserver:26.11-py3", 1, current=True),),
    last_failure=Failure("digits-1", "triton", "Crashed", 139, "signal 11", "2026-11-22T10:00:00Z"),
    conditions=(
        Condition("Ready", Truth.FALSE, "ModelLoadFailed", "digits: no model.pt", "2026-11-22T10:00:00Z", 1),
        Condition("RuntimeVulnerable", Truth.UNKNOWN, "ReleaseUnknown", "", "2026-11-22T10:00:00Z"),
    ),
)


@pytest.fixture
def path(api: Api, namespace: str) -> str:
    """Create the ModelDeployment `digits` and return its path."""
    collection = COLLECTION.format(namespace)
    api.create(collection, BODY)
    return f"{collection}/digits"


@pytest.mark.parametrize("status", [Status(observed_generation=1), FULL_STATUS], ids=["empty", "full"])
def test_status_that_we_write_is_kept(api: Api, path: str, status: Status) -> None:
    """No field of the operator's status is unknown, too long or of a wrong type."""
    written = json.loads(msgspec.json.encode(status))
    kept = api.merge(f"{path}/status", {"status": written}, fieldValidation="Strict")["status"]
    expected = {key: value for key, value in written.items() if value is not None}
    assert {key: value for key, value in kept.items() if value is not None} == expected


def test_users_cannot_write_the_status_with_the_object(api: Api, path: str) -> None:
    """Only the status subresource changes it."""
    assert api.merge(path, {"status": {"replicas": 7}})["status"] == {"observedGeneration": -1}


def test_unknown_state_of_a_model_is_refused(api: Api, path: str) -> None:
    """A status outside the schema would mislead its readers."""
    with pytest.raises(RequestRefusedError) as refused:
        api.merge(f"{path}/status", {"status": {"models": [{"name": "digits", "state": "Fine"}]}})
    assert "status.models[0].state" in refused.value.fields


def test_scale_reads_and_writes_replicas(api: Api, kubectl: Kubectl, namespace: str, path: str) -> None:
    """`kubectl scale` and every autoscaler work, even if the user never set `replicas`."""
    assert api.get(f"{path}/scale")["spec"]["replicas"] == 1
    kubectl("--namespace", namespace, "scale", "md/digits", "--current-replicas=1", "--replicas=3")
    api.merge(f"{path}/status", {"status": msgspec.to_builtins(FULL_STATUS)})
    scale = api.get(f"{path}/scale")
    assert scale["spec"]["replicas"] == 3
    assert scale["status"] == {"replicas": 2, "selector": "triton-operator.io/model-deployment=digits"}


def test_columns_show_why(api: Api, kubectl: Kubectl, namespace: str, path: str) -> None:
    """`kubectl get` shows why an object is not ready."""
    api.merge(f"{path}/status", {"status": msgspec.to_builtins(FULL_STATUS)})
    head, row = (line.split() for line in kubectl("--namespace", namespace, "get", "md").splitlines())
    assert head == ["NAME", "READY", "REASON", "REPLICAS", "SERVING", "AGE"]
    assert row[:5] == ["digits", "False", "ModelLoadFailed", "2", "1"]
    wide = kubectl("--namespace", namespace, "get", "md", "--output", "wide")
    assert "digits: no model.pt" in wide
    assert "tritonserver:26.11-py3" in wide
    assert "http://digits.test.svc:8000" in wide


def test_the_column_of_the_address_shows_the_one_that_clients_can_use(
    api: Api, kubectl: Kubectl, namespace: str, path: str
) -> None:
    """With TLS, or without."""
    for field, address in (("https", "https://digits.test.svc:8443"), ("http", "http://digits.test.svc:8000")):
        api.merge(f"{path}/status", {"status": {"endpoints": {"https": None, "http": None, field: address}}})
        head, row = kubectl("--namespace", namespace, "get", "md", "--output", "wide").splitlines()
        assert row[head.index("HTTP") :].split()[0] == address


def test_get_all_shows_it(kubectl: Kubectl, namespace: str, path: str) -> None:
    """It owns objects that `get all` shows, so it is in that category."""
    assert "modeldeployment.triton-operator.io/digits" in kubectl("--namespace", namespace, "get", "all")


def test_explain_reads_like_documentation(kubectl: Kubectl) -> None:
    """`kubectl explain` shows the descriptions."""
    assert "Exactly one of `image`, `pvc`, `s3` and `http`" in " ".join(
        kubectl("explain", "md.spec.modelRepository").split()
    )
    assert "YAML reads 26.10 as the number 26.1" in " ".join(kubectl("explain", "md.spec.triton.version").split())


def test_the_definition_has_no_complaint(api: Api, kubectl: Kubectl) -> None:
    """The server reports the schema as structural and the names as accepted."""
    crd = api.get("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/modeldeployments.triton-operator.io")
    conditions = {condition["type"]: condition["status"] for condition in crd["status"]["conditions"]}
    assert conditions.get("NonStructuralSchema", "False") == "False"
    assert conditions["NamesAccepted"] == conditions["Established"] == "True"


def test_plain_kubectl_apply_takes_it(kubectl: Kubectl) -> None:
    """It writes the whole CRD to an annotation; annotations are limited to 256 KiB."""
    output = kubectl("apply", "--dry-run=server", "--filename", str(CRD))
    assert "customresourcedefinition.apiextensions.k8s.io/modeldeployments.triton-operator.io" in output


MACHINES: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "machinedeployments.cluster.example.com"},
    "spec": {
        "group": "cluster.example.com",
        "scope": "Namespaced",
        "names": {"kind": "MachineDeployment", "plural": "machinedeployments", "shortNames": ["md"]},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}


def test_the_long_name_is_ours_where_another_definition_has_the_short_one(
    api: Api, kubectl: Kubectl, namespace: str, path: str, tmp_path: Path
) -> None:
    """For example MachineDeployment of Cluster API: `md` then means the resource that kubectl finds first."""
    del path
    definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    name = MACHINES["metadata"]["name"]
    look = (f"--cache-dir={tmp_path}", "--namespace", namespace, "get")
    api.create(definitions, MACHINES)
    try:
        established = 'jsonpath={.status.conditions[?(@.type=="Established")].status}=True'
        kubectl("wait", f"--for={established}", "--timeout=60s", f"crd/{name}")
        deadline = time.monotonic() + 180
        while name not in kubectl(f"--cache-dir={tmp_path}", "api-resources", "--output=name"):  # Which reads it again.
            assert time.monotonic() < deadline, "discovery does not show the other definition"
            time.sleep(0.1)
        assert kubectl(*look, "modeldeployments", "--output=name") == "modeldeployment.triton-operator.io/digits\n"
        assert (
            kubectl(*look, "modeldeployment/digits", "--output=name") == "modeldeployment.triton-operator.io/digits\n"
        )
    finally:
        kubectl("delete", "crd", name)
