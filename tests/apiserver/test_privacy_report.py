"""`tritonctl privacy` on a real API server, as a user who can only read the namespace."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hack.cluster.controlplane import ControlPlane
from tests.apiserver.api_client import Api, RequestRefusedError
from tests.apiserver.operator_process import OperatorProcess
from tests.apiserver.world import Namespace
from tests.tritonctl import tritonctl

CLIENTS = [{"name": "shop", "serviceAccount": {"name": "checkout"}}]
READER = [{"apiGroups": ["triton-operator.io"], "resources": ["modeldeployments"], "verbs": ["get", "list", "watch"]}]
"""What the chart adds to the role `view`."""


def an_auditor(api: Api, control_plane: ControlPlane, namespace: str) -> Path:
    """The kubeconfig of a ServiceAccount with the permissions of the role `view` in the namespace.

    No controller fills that role here, so the account has the role that it is filled from.
    """
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    api.create(f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": "auditor"}})
    api.create(f"{rbac}/roles", {"metadata": {"name": "reader"}, "rules": READER})
    for kind, name in (("Role", "reader"), ("ClusterRole", "system:aggregate-to-view")):
        binding = {
            "metadata": {"name": f"auditor-{kind.lower()}"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": "auditor", "namespace": namespace}],
        }
        api.create(f"{rbac}/rolebindings", binding)
    return control_plane.service_account_kubeconfig(namespace, "auditor")


def is_reported(bodies: list[dict[str, Any]]) -> bool:
    """Whether the only deployment has its policies, and its operator reports them."""
    controls = bodies[0].get("status", {}).get("privacy", {}).get("controls", [])
    return {"NetworkPolicy", "Callers"} <= {each["name"] for each in controls if each["state"] == "Enforced"}


@pytest.mark.timeout(900)
async def test_a_reader_of_the_namespace_gets_every_proof(
    kubeconfig: Path,
    control_plane: ControlPlane,
    api: Api,
    namespace: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Although the same user cannot read a Secret."""
    auditor = an_auditor(api, control_plane, namespace)
    with OperatorProcess(kubeconfig, namespace, tmp_path) as operator:
        operator.wait_ready()
        async with Namespace(kubeconfig, namespace) as world:
            await world.create(1, privacy={"clients": CLIENTS})
            await world.until(is_reported, "the controls are reported", 60)
    outcome = tritonctl(capsys, "privacy", "m-0", "-n", namespace, "-o", "json", "--kubeconfig", auditor)
    report = json.loads(outcome.out)
    assert report["notRead"] == []
    assert (outcome.code, report["verdict"]["reason"]) == (1, "NetworkNotProven")
    subjects = {control["name"]: [each["subject"] for each in control["evidence"]] for control in report["controls"]}
    assert subjects["NetworkPolicy"] == ["NetworkPolicy m-0"]
    assert subjects["OtherPolicies"] == []
    assert "CA certificate 1 of 1 in ConfigMap triton-operator-ca" in subjects["TLS"]
    assert subjects["Callers"] == ["caller shop", "ConfigMap m-0-proxy"]
    assert all(control["since"] for control in report["controls"])
    with pytest.raises(RequestRefusedError, match="forbidden"):
        Api(auditor).get(f"/api/v1/namespaces/{namespace}/secrets")
