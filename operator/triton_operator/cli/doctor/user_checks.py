"""Judgements about what the user may do, and what the namespace and the nodes have for it.

Pure. Input: evidence. Output: one finding for each check. `doctor` runs them in their order.
"""

from __future__ import annotations

from typing import Any

from triton_operator.api.names import LABEL_DEPLOYMENT
from triton_operator.cli.doctor.evidence import Evidence
from triton_operator.cli.doctor.finding import Finding, hidden, ill, items, unsure, well
from triton_operator.cli.doctor.rights import RIGHTS, is_allowed
from triton_operator.cli.status.pods import container_statuses
from triton_operator.sdk.errors import SdkError

GPU = "nvidia.com/gpu"

ENFORCERS = ("calico-node", "cilium", "antrea-agent", "kube-router", "weave-net", "kube-network-policies", "kindnet",
             "canal", "ovnkube-node", "azure-npm", "netd", "aws-node")  # fmt: skip
"""DaemonSets that enforce NetworkPolicies, or can be told to."""
PLAIN = ("kube-flannel-ds", "kube-flannel")
"""Networks that do not."""
_PULL_FAILURES = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"}


def check_rights(evidence: Evidence) -> Finding:
    """What the commands need in this namespace."""
    answer = evidence["rights"]
    if isinstance(answer, SdkError):
        return hidden("permissions", answer, f"kubectl auth can-i --list -n {evidence.namespace}")
    missing = [right for right in RIGHTS if not is_allowed(right, items(answer))]
    where = f"in namespace {evidence.namespace}"
    if not missing:
        return well("permissions", f"all that tritonctl needs {where}")
    said = f"{where}, permission denied: " + "; ".join(f"{right.named()} ({right.use})" for right in missing)
    do = f"ask for the ClusterRoles edit or view in {evidence.namespace}: the chart adds ModelDeployments to them"
    return ill("permissions", said, do) if any(each.needed for each in missing) else unsure("permissions", said, do)


def check_images(evidence: Evidence) -> Finding:
    """No pod of ours in the namespace waits for an image."""
    answer = evidence["pods"]
    if isinstance(answer, SdkError):
        return hidden("images", answer, "tritonctl status NAME shows it for one deployment")
    stuck = {
        pod["metadata"].get("labels", {}).get(LABEL_DEPLOYMENT, ""): status["state"]["waiting"].get("message", "")
        for pod in items(answer)
        for status in container_statuses(pod)
        if status.get("state", {}).get("waiting", {}).get("reason") in _PULL_FAILURES
    }
    if not stuck:
        return well("images", f"no pod waits for one in namespace {evidence.namespace}")
    name, message = next(iter(stuck.items()))
    do = "check the name, whether nodes reach the registry, and spec.imagePullSecrets (docs/reasons/ImagePullFailed.md)"
    return ill("images", f"{', '.join(stuck)} cannot pull: {message or name}", do)


def check_metrics(evidence: Evidence) -> Finding:
    """Autoscaling by CPU has something to go by; only needed where a deployment asks for it."""
    answer = evidence["metrics"]
    if not isinstance(answer, SdkError):
        return well("autoscaling", "the metrics API answers")
    users = _with(evidence, "autoscaling")
    do = "install metrics-server, or leave spec.autoscaling out"
    if users:
        return ill("autoscaling", f"the metrics API does not answer, and {', '.join(users)} scale by it", do)
    return unsure("autoscaling", "the metrics API does not answer", do)


def check_gpus(evidence: Evidence) -> Finding:
    """Nodes have the GPUs that deployments ask for."""
    answer = evidence["nodes"]
    if isinstance(answer, SdkError):
        return hidden("gpus", answer, "only matters for deployments with spec.gpu")
    nodes = items(answer)
    counts = {node["metadata"]["name"]: _count(node) for node in nodes if _count(node)}
    users = _with(evidence, "gpu")
    if counts:
        return well("gpus", ", ".join(f"{name} has {count}" for name, count in counts.items()))
    if users:
        do = "install NVIDIA's GPU operator or device plugin, or leave spec.gpu out"
        return ill("gpus", f"no node offers {GPU}, and {', '.join(users)} ask for it", do)
    return well("gpus", f"none on {len(nodes)} node{'s' if len(nodes) != 1 else ''}: models are served by CPUs")


def check_network(evidence: Evidence) -> Finding:
    """Whether something enforces NetworkPolicies cannot be asked; what is known to do so is looked for."""
    answer = evidence["agents"]
    test = "the profile Private rests on it: try a connection that a policy forbids"
    if isinstance(answer, SdkError):
        return hidden("network policies", answer, test)
    names = [str(each["metadata"]["name"]) for each in items(answer)]
    found = [name for name in names if name.startswith(ENFORCERS)]
    if found:
        return well("network policies", f"{', '.join(found)} can enforce them")
    plain = [name for name in names if name.startswith(PLAIN)]
    if plain:
        return unsure("network policies", f"{plain[0]} does not enforce them", "add a program that does; until then "
                      "spec.privacy has no effect on the network")  # fmt: skip
    return unsure("network policies", "no program is known here that enforces them", test)


def _count(node: dict[str, Any]) -> int:
    value = str(node.get("status", {}).get("allocatable", {}).get(GPU, "0"))
    return int(value) if value.isdigit() else 0


def _with(evidence: Evidence, field: str) -> list[str]:
    """Deployments of the namespace whose spec has this field."""
    answer = evidence["deployments"]
    if isinstance(answer, SdkError):
        return []
    return [str(each["metadata"]["name"]) for each in items(answer) if each.get("spec", {}).get(field)]
