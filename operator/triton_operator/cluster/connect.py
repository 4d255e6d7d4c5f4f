"""Choose how to reach the API server: the pod's service account, or a kubeconfig.

Input: the path of a kubeconfig, or the environment. Output: an ApiServerConnection.
"""

from __future__ import annotations

import os
import ssl
from pathlib import Path

from triton_operator.cluster.connection import ApiServerConnection, TokenFile
from triton_operator.cluster.renewed_tls import RenewedContext

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where the kubelet projects token, ca.crt and namespace into a pod."""


def connect(kubeconfig: Path | None = None) -> ApiServerConnection:
    """The connection of `kubeconfig`, else the pod's own, else that of $KUBECONFIG or ~/.kube/config."""
    if kubeconfig is None and "KUBERNETES_SERVICE_HOST" in os.environ and (SERVICE_ACCOUNT / "token").exists():
        return in_cluster()
    from triton_operator.cluster.kubeconfig import from_kubeconfig, from_user  # Not needed in a pod, and YAML is slow.

    return from_kubeconfig(kubeconfig) if kubeconfig is not None else from_user()


def in_cluster(folder: Path = SERVICE_ACCOUNT) -> ApiServerConnection:
    """The connection of the pod that we run in."""
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    authority = folder / "ca.crt"
    return ApiServerConnection(
        f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        tls=RenewedContext(lambda: ssl.create_default_context(cafile=str(authority)), authority),
        token=TokenFile(folder / "token"),
        namespace=(folder / "namespace").read_text().strip(),
    )
