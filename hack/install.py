"""Install the operator into a cluster: Helm chart, images, and a namespace that enforces `restricted`.

Input: a cluster and the built images. Output: a running operator, built from this working tree. The demo and the
end-to-end tests call it. If the tree is unchanged, nothing is changed.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import yaml

from hack.cluster import tools
from hack.cluster.handle import RunningCluster
from hack.images.builder import BuiltImage
from triton_operator.cluster.resource_paths import NAMESPACES
from triton_operator.sdk.cluster_objects import Selection
from triton_operator.sdk.follow import delete_and_wait
from triton_operator.sdk.kube_context import KubeContext
from triton_operator.sdk.kubernetes_client import KubernetesClient

NAMESPACE = "triton-operator-system"
RELEASE = "triton-operator"
CHART = Path(__file__).parents[1] / "charts" / "triton-operator"
CPU_TRITON_VERSION = "24.10"
"""Release of the server in the CPU image (2.51)."""

_DELETION_SECONDS = 300

RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


class InstallError(Exception):
    """Helm or kubectl failed; the message contains its output."""


def install_operator(
    cluster: RunningCluster, images: Mapping[str, BuiltImage], *, by_digest: bool = False, **values: object
) -> str:
    """Install or upgrade the release and wait until it runs; returns its namespace.

    `by_digest` is whether its image is referenced by digest, which a native node supports. `values` are further values
    of the chart.
    """
    make_namespace(cluster, NAMESPACE)
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(chart_values(images, by_digest=by_digest) | values, file)
        file.flush()
        _run(
            tools("helm") / "helm",
            *("upgrade", "--install", RELEASE, str(CHART), f"--namespace={NAMESPACE}", f"--values={file.name}"),
            *(f"--kubeconfig={cluster.kubeconfig}", "--wait", "--timeout=120s"),
        )
    return NAMESPACE


def uninstall_operator(cluster: RunningCluster) -> None:
    """Remove the release and its namespace, if they exist."""
    helm = ("uninstall", RELEASE, f"--namespace={NAMESPACE}", "--ignore-not-found", "--wait")
    _run(tools("helm") / "helm", *helm, f"--kubeconfig={cluster.kubeconfig}")
    delete_namespace(cluster, NAMESPACE)


def make_namespace(cluster: RunningCluster, name: str, **labels: str) -> None:
    """Create a namespace that admits only pods of the level `restricted`, with additional labels."""
    metadata = {"name": name, "labels": RESTRICTED | labels}
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
    client_of(cluster).apply(NAMESPACES, body, None, manager=RELEASE, force=True)


def chart_values(images: Mapping[str, BuiltImage], *, by_digest: bool = False) -> dict[str, object]:
    """Helm values for the local images: the operator, and the CPU server in addition to the chart's catalogue."""
    repository, _, tag = images["operator"].reference.rpartition(":")
    version = {"digest": images["operator"].digest} if by_digest else {"tag": tag}
    own = yaml.safe_load((CHART / "values.yaml").read_text())["images"]  # A list in the values replaces the chart's.
    local = {
        "image": images["triton-cpu"].reference,
        "version": CPU_TRITON_VERSION,
        "backends": ["pytorch", "python", "aotinductor"],
        "accelerator": "CPU",
        "default": True,
    }
    return {"image": {"repository": repository, **version}, "images": [*own, local]}


def delete_namespace(cluster: RunningCluster, name: str) -> None:
    """Delete a namespace with all its objects, and wait until it is gone."""
    delete_and_wait(client_of(cluster), Selection(NAMESPACES, None, name), _DELETION_SECONDS)


def client_of(cluster: RunningCluster) -> KubernetesClient:
    """A client with administrator permissions."""
    return KubernetesClient(KubeContext(str(cluster.kubeconfig)))


def _run(program: Path, *arguments: str, stdin: str | None = None) -> str:
    done = subprocess.run([str(program), *arguments], input=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InstallError(f"{program.name} {arguments[0]} failed: {done.stderr.strip()}")
    return done.stdout
