"""Checks of the cluster and of the operator.

Pure. Input: evidence, and the time. Output: one result per check.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import msgspec

from triton_operator import __version__
from triton_operator.api.names import API_VERSION, VERSION
from triton_operator.api.spec import Spec
from triton_operator.cli.doctor.check_result import CheckResult, failed, items, passed, unknown, warned
from triton_operator.cli.doctor.evidence import Evidence
from triton_operator.sdk.errors import DeploymentNotFoundError, SdkError

OLDEST, NEWEST = (1, 35), (1, 37)
"""The Kubernetes releases that the operator is tested with; older ones lack image volumes or environment files."""
STALE_LEASE_SECONDS = 60
"""The holder renews the Lease every few seconds; an older renewal means a wrong clock or no running operator."""

_INSTALL = "install the chart: helm upgrade --install triton-operator charts/triton-operator -n triton-operator-system"


def check_version(evidence: Evidence) -> CheckResult:
    """The cluster responds, and the operator is tested with its release."""
    response = evidence["version"]
    if isinstance(response, SdkError):
        return failed("cluster", str(response), "select another one with --kubeconfig or --context, or log in")
    numbers = [int(re.sub(r"\D.*", "", str(response.get(part, ""))) or 0) for part in ("major", "minor")]
    found = f"Kubernetes {response.get('gitVersion', '')}"
    if tuple(numbers) < OLDEST:
        return failed("cluster", found, f"serving pods need Kubernetes {OLDEST[0]}.{OLDEST[1]} or newer")
    if tuple(numbers) > NEWEST:
        return warned(
            "cluster", found, f"tested up to {NEWEST[0]}.{NEWEST[1]}; look for a newer release of the operator"
        )
    return passed("cluster", found)


def check_kubectl(evidence: Evidence) -> CheckResult:
    """Kubectl, which forwards ports, is installed."""
    response = evidence["kubectl"]
    if isinstance(response, dict) and "path" in response:
        return passed("kubectl", str(response["path"]))
    advice = "to use infer, top and bench without --url, install it: https://kubernetes.io/docs/tasks/tools"
    return warned("kubectl", "is not on PATH", advice)


def check_definition(evidence: Evidence) -> CheckResult:
    """The CRD is installed and serves the version that this program uses."""
    response, api = evidence["definition"], evidence["api"]
    if isinstance(response, SdkError):
        return _definition_by_discovery(response, api)
    versions = {each["name"]: each for each in response.get("spec", {}).get("versions", []) if each.get("served")}
    if VERSION not in versions:
        return failed("definition", f"serves {', '.join(versions) or 'no version'}, not {VERSION}", _INSTALL)
    if not _is_true(response, "Established"):
        return failed("definition", f"{API_VERSION} is not established", "run kubectl describe crd to see why")
    missing = _missing_fields(versions[VERSION])
    if missing:
        message = f"{API_VERSION} has no spec.{', spec.'.join(missing)}"
        return warned(
            "definition", message, "the CRD is older than tritonctl; run kubectl apply -f crds/modeldeployments.yaml"
        )
    return passed("definition", API_VERSION)


def _definition_by_discovery(error: SdkError, api: dict[str, Any] | SdkError) -> CheckResult:
    """Check only the version, in the list of APIs, which every user may read."""
    if isinstance(api, SdkError):
        return failed("definition", "the CRD of ModelDeployments is not installed", _INSTALL)
    versions = [each.get("version") for each in api.get("versions", [])]
    if VERSION not in versions:
        return failed("definition", f"the cluster serves {versions}, not {VERSION}", _INSTALL)
    if isinstance(error, DeploymentNotFoundError):
        return failed("definition", str(error), _INSTALL)
    return passed("definition", f"{API_VERSION}; its fields cannot be checked: {error}")


def _missing_fields(version: dict[str, Any]) -> list[str]:
    """Fields of the spec that this program knows but the installed CRD does not have."""
    schema = version.get("schema", {}).get("openAPIV3Schema", {}).get("properties", {}).get("spec", {})
    known = schema.get("properties", {})
    return [field.encode_name for field in msgspec.structs.fields(Spec) if field.encode_name not in known]


def check_operator(evidence: Evidence) -> CheckResult:
    """A pod of the operator is ready and has this program's release."""
    response = evidence["operator"]
    if isinstance(response, SdkError):
        return unknown(
            "operator",
            response,
            "ask the administrator of the cluster; `tritonctl status` shows whether the operator runs",
        )
    found = items(response)
    if not found:
        return failed("operator", "the operator's Deployment was not found", _INSTALL)
    ready = [each for each in found if each.get("status", {}).get("readyReplicas", 0)]
    names = ", ".join(_place(each) for each in ready or found)
    if not ready:
        return failed("operator", f"{names} has no ready pod", f"kubectl -n {_namespace(found[0])} describe pods")
    release = ready[0]["metadata"].get("labels", {}).get("app.kubernetes.io/version", "")
    if release != __version__:
        return warned("operator", f"{names} has release {release or 'unknown'}, tritonctl has {__version__}",
                      "install the same release of both")  # fmt: skip
    return passed("operator", f"{names} {release}")


def check_lease(evidence: Evidence, now: datetime) -> CheckResult:
    """One of the operator's pods holds the Lease."""
    response = evidence["lease"]
    if isinstance(response, SdkError):
        return unknown("lease", response, "the Lease shows which pod of the operator is active")
    leases = items(response)
    if not leases:
        return failed("lease", "no operator has acquired the Lease", "check the operator's log: kubectl logs -l "
                   "app.kubernetes.io/component=operator -A")  # fmt: skip
    ages = {_place(each): _age(each, now) for each in leases}
    held = {name: age for name, age in ages.items() if age is not None}
    if not held:
        return failed(
            "lease", f"the Lease {', '.join(ages)} has no holder", "no operator is active; check its pods and its log"
        )
    name, age = min(held.items(), key=lambda each: each[1])
    if age > STALE_LEASE_SECONDS:
        return failed(
            "lease",
            f"{name} was last renewed {age:.0f} s ago",
            "no operator is active, or the clock of this machine is wrong",
        )
    holder = next(each["spec"]["holderIdentity"] for each in leases if _place(each) == name)
    return passed("lease", f"{holder} is active, last seen {max(0.0, age):.0f} s ago")


def _age(lease: dict[str, Any], now: datetime) -> float | None:
    """Seconds since the last renewal; None without a holder."""
    spec = lease.get("spec", {})
    try:
        renewed = datetime.fromisoformat(str(spec.get("renewTime", "")))
    except ValueError:
        return None
    return (now - renewed).total_seconds() if spec.get("holderIdentity") and renewed.tzinfo else None


def _is_true(item: dict[str, Any], condition: str) -> bool:
    conditions = item.get("status", {}).get("conditions", [])
    return any(each.get("type") == condition and each.get("status") == "True" for each in conditions)


def _namespace(item: dict[str, Any]) -> str:
    return str(item["metadata"].get("namespace", ""))


def _place(item: dict[str, Any]) -> str:
    return f"{_namespace(item)}/{item['metadata']['name']}"
