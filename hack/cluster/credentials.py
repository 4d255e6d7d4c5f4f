"""Create the certificates and kubeconfigs of a control plane.

Input: its endpoints. Output: the files that `commands` refers to. `controlplane` and the native node call it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hack.cluster import pki
from hack.cluster.commands import API_CLUSTER_IP, API_HOSTS
from hack.cluster.kubeconfig import write_kubeconfig

if TYPE_CHECKING:
    from hack.cluster.commands import ControlPlaneEndpoints

ADMIN = pki.CertificateSubject("triton-operator-admin", groups=("system:masters",))
USERS = {
    "admin": ADMIN,
    "controller-manager": pki.CertificateSubject("system:kube-controller-manager"),
    "scheduler": pki.CertificateSubject("system:kube-scheduler"),
}


def write_control_plane_files(at: ControlPlaneEndpoints, server: str) -> pki.ClusterAuthority:
    """Create the folder, a CA, and all files that the control plane's command lines refer to.

    `server` is the https URL that the control plane's programs use for the API server.
    """
    at.pki.mkdir(parents=True, mode=0o700)
    authority = pki.ClusterAuthority(at.pki)
    addresses = sorted({"127.0.0.1", at.address, API_CLUSTER_IP})
    authority.issue("apiserver", pki.CertificateSubject("kube-apiserver", hosts=API_HOSTS, addresses=addresses))
    authority.issue("etcd", pki.CertificateSubject("etcd", hosts=("localhost",), addresses=("127.0.0.1",)))
    authority.issue("front-proxy", pki.CertificateSubject("front-proxy"))
    pki.write_signing_pair(at.pki, "sa")
    for name, subject in USERS.items():
        authority.issue(name, subject)
        write_kubeconfig(at.pki / f"{name}.kubeconfig", server, at.pki, name)
    return authority
