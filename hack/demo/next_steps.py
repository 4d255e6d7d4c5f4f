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
    here = f"-n {namespace}"
    lines = [
        bold("What to try next"),
        f"  export KUBECONFIG={shlex.quote(str(cluster.kubeconfig))} PATH=$PATH:{shlex.quote(path)}",
        _with_remark(f"kubectl {here} get md -o wide", "is it Ready, and why"),
        _with_remark(f"kubectl {here} describe md {name}", "everything the operator knows of it"),
        _with_remark("kubectl explain md.spec", "what one can write"),
        _with_remark(f"tritonctl status {name} {here}", "the same with pods, in one page"),
        f"  kubectl {here} scale md/{name} --replicas=3",
        f"  tritonctl infer {name} {here} --input {request} --protocol grpc",
        f"  kubectl {here} port-forward service/{name} 8000 &",
        f"  curl -s localhost:8000/v2/models/{name}/infer -d @{request}",
        _with_remark("make demo-down", "leaves nothing but the cache folder"),
    ]
    return "\n" + "\n".join(lines)


def _with_remark(command: str, remark: str) -> str:
    return f"  {command:<44}# {remark}"
