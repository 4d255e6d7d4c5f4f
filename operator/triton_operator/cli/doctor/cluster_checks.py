"""Judgements about the cluster and the operator in it.

Pure. Input: evidence, and the time. Output: one finding for each check. `doctor` runs them in their order.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import msgspec

from triton_operator import __version__
from triton_operator.api.names import API_VERSION, VERSION
from triton_operator.api.spec import Spec
from triton_operator.cli.doctor.evidence import Evidence
from triton_operator.cli.doctor.finding import Finding, hidden, ill, items, unsure, well
from triton_operator.sdk.errors import DeploymentNotFoundError, SdkError

OLDEST, NEWEST = (1, 35), (1, 37)
"""Kubernetes releases that the operator is tested with; image volumes and environment files begin with the oldest."""
STALE_LEASE_SECONDS = 60
"""A holder renews every few seconds; more is a clock that is wrong, or nobody at work."""

_INSTALL = "install the chart: helm upgrade --install triton-operator charts/triton-operator -n triton-operator-system"


def check_version(evidence: Evidence) -> Finding:
    """A cluster answers, and its release is one that the operator is tested with."""
    answer = evidence["version"]
    if isinstance(answer, SdkError):
        return ill("cluster", str(answer), "choose another with --kubeconfig or --context, or log in")
    numbers = [int(re.sub(r"\D.*", "", str(answer.get(part, ""))) or 0) for part in ("major", "minor")]
    found = f"Kubernetes {answer.get('gitVersion', '')}"
    if tuple(numbers) < OLDEST:
        return ill("cluster", found, f"serving pods need Kubernetes {OLDEST[0]}.{OLDEST[1]} or newer")
    if tuple(numbers) > NEWEST:
        return unsure(
            "cluster", found, f"tested up to {NEWEST[0]}.{NEWEST[1]}; look for a newer release of the operator"
        )
    return well("cluster", found)


def check_kubectl(evidence: Evidence) -> Finding:
    """Kubectl is there to forward ports."""
    answer = evidence["kubectl"]
    if isinstance(answer, dict) and "path" in answer:
        return well("kubectl", str(answer["path"]))
    do = "install it to use infer, top and bench without --url (https://kubernetes.io/docs/tasks/tools)"
    return unsure("kubectl", "is not on PATH", do)


def check_definition(evidence: Evidence) -> Finding:
    """ModelDeployments are known, in the version that this program speaks."""
    answer, api = evidence["definition"], evidence["api"]
    if isinstance(answer, SdkError):
        return _definition_by_discovery(answer, api)
    versions = {each["name"]: each for each in answer.get("spec", {}).get("versions", []) if each.get("served")}
    if VERSION not in versions:
        return ill("definition", f"serves {', '.join(versions) or 'no version'}, not {VERSION}", _INSTALL)
    if not _is_true(answer, "Established"):
        return ill("definition", f"{API_VERSION} is not established", "kubectl describe crd says why")
    missing = _missing_fields(versions[VERSION])
    if missing:
        said = f"{API_VERSION} has no spec.{', spec.'.join(missing)}"
        return unsure(
            "definition", said, "it is older than this tritonctl: kubectl apply -f crds/modeldeployments.yaml"
        )
    return well("definition", API_VERSION)


def _definition_by_discovery(error: SdkError, api: dict[str, Any] | SdkError) -> Finding:
    """Any user may ask which APIs there are."""
    if isinstance(api, SdkError):
        return ill("definition", "this cluster does not know ModelDeployments", _INSTALL)
    versions = [each.get("version") for each in api.get("versions", [])]
    if VERSION not in versions:
        return ill("definition", f"the cluster serves {versions}, not {VERSION}", _INSTALL)
    if isinstance(error, DeploymentNotFoundError):
        return ill("definition", str(error), _INSTALL)
    return well("definition", f"{API_VERSION}; its fields could not be compared: {error}")


def _missing_fields(version: dict[str, Any]) -> list[str]:
    """Fields of the spec that this program has and the cluster does not."""
    schema = version.get("schema", {}).get("openAPIV3Schema", {}).get("properties", {}).get("spec", {})
    known = schema.get("properties", {})
    return [field.encode_name for field in msgspec.structs.fields(Spec) if field.encode_name not in known]


def check_operator(evidence: Evidence) -> Finding:
    """A pod of the operator is ready, of this program's release."""
    answer = evidence["operator"]
    if isinstance(answer, SdkError):
        return hidden("operator", answer, "ask who runs the cluster; `tritonctl status` shows whether it answers")
    found = items(answer)
    if not found:
        return ill("operator", "no Deployment of the operator was found", _INSTALL)
    ready = [each for each in found if each.get("status", {}).get("readyReplicas", 0)]
    names = ", ".join(_place(each) for each in ready or found)
    if not ready:
        return ill("operator", f"{names} has no ready pod", f"kubectl -n {_namespace(found[0])} describe pods")
    release = ready[0]["metadata"].get("labels", {}).get("app.kubernetes.io/version", "")
    if release != __version__:
        return unsure("operator", f"{names} is {release or 'of unknown release'}, tritonctl {__version__}",
                      "use the same release of both")  # fmt: skip
    return well("operator", f"{names} {release}")


def check_lease(evidence: Evidence, now: datetime) -> Finding:
    """One of the operator's pods is at work."""
    answer = evidence["lease"]
    if isinstance(answer, SdkError):
        return hidden("lease", answer, "it only says which pod of the operator works")
    leases = items(answer)
    if not leases:
        return ill("lease", "no operator has taken the Lease", "look at the operator's log: kubectl logs -l "
                   "app.kubernetes.io/component=operator -A")  # fmt: skip
    ages = {_place(each): _age(each, now) for each in leases}
    held = {name: age for name, age in ages.items() if age is not None}
    if not held:
        return ill("lease", f"nobody holds {', '.join(ages)}", "no operator works; look at its pods and its log")
    name, age = min(held.items(), key=lambda each: each[1])
    if age > STALE_LEASE_SECONDS:
        return ill(
            "lease", f"{name} was renewed {age:.0f} s ago", "no operator works, or this machine's clock is wrong"
        )
    holder = next(each["spec"]["holderIdentity"] for each in leases if _place(each) == name)
    return well("lease", f"{holder} works, seen {max(0.0, age):.0f} s ago")


def _age(lease: dict[str, Any], now: datetime) -> float | None:
    """Seconds since it was renewed; None where nobody holds it."""
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
