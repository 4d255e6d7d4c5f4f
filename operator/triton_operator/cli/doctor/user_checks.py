"""Checks of the user's permissions, of the namespace and of the nodes.

Pure. Input: evidence. Output: one result per check.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import Any

import msgspec

from triton_operator.api.autoscaling import MetricType
from triton_operator.api.gpu import NVIDIA_GPU, Gpu
from triton_operator.api.names import LABEL_DEPLOYMENT
from triton_operator.api.network_probe import RESULT_KEY, NetworkProbe, decode
from triton_operator.cli.doctor.check_result import CheckResult, failed, items, passed, unknown, warned
from triton_operator.cli.doctor.evidence import Evidence
from triton_operator.cli.doctor.permissions import PERMISSIONS, is_allowed
from triton_operator.cli.status.pods import container_statuses
from triton_operator.sdk.errors import SdkError

ENFORCERS = ("calico-node", "cilium", "antrea-agent", "kube-router", "weave-net", "kube-network-policies", "kindnet",
             "canal", "ovnkube-node", "azure-npm", "netd", "aws-node")  # fmt: skip
"""DaemonSets that enforce NetworkPolicies, or can be configured to."""
PLAIN = ("kube-flannel-ds", "kube-flannel")
"""Network plugins that do not."""
_PULL_FAILURES = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"}


def check_permissions(evidence: Evidence) -> CheckResult:
    """The user has the permissions that the commands need in this namespace."""
    response = evidence["permissions"]
    if isinstance(response, SdkError):
        return unknown("permissions", response, f"kubectl auth can-i --list -n {evidence.namespace}")
    missing = [permission for permission in PERMISSIONS if not is_allowed(permission, items(response))]
    where = f"in namespace {evidence.namespace}"
    if not missing:
        return passed("permissions", f"everything that tritonctl requires {where}")
    message = f"{where}, permission denied: " + "; ".join(f"{each.shown()} ({each.use})" for each in missing)
    advice = f"ask for the ClusterRoles edit or view in {evidence.namespace}: the chart adds ModelDeployments to them"
    return (
        failed("permissions", message, advice)
        if any(each.required for each in missing)
        else warned("permissions", message, advice)
    )


def check_images(evidence: Evidence) -> CheckResult:
    """No serving pod in the namespace fails to pull its image."""
    response = evidence["pods"]
    if isinstance(response, SdkError):
        return unknown("images", response, "run tritonctl status NAME to check one deployment")
    stuck = {
        pod["metadata"].get("labels", {}).get(LABEL_DEPLOYMENT, ""): status["state"]["waiting"].get("message", "")
        for pod in items(response)
        for status in container_statuses(pod)
        if status.get("state", {}).get("waiting", {}).get("reason") in _PULL_FAILURES
    }
    if not stuck:
        return passed("images", f"no image pull failures in namespace {evidence.namespace}")
    name, message = next(iter(stuck.items()))
    advice = "check the image name, access to the registry, and spec.imagePullSecrets (docs/reasons/ImagePullFailed.md)"
    return failed("images", f"{', '.join(stuck)} cannot pull an image: {message or name}", advice)


def check_metrics(evidence: Evidence) -> CheckResult:
    """The metrics API, which autoscaling by CPU or memory needs, responds; a failure only if a deployment uses it."""
    response = evidence["metrics"]
    if not isinstance(response, SdkError):
        return passed("autoscaling", "the metrics API responds")
    users = _scaled_by_resources(evidence)
    advice = "install metrics-server, or remove spec.autoscaling"
    if users:
        return failed(
            "autoscaling", f"the metrics API does not respond, but autoscaling is set in {', '.join(users)}", advice
        )
    return warned("autoscaling", "the metrics API does not respond", advice)


def check_gpus(evidence: Evidence) -> CheckResult:
    """Nodes have the GPUs that deployments request."""
    response = evidence["nodes"]
    if isinstance(response, SdkError):
        return unknown("gpus", response, "GPUs are needed only by deployments with spec.gpu")
    nodes = items(response)
    users = _users_of_gpus(evidence)
    found = {name: _amounts(nodes, name) for name in sorted({NVIDIA_GPU, *users})}
    missing = [f"no node has {name}, but {', '.join(users[name])} request it" for name in users if not found[name]]
    if missing:
        advice = "install the device plugin of the GPUs' vendor, correct spec.gpu.resourceName, or remove spec.gpu"
        return failed("gpus", "; ".join(missing), advice)
    if any(found.values()):
        return passed("gpus", ", ".join(amount for amounts in found.values() for amount in amounts))
    return passed("gpus", f"none on {len(nodes)} node{'s' if len(nodes) != 1 else ''}; models are served on CPUs")


def check_network(evidence: Evidence, now: datetime) -> CheckResult:
    """The last probe, or else a known network plugin, enforces NetworkPolicies; Kubernetes has no API to check this."""
    if probe := _last_probe(evidence):
        return _judge_probe(probe, now)
    response = evidence["agents"]
    test = "the privacy profiles depend on it; to test it, run tritonctl doctor --probe"
    if isinstance(response, SdkError):
        return unknown("network policies", response, test)
    names = [str(each["metadata"]["name"]) for each in items(response)]
    found = [name for name in names if name.startswith(ENFORCERS)]
    if found:
        return passed("network policies", f"{', '.join(found)} can enforce them")
    plain = [name for name in names if name.startswith(PLAIN)]
    if plain:
        advice = "install a network plugin that does; until then, spec.privacy has no effect on the network"
        return warned("network policies", f"{plain[0]} does not enforce them", advice)
    return warned("network policies", "no known network plugin that enforces them was found", test)


def _judge_probe(probe: NetworkProbe, now: datetime) -> CheckResult:
    where = f"tested on {probe.time[:10]} on {', '.join(probe.nodes)}"
    if not probe.is_valid(now):
        return warned("network policies", f"{where}, which is too long ago", "run tritonctl doctor --probe")
    if probe.ingress and probe.egress:
        return passed("network policies", f"enforced, {where}")
    advice = "install a network plugin that enforces them; until then, spec.privacy has no effect on the network"
    return failed("network policies", f"not enforced, {where}", advice)


def _last_probe(evidence: Evidence) -> NetworkProbe | None:
    """The newest result that an operator reads."""
    response, operators = evidence["probe"], evidence["operator"]
    if isinstance(response, SdkError) or isinstance(operators, SdkError):
        return None
    places = {each["metadata"].get("namespace") for each in items(operators)}
    found = []
    for item in items(response):
        if item["metadata"].get("namespace") in places:
            with suppress(msgspec.DecodeError):
                found.append(decode((item.get("data") or {}).get(RESULT_KEY, "")))
    return max(found, key=lambda probe: probe.time, default=None)


def _scaled_by_resources(evidence: Evidence) -> list[str]:
    """The deployments whose autoscaling uses CPU or memory; it does by default."""
    response = evidence["deployments"]
    if isinstance(response, SdkError):
        return []
    scaled = ((str(each["metadata"]["name"]), each.get("spec", {}).get("autoscaling")) for each in items(response))
    return [name for name, autoscaling in scaled if autoscaling and _uses_resources(autoscaling)]


_WITHOUT_RESOURCES = frozenset(
    {
        MetricType.PODS,
        MetricType.OBJECT,
        MetricType.EXTERNAL,
        MetricType.TRIGGER,
        *(each for each in MetricType if each.is_of_triton),
    }
)
"""Types of metrics that are not the usage of CPU or memory."""


def _uses_resources(autoscaling: dict[str, Any]) -> bool:
    types = {metric.get("type") for metric in autoscaling.get("metrics") or [{}]}
    return bool(types - _WITHOUT_RESOURCES)


def _amounts(nodes: list[dict[str, Any]], resource: str) -> list[str]:
    """What each node has of the resource; nodes without it are omitted."""
    amounts = {
        node["metadata"]["name"]: str(node.get("status", {}).get("allocatable", {}).get(resource, "0"))
        for node in nodes
    }
    kind = "" if resource == NVIDIA_GPU else f" {resource}"
    return [f"{name} has {amount}{kind}" for name, amount in amounts.items() if amount.isdigit() and int(amount)]


def _users_of_gpus(evidence: Evidence) -> dict[str, list[str]]:
    """The deployments in the namespace by the resource of their GPUs; objects that cannot be read are omitted."""
    response = evidence["deployments"]
    found: dict[str, list[str]] = {}
    for each in [] if isinstance(response, SdkError) else items(response):
        with suppress(msgspec.ValidationError):
            if gpu := msgspec.convert(each.get("spec", {}).get("gpu"), Gpu | None):
                found.setdefault(gpu.extended_resource, []).append(str(each["metadata"]["name"]))
    return found


def deployments_with(evidence: Evidence, field: str) -> list[str]:
    """The deployments in the namespace whose spec sets this field."""
    response = evidence["deployments"]
    if isinstance(response, SdkError):
        return []
    return [str(each["metadata"]["name"]) for each in items(response) if each.get("spec", {}).get(field)]
