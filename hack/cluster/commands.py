"""Command lines of the control plane's programs; pure.

Input: folders, addresses and ports. Output: lists of arguments, without the program's folder. `controlplane` (on
loopback, for tests) and the native node (in its own network) call it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SERVICE_CIDR = "10.96.0.0/16"
API_CLUSTER_IP = "10.96.0.1"
POD_CIDR = "10.244.0.0/16"
API_HOSTS = (
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    "localhost",
)


@dataclass(frozen=True)
class ControlPlaneEndpoints:
    """Addresses and files of the programs.

    The API server listens on `address` and advertises it; etcd and its peers use 127.0.0.1. `pki` contains the files of
    `pki_files`.
    """

    pki: Path
    data: Path
    address: str
    api_port: int
    etcd_port: int
    etcd_peer_port: int


def etcd_command(at: ControlPlaneEndpoints) -> list[str]:
    """The command line of etcd: TLS with client certificates, and no fsync, because the data is temporary."""
    client, peer = f"https://127.0.0.1:{at.etcd_port}", f"https://127.0.0.1:{at.etcd_peer_port}"
    certificate, key, authority = at.pki / "etcd.crt", at.pki / "etcd.key", at.pki / "ca.crt"
    return [
        "etcd",
        "--name=default",
        f"--data-dir={at.data / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        f"--cert-file={certificate}",
        f"--key-file={key}",
        f"--trusted-ca-file={authority}",
        "--client-cert-auth=true",
        f"--peer-cert-file={certificate}",
        f"--peer-key-file={key}",
        f"--peer-trusted-ca-file={authority}",
        "--peer-client-cert-auth=true",
        "--unsafe-no-fsync=true",
        "--log-level=warn",
    ]


def apiserver_command(at: ControlPlaneEndpoints, extra: tuple[str, ...] = ()) -> list[str]:
    """The API server's command line; `extra` are flags of a single caller."""
    return [
        "kube-apiserver",
        f"--bind-address={at.address}",
        f"--advertise-address={at.address}",
        f"--secure-port={at.api_port}",
        f"--tls-cert-file={at.pki / 'apiserver.crt'}",
        f"--tls-private-key-file={at.pki / 'apiserver.key'}",
        f"--client-ca-file={at.pki / 'ca.crt'}",
        f"--etcd-servers=https://127.0.0.1:{at.etcd_port}",
        f"--etcd-cafile={at.pki / 'ca.crt'}",
        f"--etcd-certfile={at.pki / 'apiserver.crt'}",
        f"--etcd-keyfile={at.pki / 'apiserver.key'}",
        "--authorization-mode=Node,RBAC",
        "--anonymous-auth=false",
        "--allow-privileged=true",
        f"--service-cluster-ip-range={SERVICE_CIDR}",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={at.pki / 'sa.pub'}",
        f"--service-account-signing-key-file={at.pki / 'sa.key'}",
        f"--proxy-client-cert-file={at.pki / 'front-proxy.crt'}",
        f"--proxy-client-key-file={at.pki / 'front-proxy.key'}",
        f"--requestheader-client-ca-file={at.pki / 'ca.crt'}",
        "--requestheader-allowed-names=front-proxy",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--profiling=false",
        *extra,
    ]


def controller_manager_command(at: ControlPlaneEndpoints, extra: tuple[str, ...] = ()) -> list[str]:
    """The controller manager's command line, without a server port."""
    kubeconfig = at.pki / "controller-manager.kubeconfig"
    return [
        "kube-controller-manager",
        f"--kubeconfig={kubeconfig}",
        "--secure-port=0",
        f"--root-ca-file={at.pki / 'ca.crt'}",
        f"--cluster-signing-cert-file={at.pki / 'ca.crt'}",
        f"--cluster-signing-key-file={at.pki / 'ca.key'}",
        f"--service-account-private-key-file={at.pki / 'sa.key'}",
        "--use-service-account-credentials=true",
        f"--service-cluster-ip-range={SERVICE_CIDR}",
        "--leader-elect=false",
        *extra,
    ]


def scheduler_command(at: ControlPlaneEndpoints) -> list[str]:
    """The scheduler's command line, without a server port."""
    kubeconfig = at.pki / "scheduler.kubeconfig"
    return ["kube-scheduler", f"--kubeconfig={kubeconfig}", "--secure-port=0", "--leader-elect=false"]
