"""What to try after the demo: commands that work as they are printed."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from hack import cluster as clusters
from hack.cluster import Cluster
from hack.progress import bold


def next_steps(cluster: Cluster, namespace: str, name: str, request: Path) -> str:
    """Commands for a shell; `request` is an inference request as a file."""
    path = f"{Path(sys.executable).parent}:{clusters.tools('kubectl')}"
    place = f"-n {namespace}"
    lines = [
        bold("What to try next"),
        f"  export KUBECONFIG={shlex.quote(str(cluster.kubeconfig))} PATH=$PATH:{shlex.quote(path)}",
        f"  kubectl {place} get md -o wide            # is it Ready, and why",
        f"  kubectl {place} describe md {name}        # everything the operator knows of it",
        "  kubectl explain md.spec                     # what one can write",
        f"  tritonctl status {name} {place}           # the same, with pods, for people",
        f"  kubectl {place} scale md/{name} --replicas=3",
        f"  tritonctl infer {name} {place} --input {request} --protocol grpc",
        f"  kubectl {place} port-forward service/{name} 8000 &",
        f"  curl -s localhost:8000/v2/models/{name}/infer -d @{request}",
        "  make demo-down                              # leaves nothing but the cache folder",
    ]
    return "\n" + "\n".join(lines)
