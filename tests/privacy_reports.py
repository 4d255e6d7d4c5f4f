"""Objects around a private deployment, and reports of `tritonctl privacy` on them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from tests.builders import a_body
from triton_operator.api.names import CA_CONFIG_MAP, CA_KEY, child_labels, selector_labels
from triton_operator.api.status import ControlName
from triton_operator.cli.privacy.build import build_report
from triton_operator.cli.privacy.observed import Observed
from triton_operator.cli.privacy.report import NotRead, PrivacyReport

Object = dict[str, Any]

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
SINCE = "2026-05-01T08:00:00Z"
DIGEST = "sha256:" + "5f" * 32
FINDING = {"kind": "Operator", "file": "1/model.pt", "entry": "code/a.py", "message": "line 1: writes a file"}
CLIENTS = [{"name": "shop", "serviceAccount": {"name": "checkout"}}]


def a_private_body(*, enforced: bool = True, status: Object | None = None, **spec: Any) -> Object:
    """A ModelDeployment whose operator reports all controls; the first one is not enforced unless `enforced`."""
    spec = {"privacy": {"clients": CLIENTS}, **spec}
    body = a_body(**spec)
    controls = [
        {"name": name, "state": "Enforced", "message": f"{name} is in force", "lastTransitionTime": SINCE}
        for name in ControlName
    ]
    if not enforced:
        controls[0] = {**controls[0], "state": "NotEnforced", "message": "NetworkPolicy digits does not exist"}
    condition = {
        "type": "PrivacyEnforced",
        "status": "True" if enforced else "False",
        "reason": "Enforced" if enforced else "PolicyMissing",
        "message": "all 7 required controls are enforced" if enforced else "NetworkPolicy digits does not exist",
        "lastTransitionTime": SINCE,
        "observedGeneration": 1,
    }
    model = {
        "name": "digits",
        "state": "Ready",
        "versions": ["1"],
        "digest": DIGEST,
        "signedBy": "release",
        "scan": {"total": 9, "findings": [FINDING]},
    }
    reported = {
        "observedGeneration": 1,
        "conditions": [condition],
        "privacy": {"controls": controls},
        "models": [model],
        "revisions": [{"name": "digits-0", "image": "example.org/triton:1", "ready": 2, "current": True}],
    }
    return {**body, "status": {**reported, **(status or {})}}


def a_policy(name: str = "digits", *, selector: Object | None = None, owner: str = "", **spec: Any) -> Object:
    """A NetworkPolicy that selects the serving pods and allows ingress."""
    owners = {"ownerReferences": [{"kind": "ModelDeployment", "name": "digits", "uid": owner}]} if owner else {}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": "shop", "uid": f"uid-of-{name}", "resourceVersion": "7", **owners},
        "spec": {
            "podSelector": {"matchLabels": selector_labels("digits")} if selector is None else selector,
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": [{"podSelector": {}}]}],
            "egress": [],
            **spec,
        },
    }


def a_serving_pod(name: str, digest: str = DIGEST) -> Object:
    """A pod of the deployment with one container."""
    return {
        "kind": "Pod",
        "metadata": {"name": name, "labels": child_labels("digits") | selector_labels("digits")},
        "spec": {"containers": [{"name": "triton", "image": "example.org/triton:1"}]},
        "status": {"containerStatuses": [{"name": "triton", "imageID": f"example.org/triton@{digest}"}]},
    }


def a_config_map(name: str, **data: str) -> Object:
    """A ConfigMap of the namespace."""
    return {"kind": "ConfigMap", "metadata": {"name": name, "uid": f"uid-of-{name}"}, "data": data}


def a_bundle(pem: str) -> Object:
    """The ConfigMap with the authorities of the operator."""
    return a_config_map(CA_CONFIG_MAP, **{CA_KEY: pem})


def a_report(body: Object | None = None, **observed: Any) -> PrivacyReport:
    """A report on a deployment, by default with every control enforced."""
    return build_report(Observed(body or a_private_body(), **observed), NOW)


def a_full_report(text: str) -> PrivacyReport:
    """A report with every part, in which every text that does not have fixed values is `text`."""
    policy, pods = a_policy(), [a_serving_pod("digits-1")]
    unread = (NotRead("the pods", "forbidden"),)
    plain = msgspec.to_builtins(
        a_report(server="https://c", version="v1", policies=[policy], pods=pods, not_read=unread)
    )
    return msgspec.convert(_with_text(plain, text), PrivacyReport)


def _with_text(value: Any, text: str, name: str = "") -> Any:
    if isinstance(value, dict) and name == "facts":
        return {f"{text}{number}": text for number in range(len(value))}
    if isinstance(value, dict):
        return {key: _with_text(member, text, key) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [_with_text(member, text) for member in value]
    return text if isinstance(value, str) and name not in {"state", "status"} else value
