"""Who can forward ports of pods in the namespace.

Pure. Input: evidence. Output: one result. A forwarded port reaches the pod's loopback address, past the network policy,
TLS and the list of callers. Only bindings of RBAC are listed; other authorizers cannot be read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from triton_operator.api.privacy import Profile
from triton_operator.cli.doctor.check_result import CheckResult, items, passed, unknown, warned
from triton_operator.cli.doctor.evidence import Evidence
from triton_operator.cli.doctor.permissions import PERMISSIONS, is_allowed
from triton_operator.sdk.errors import SdkError

CHECK = "port-forwarding"
_ADMINISTRATORS = "Group system:masters"
"""Members have all permissions, regardless of RBAC rules."""
_RESOURCES = frozenset({"pods/portforward", "pods/*", "*/portforward", "*", "*/*"})
_VERBS = frozenset({"get", "create", "*"})
"""A WebSocket is opened with `get`, SPDY with `create`."""
_SHOWN = 8


def check_port_forwarding(evidence: Evidence) -> CheckResult:
    """Only administrators can forward ports to private deployments."""
    private = _private(evidence)
    if not private:
        return passed(CHECK, f"no private ModelDeployments in namespace {evidence.namespace}")
    advice = (
        "a forwarded port bypasses the network policy, TLS and callers; grant pods/portforward in this namespace only "
        "to users who are allowed to read all requests"
    )
    found = _subjects(evidence)
    if isinstance(found, SdkError):
        you = " You have permission to forward ports." if _you_may(evidence) else ""
        return unknown(CHECK, SdkError(f"{found}.{you}"), advice)
    if not found:
        return passed(CHECK, f"only {_ADMINISTRATORS} can forward ports of pods in namespace {evidence.namespace}")
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    listed = f"{', '.join(found[:_SHOWN])}{more}"
    return warned(CHECK, f"allowed in namespace {evidence.namespace} for {listed}", advice)


def _private(evidence: Evidence) -> bool:
    """Whether a deployment is private, or may be one."""
    response = evidence["deployments"]
    if isinstance(response, SdkError):
        return True
    profiles = [each.get("spec", {}).get("privacy", {}).get("profile", Profile.PRIVATE) for each in items(response)]
    return any(profile != Profile.OPEN for profile in profiles)


def _you_may(evidence: Evidence) -> bool:
    reviews = evidence["permissions"]
    permission = next(each for each in PERMISSIONS if each.resource == "pods/portforward")
    return not isinstance(reviews, SdkError) and is_allowed(permission, items(reviews))


def _subjects(evidence: Evidence) -> list[str] | SdkError:
    """Users, groups and ServiceAccounts, sorted; the error if roles or bindings cannot be read."""
    responses = {name: evidence[name] for name in ("roles", "clusterroles", "rolebindings", "clusterrolebindings")}
    for response in responses.values():
        if isinstance(response, SdkError):
            return response
    read = {name: items(response) for name, response in responses.items() if not isinstance(response, SdkError)}
    roles = {
        (kind, each["metadata"]["name"])
        for kind, name in (("Role", "roles"), ("ClusterRole", "clusterroles"))
        for each in read[name]
        if any(map(_allows, each.get("rules") or []))
    }
    bindings = [*read["rolebindings"], *read["clusterrolebindings"]]
    found = {
        name
        for binding in bindings
        if (binding.get("roleRef", {}).get("kind"), binding.get("roleRef", {}).get("name")) in roles
        for name in _named(binding)
    }
    return sorted(found - {_ADMINISTRATORS})


def _allows(rule: dict[str, Any]) -> bool:
    return (
        not _VERBS.isdisjoint(rule.get("verbs") or ())
        and not {"", "*"}.isdisjoint(rule.get("apiGroups") or ())
        and not _RESOURCES.isdisjoint(rule.get("resources") or ())
    )


def _named(binding: dict[str, Any]) -> Iterator[str]:
    for subject in binding.get("subjects") or []:
        namespace = subject.get("namespace") or binding["metadata"].get("namespace", "")
        place = f"{namespace}/" if subject.get("kind") == "ServiceAccount" else ""
        yield f"{subject.get('kind', '')} {place}{subject.get('name', '')}"
