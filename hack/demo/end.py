"""`make demo-down`: remove everything that the demo created, except the cache folder.

Input: the machine, and $CLUSTER. A cluster that the demo started is deleted. In an existing cluster (CLUSTER=current),
only the demo's objects are deleted.
"""

from __future__ import annotations

from hack import cluster as clusters
from hack.demo.run import NAMESPACE
from hack.install import NAMESPACE as OPERATOR_NAMESPACE
from hack.install import client_of, delete_namespace, uninstall_operator
from hack.progress import say, step
from triton_operator.cluster.resource_paths import DEFINITIONS, MODEL_DEPLOYMENTS
from triton_operator.sdk.cluster_objects import Selection
from triton_operator.sdk.errors import DeploymentNotFoundError
from triton_operator.sdk.follow import delete_and_wait
from triton_operator.sdk.kubernetes_client import KubernetesClient

_CRD = "modeldeployments.triton-operator.io"
_DELETION_SECONDS = 120


def down() -> None:
    """Remove everything that the demo created; parts that do not exist are skipped."""
    if clusters.which().kind != "current":
        clusters.down()
        return
    cluster = clusters.ensure()
    with step("remove the demo's namespace"):
        delete_namespace(cluster, NAMESPACE)
    with step("uninstall the operator"):
        uninstall_operator(cluster)
        remove_definition(client_of(cluster))


def remove_definition(client: KubernetesClient) -> None:
    """Delete the CRD, which Helm keeps, if the demo installed it and no ModelDeployments exist."""
    try:
        definition = client.get(DEFINITIONS, _CRD, None)
    except DeploymentNotFoundError:
        return
    owner = definition["metadata"].get("annotations", {}).get("meta.helm.sh/release-namespace")
    if owner != OPERATOR_NAMESPACE or client.list(Selection(MODEL_DEPLOYMENTS, None)).items:
        say(f"{_CRD} is kept, because the demo did not install it or ModelDeployments exist")
        return
    delete_and_wait(client, Selection(DEFINITIONS, None, _CRD), _DELETION_SECONDS)
