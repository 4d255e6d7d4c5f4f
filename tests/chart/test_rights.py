"""The operator's permissions: sufficient for its work, and none for users' Secrets."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chart.conftest import NAMESPACE, SCENARIOS, Manifest, Render, one
from triton_operator.cluster.observed import IMMUTABLE_KINDS
from triton_operator.cluster.resource_paths import CHILDREN, LEASES, MODEL_DEPLOYMENTS
from triton_operator.cluster.shared_objects import SHARED

ROLES = {"Role", "ClusterRole"}
CHILD_VERBS = {"get", "list", "watch", "create", "patch", "update", "delete"}
USERS = ("-view", "-edit")


def rules(objects: list[Manifest]) -> list[dict[str, Any]]:
    """Every rule of the operator's own roles."""
    roles = [body for body in objects if body["kind"] in ROLES and not body["metadata"]["name"].endswith(USERS)]
    return [rule for role in roles for rule in role["rules"]]


def verbs(objects: list[Manifest], group: str, resource: str) -> set[str]:
    """The verbs for `resource` that are not restricted to names."""
    fitting = [rule for rule in rules(objects) if group in rule["apiGroups"] and resource in rule["resources"]]
    return {verb for rule in fitting if "resourceNames" not in rule for verb in rule["verbs"]}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_no_secret_of_a_user_and_no_wildcard(render: Render, scenario: str) -> None:
    """Without a name, only `create`: even patch without get would read every Secret, by an empty patch."""
    objects = render(scenario)
    for role in (body for body in objects if body["kind"] in ROLES):
        for rule in role["rules"]:
            words = {*rule["apiGroups"], *rule["resources"], *rule["verbs"]}
            assert not words & {"*", "escalate", "bind", "impersonate"}
    secrets = [rule for rule in rules(objects) if "secrets" in rule["resources"]]
    assert {verb for rule in secrets if "resourceNames" not in rule for verb in rule["verbs"]} == {"create"}
    named = {name: set(rule["verbs"]) for rule in secrets for name in rule.get("resourceNames", ())}
    verbs_of_ours = {"get", "list", "watch", "patch"}
    assert named == {"triton-operator-serving": verbs_of_ours, "triton-operator-authority": verbs_of_ours}
    assert all(len(rule.get("resourceNames", ["one"])) == 1 for rule in secrets)


@pytest.mark.parametrize("scenario", ["default", "namespace"])
def test_the_authority_can_be_read_in_the_namespace_of_the_operator_only(render: Render, scenario: str) -> None:
    roles = [
        (body["kind"], body["metadata"].get("namespace"))
        for body in render(scenario)
        if body["kind"] in ROLES
        and any("triton-operator-authority" in rule.get("resourceNames", ()) for rule in body["rules"])
    ]
    assert roles == [("Role", NAMESPACE)]


@pytest.mark.parametrize("scenario", ["default", "namespace"])
def test_every_child_can_be_created_repaired_and_removed(render: Render, scenario: str) -> None:
    """The rules cover the kinds that the operator creates; kinds that it never replaces have no such permission."""
    objects = render(scenario)
    for kind, resource in CHILDREN.items():
        group = resource.api_version.rpartition("/")[0]
        assert verbs(objects, group, resource.plural) == CHILD_VERBS - (
            {"update"} if kind in IMMUTABLE_KINDS else set()
        )


def test_certificates_of_cert_manager_can_be_excluded(render: Render) -> None:
    assert verbs(render("default"), "cert-manager.io", "certificates") == CHILD_VERBS
    assert verbs(render("closed"), "cert-manager.io", "certificates") == set()


@pytest.mark.parametrize("scenario", ["default", "namespace"])
def test_users_objects_are_read_only(render: Render, scenario: str) -> None:
    """The operator writes only the status of a ModelDeployment."""
    objects, group = render(scenario), MODEL_DEPLOYMENTS.api_version.partition("/")[0]
    assert verbs(objects, group, "modeldeployments") == {"get", "list", "watch"}
    assert verbs(objects, group, "modeldeployments/status") == {"patch"}


@pytest.mark.parametrize("scenario", ["default", "namespace"])
def test_pods_are_only_read_and_annotated(render: Render, scenario: str) -> None:
    """No exec, no logs, no deletion."""
    pods = [rule for rule in rules(render(scenario)) if any(word.startswith("pods") for word in rule["resources"])]
    assert [(rule["resources"], set(rule["verbs"])) for rule in pods] == [(["pods"], {"list", "watch", "patch"})]


@pytest.mark.parametrize("scenario", ["default", "namespace"])
def test_only_our_lease_can_be_changed(render: Render, scenario: str) -> None:
    """Other Leases cannot be changed; `create` cannot be restricted by name and does not read."""
    leases = [rule for rule in rules(render(scenario)) if LEASES.plural in rule["resources"]]
    assert {verb for rule in leases if "resourceNames" not in rule for verb in rule["verbs"]} == {"create"}
    assert [rule["resourceNames"] for rule in leases if "resourceNames" in rule] == [["triton-operator"]]


@pytest.mark.parametrize("scenario", ["namespace", "namespace-with-crd"])
def test_one_namespace_needs_nothing_of_the_cluster(render: Render, scenario: str) -> None:
    """A tenant can install it without an administrator, once the CRD is installed."""
    objects = render(scenario)
    wide = {body["kind"] for body in objects if "namespace" not in body["metadata"]}
    assert wide == ({"CustomResourceDefinition"} if scenario == "namespace-with-crd" else set())
    assert {body["metadata"]["namespace"] for body in objects if "namespace" in body["metadata"]} == {NAMESPACE}


@pytest.mark.parametrize("scenario", ["default", "namespace"])
def test_bindings_give_the_roles_to_the_operator(render: Render, scenario: str) -> None:
    """Each own role is bound once, to the account that the pods run as."""
    objects = render(scenario)
    account = one(objects, "Deployment")["spec"]["template"]["spec"]["serviceAccountName"]
    assert one(objects, "ServiceAccount")["metadata"]["name"] == account
    bound = [body["roleRef"]["name"] for body in objects if body["kind"] in {"RoleBinding", "ClusterRoleBinding"}]
    own = [body for body in objects if body["kind"] in ROLES and not body["metadata"]["name"].endswith(USERS)]
    assert sorted(bound) == sorted(body["metadata"]["name"] for body in own)
    for binding in (body for body in objects if body["kind"] in {"RoleBinding", "ClusterRoleBinding"}):
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": account, "namespace": NAMESPACE}]


def test_policies_are_made_only_where_values_limit_something(render: Render) -> None:
    """And one namespace's installation limits its own namespace."""
    kinds = {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}
    assert not kinds & {body["kind"] for body in render()}
    assert not kinds & {body["kind"] for body in render(policies={"deployments": {"images": None}})}
    each: list[dict[str, Any]] = [{"images": []}, {"serviceTypes": ["ClusterIP"]}, {"secretLabel": "example.com/x"}]
    for limits in each:
        objects = render(scope="Namespace", policies={"deployments": limits})
        binding, policy = one(objects, "ValidatingAdmissionPolicyBinding"), one(objects, "ValidatingAdmissionPolicy")
        assert binding["spec"]["policyName"] == policy["metadata"]["name"]
        assert binding["spec"]["validationActions"] == ["Deny"]
        selector = {"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}}
        assert binding["spec"]["matchResources"]["namespaceSelector"] == selector
    one(
        render(policies={"confineOperator": True}), "ValidatingAdmissionPolicy", f"{NAMESPACE}-triton-operator-operator"
    )


def test_the_confinement_covers_every_kind_that_is_written(render: Render) -> None:
    """The policy includes every kind that the operator creates."""
    policy = one(render(policies={"confineOperator": True}), "ValidatingAdmissionPolicy")
    covered = {
        (group, resource)
        for rule in policy["spec"]["matchConstraints"]["resourceRules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    written = [*CHILDREN.values(), *SHARED.values()]
    assert covered == {(each.api_version.rpartition("/")[0], each.plural) for each in written} | {("", "pods")}


def test_users_roles_join_the_clusters_own(render: Render) -> None:
    """Users who can edit a namespace can deploy models in it, but cannot write their status."""
    objects = render()
    edit = one(objects, "ClusterRole", f"{NAMESPACE}-triton-operator-edit")
    assert edit["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-edit"] == "true"
    assert "modeldeployments/status" not in {resource for rule in edit["rules"] for resource in rule["resources"]}
    assert [body for body in render("closed") if body["metadata"]["name"].endswith(USERS)] == []
