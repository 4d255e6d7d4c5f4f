"""Who can forward ports to private deployments, by the roles and bindings of RBAC."""

from __future__ import annotations

from typing import Any

import pytest

from triton_operator.cli.doctor.check_result import CheckResult
from triton_operator.cli.doctor.evidence import Evidence, Response
from triton_operator.cli.doctor.port_forwarding import check_port_forwarding
from triton_operator.sdk.errors import RejectedError

FORBIDDEN = RejectedError("no")


def a_role(name: str, *resources: str, verbs: tuple[str, ...] = ("create",), groups: tuple[str, ...] = ("",)) -> Any:
    rule = {"apiGroups": list(groups), "resources": list(resources), "verbs": list(verbs)}
    return {"metadata": {"name": name}, "rules": [rule]}


def a_binding(role: str, *subjects: tuple[str, str], kind: str = "Role") -> Any:
    named = [{"kind": each, "name": name} for each, name in subjects]
    return {"metadata": {"namespace": "models"}, "roleRef": {"kind": kind, "name": role}, "subjects": named}


def result(profile: str | None = "Private", **responses: Any) -> CheckResult:
    """The result for one deployment; the arguments are lists of roles and bindings."""
    privacy = {"privacy": {"profile": profile}} if profile else {}
    read: dict[str, Response] = {
        "deployments": {"items": [{"metadata": {"name": "digits"}, "spec": privacy}]},
        "permissions": {"items": []},
        **{name: {"items": []} for name in ("roles", "clusterroles", "rolebindings", "clusterrolebindings")},
    }
    for name, found in responses.items():
        read[name] = {"items": found} if isinstance(found, list) else found
    return check_port_forwarding(Evidence("models", read))


@pytest.mark.parametrize(
    ("role", "counts"),
    [
        (a_role("r", "pods/portforward"), True),
        (a_role("r", "pods", "pods/portforward", verbs=("get", "list")), True),
        (a_role("r", "*", verbs=("*",), groups=("*",)), True),
        (a_role("r", "pods/*"), True),
        (a_role("r", "pods"), False),
        (a_role("r", "pods/portforward", verbs=("list",)), False),
        (a_role("r", "*", groups=("apps",)), False),
        ({"metadata": {"name": "r"}, "rules": None}, False),
    ],
)
def test_a_role_counts_if_it_permits_port_forwarding(role: Any, counts: bool) -> None:
    found = result(roles=[role], rolebindings=[a_binding("r", ("User", "alice"))])
    assert found.status == ("warn" if counts else "ok")
    assert ("User alice" in found.message) is counts


def test_subjects_of_all_bindings_are_listed_once_and_administrators_are_not() -> None:
    found = result(
        roles=[a_role("forward", "pods/portforward")],
        clusterroles=[a_role("admin", "*", groups=("*",)), a_role("view", "pods")],
        rolebindings=[
            a_binding("forward", ("ServiceAccount", "ci"), ("User", "alice")),
            a_binding("admin", ("User", "alice"), ("Group", "ops"), kind="ClusterRole"),
            a_binding("admin", ("User", "mallory")),
            a_binding("view", ("User", "bob"), kind="ClusterRole"),
        ],
        clusterrolebindings=[a_binding("admin", ("Group", "system:masters"), kind="ClusterRole")],
    )
    assert found.message == "allowed in namespace models for Group ops, ServiceAccount models/ci, User alice"
    assert "bypasses the network policy, TLS and callers" in found.advice


def test_a_long_list_is_cut() -> None:
    binding = a_binding("r", *[("User", f"user-{number:02}") for number in range(11)])
    found = result(roles=[a_role("r", "pods/portforward")], rolebindings=[binding])
    assert found.message.endswith("User user-07 and 3 more")


@pytest.mark.parametrize(("profile", "status"), [(None, "warn"), ("Private", "warn"), ("Open", "ok")])
def test_only_private_deployments_need_it(profile: str | None, status: str) -> None:
    roles, bindings = [a_role("r", "pods/portforward")], [a_binding("r", ("User", "alice"))]
    assert result(profile, roles=roles, rolebindings=bindings).status == status


def test_what_cannot_be_read_is_not_known_except_for_oneself() -> None:
    attributes = {
        "namespace": "models",
        "verb": "create",
        "group": "",
        "resource": "pods",
        "subresource": "portforward",
    }
    review = {"spec": {"resourceAttributes": attributes}, "status": {"allowed": True}}
    found = result(clusterroles=FORBIDDEN, permissions=[review])
    assert (found.status, found.message) == ("warn", "cannot be checked: no. You have permission to forward ports.")
    assert result(clusterroles=FORBIDDEN).message == "cannot be checked: no."
