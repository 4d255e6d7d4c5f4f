"""`make demo-down`: take down what the demo brought up.

Input: the machine, and $CLUSTER. Output: nothing but the cache folder. A cluster that the demo started goes as a
whole; from one that was there before (CLUSTER=current) the demo's own objects are removed.
"""

from __future__ import annotations

import json

from hack import cluster as clusters
from hack.cluster import Cluster
from hack.demo.run import NAMESPACE
from hack.install import NAMESPACE as OPERATOR_NAMESPACE
from hack.install import kubectl, uninstall_operator
from hack.progress import say, step

_CRD = "modeldeployments.triton-operator.io"


def down() -> None:
    """Remove everything; nothing happens when nothing is there."""
    if clusters.which().kind != "current":
        clusters.down()
        return
    cluster = clusters.ensure()
    with step("remove the demo's namespace"):
        kubectl(cluster, "delete", "namespace", NAMESPACE, "--ignore-not-found")
    with step("uninstall the operator"):
        uninstall_operator(cluster)
        remove_definition(cluster)


def remove_definition(cluster: Cluster) -> None:
    """Delete the definition that our release left behind, unless somebody has ModelDeployments."""
    found = kubectl(cluster, "get", "crd", _CRD, "--ignore-not-found", "-o", "json")
    if not found:
        return
    owner = json.loads(found)["metadata"].get("annotations", {}).get("meta.helm.sh/release-namespace")
    if owner != OPERATOR_NAMESPACE or json.loads(kubectl(cluster, "get", _CRD, "-A", "-o", "json"))["items"]:
        say(f"{_CRD} stays: it was not installed by the demo, or there are ModelDeployments")
        return
    kubectl(cluster, "delete", "crd", _CRD)
