"""Commands to try after the demo, ready to copy."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from hack import cluster as clusters
from hack.cache import VARIABLE as CACHE
from hack.cluster import RunningCluster
from hack.cluster.choice import VARIABLE as CLUSTER
from hack.progress import bold
from triton_operator.api.names import server_name

_RETRIES = "--retry 9 --retry-delay 1 --retry-connrefused"
"""Lets a pasted curl wait until the port-forward started by the previous line is ready."""


def next_steps(cluster: RunningCluster, namespace: str, name: str, request: Path) -> str:
    """Commands for a shell; `request` is an inference request as a file, and the authorities are written next to it."""
    path = f"{Path(sys.executable).parent}:{clusters.tools('kubectl')}"
    here = f"-n {namespace}"
    path_of_request, authorities = shlex.quote(str(request)), shlex.quote(str(request.with_name("ca.crt")))
    address = f"https://{server_name(namespace, name)}:8443"
    lines = [
        bold("What to try next"),
        f"  export KUBECONFIG={shlex.quote(str(cluster.kubeconfig))} PATH=$PATH:{shlex.quote(path)}",
        _with_remark(f"kubectl {here} get md -o wide", "list deployments and reasons"),
        _with_remark(f"kubectl {here} describe md {name}", "show the details"),
        _with_remark("kubectl explain md.spec", "document the fields"),
        _with_remark(f"tritonctl status {name} {here}", "show the status, the pods and all privacy controls"),
        f"  kubectl {here} scale md/{name} --replicas=3",
        f"  kubectl {here} wait md/{name} --for=condition=Ready --timeout=180s",
        f"  tritonctl infer {name} {here} --input {path_of_request} --protocol grpc",
        f"  tritonctl ca {name} {here} > {authorities}",
        f"  kubectl {here} port-forward service/{name} 8443 &",
        f"  curl -s {_RETRIES} --cacert {authorities} --connect-to ::localhost: \\",
        f"    {address}/v2/models/{name}/infer -d @{path_of_request}",
        _with_remark("kill $!", "stop the port-forward"),
        _with_remark(demo_down(os.environ), "remove everything except the cache"),
    ]
    return "\n" + "\n".join(lines)


def demo_down(environ: Mapping[str, str]) -> str:
    """The command that removes this demo, with the same cluster, cache folder and permissions."""
    variables = [f"{name}={shlex.quote(environ[name])}" for name in (CLUSTER, CACHE) if environ.get(name)]
    return " ".join([*variables, *(["sudo -E"] if "SUDO_UID" in environ else []), "make demo-down"])


def _with_remark(command: str, remark: str) -> str:
    return f"  {command:<44}# {remark}"
