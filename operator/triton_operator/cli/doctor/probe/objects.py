"""The objects of the probe: two pods, the policies between them, and the ConfigMap with the result.

Pure. Input: names, an image and addresses. Output: manifests. All others are owned by the first pod, so that its
deletion removes everything. Both pods end after ten minutes, in case nobody can delete them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from triton_operator.api.names import GROUP, NETWORK_PROBE
from triton_operator.api.network_probe import RESULT_KEY, NetworkProbe, encode

Object = dict[str, Any]

CONTAINER = "probe"
LABEL = f"{GROUP}/network-probe"
"""On all objects of one run: its ID."""
LABEL_ROLE = f"{GROUP}/network-probe-role"

SERVER, CLIENT = "server", "client"
OPEN, BLOCKED = "open", "blocked"
"""The lines that the client prints."""

_PORT = 8080
_LIFE_SECONDS = 600
_UID = 65532
_LISTEN = f"""
import socket
dual = socket.has_dualstack_ipv6()
family = socket.AF_INET6 if dual else socket.AF_INET
server = socket.create_server(("", {_PORT}), family=family, dualstack_ipv6=dual)
while True:
    server.accept()[0].close()
"""
_CONNECT = f"""
import socket, sys, time
while True:
    try:
        socket.create_connection((sys.argv[1], {_PORT}), timeout=1).close()
        print("{OPEN}", flush=True)
    except OSError:
        print("{BLOCKED}", flush=True)
    time.sleep(0.3)
"""


@dataclass(frozen=True)
class ProbeObjects:
    """The objects of one run, with the ID `run`; the image needs `python3`."""

    run: str
    image: str
    pull_secrets: Sequence[Object] = ()

    def name(self, role: str) -> str:
        """Name of a pod, and of the policy that selects it."""
        return f"triton-operator-probe-{self.run}-{role}"

    def server(self) -> Object:
        """The pod that accepts connections."""
        return self._pod(SERVER, ["python3", "-c", _LISTEN], owner=None)

    def client(self, address: str, owner: Object) -> Object:
        """The pod that connects to `address` repeatedly, on a node other than the server's if possible."""
        term = {"labelSelector": {"matchLabels": {LABEL: self.run}}, "topologyKey": "kubernetes.io/hostname"}
        preferred = [{"weight": 1, "podAffinityTerm": term}]
        pod = self._pod(CLIENT, ["python3", "-c", _CONNECT, address], owner=owner)
        pod["spec"]["affinity"] = {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}
        return pod

    def policy(self, role: str, owner: Object) -> Object:
        """A policy that forbids connections to the server, or connections of the client."""
        return {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": self._metadata(role, owner),
            "spec": {
                "podSelector": {"matchLabels": {LABEL: self.run, LABEL_ROLE: role}},
                "policyTypes": ["Ingress" if role == SERVER else "Egress"],
            },
        }

    def _pod(self, role: str, command: list[str], owner: Object | None) -> Object:
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": self._metadata(role, owner),
            "spec": {
                "activeDeadlineSeconds": _LIFE_SECONDS,
                "automountServiceAccountToken": False,
                "enableServiceLinks": False,
                "restartPolicy": "Never",
                "terminationGracePeriodSeconds": 0,
                "imagePullSecrets": list(self.pull_secrets),
                "securityContext": {
                    "runAsNonRoot": True,
                    "runAsUser": _UID,
                    "runAsGroup": _UID,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [
                    {
                        "name": CONTAINER,
                        "image": self.image,
                        "command": command,
                        "resources": {
                            "requests": {"cpu": "10m", "memory": "32Mi"},
                            "limits": {"cpu": "100m", "memory": "64Mi"},
                        },
                        "securityContext": {
                            "allowPrivilegeEscalation": False,
                            "capabilities": {"drop": ["ALL"]},
                            "readOnlyRootFilesystem": True,
                        },
                    }
                ],
            },
        }

    def _metadata(self, role: str, owner: Object | None) -> Object:
        metadata: Object = {"name": self.name(role), "labels": {LABEL: self.run, LABEL_ROLE: role}}
        if owner:
            name, uid = owner["metadata"]["name"], owner["metadata"]["uid"]
            metadata["ownerReferences"] = [{"apiVersion": "v1", "kind": "Pod", "name": name, "uid": uid}]
        return metadata


def record(probe: NetworkProbe) -> Object:
    """The ConfigMap that the operator reads."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": NETWORK_PROBE},
        "data": {RESULT_KEY: encode(probe)},
    }
