"""Define the node's programs, their command lines and their dependencies; pure.

Input: the layout and the folder of programs. Output: components in start order. The supervisor calls it.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hack.cluster import commands
from hack.cluster.native.layout import API_PORT, CONTAINERD_SOCKET, NODE_ADDRESS, NODE_NAME

if TYPE_CHECKING:
    from pathlib import Path

    from hack.cluster.native.layout import Layout

API_TARGET = f"{NODE_ADDRESS}:{API_PORT}"


@dataclass(frozen=True)
class Component:
    """One supervised program.

    `after` names the components that must be ready before this one starts. `gate` determines when this component is
    ready: it accepts a connection at "address:port" or at the path of a Unix socket, or the API server at the https URL
    reports that it is ready. It is None if no component waits for this one. `keeps` is an open file descriptor that the
    program inherits.
    """

    name: str
    command: tuple[str, ...]
    after: tuple[str, ...] = ()
    gate: str | None = None
    keeps: int | None = None


def node_components(layout: Layout, programs: Path, listener: int) -> list[Component]:
    """Return all components; `listener` is the machine's socket that receives API requests."""
    at = layout.endpoints
    components = [
        Component("etcd", _words(commands.etcd_command(at)), gate=f"127.0.0.1:{at.etcd_port}"),
        Component(
            "containerd",
            ("containerd", f"--config={layout.config / 'containerd.toml'}", "--log-level=warn"),
            gate=CONTAINERD_SOCKET,
        ),
        Component(
            "kube-apiserver",
            _words(commands.apiserver_command(at, _apiserver_words(layout))),
            after=("etcd",),
            gate=f"https://{API_TARGET}",
        ),
        Component("api-forwarder", _forwarder(listener), keeps=listener),
        Component(
            "kube-controller-manager",
            _words(commands.controller_manager_command(at, _controller_words())),
            after=("kube-apiserver",),
        ),
        Component("kube-scheduler", _words(commands.scheduler_command(at)), after=("kube-apiserver",)),
        Component("kubelet", _kubelet(layout), after=("kube-apiserver", "containerd")),
        Component(
            "kube-proxy", ("kube-proxy", f"--config={layout.config / 'kube-proxy.json'}"), after=("kube-apiserver",)
        ),
    ]
    if (programs / "netpol").exists():
        components.append(Component("netpol", _policy_enforcer(layout, programs), after=("kube-apiserver",)))
    return components


def _words(command: list[str]) -> tuple[str, ...]:
    return tuple(command)


def _apiserver_words(layout: Layout) -> tuple[str, ...]:
    pki = layout.endpoints.pki
    return (
        "--enable-admission-plugins=NodeRestriction",
        f"--kubelet-client-certificate={pki / 'apiserver-kubelet-client.crt'}",
        f"--kubelet-client-key={pki / 'apiserver-kubelet-client.key'}",
        f"--kubelet-certificate-authority={pki / 'ca.crt'}",
        "--kubelet-preferred-address-types=InternalIP",
    )


def _controller_words() -> tuple[str, ...]:
    # Autoscalers decide more often than every 15 seconds, because tests wait for them.
    autoscalers = "--horizontal-pod-autoscaler-sync-period=5s"
    return ("--allocate-node-cidrs=true", f"--cluster-cidr={commands.POD_CIDR}", autoscalers)


def _kubelet(layout: Layout) -> tuple[str, ...]:
    return (
        "kubelet",
        f"--config={layout.config / 'kubelet.json'}",
        f"--kubeconfig={layout.endpoints.pki / 'kubelet.kubeconfig'}",
        f"--hostname-override={NODE_NAME}",
        f"--node-ip={NODE_ADDRESS}",
        "--root-dir=/var/lib/kubelet",
        # Measure the usage of containers more often than every 10 seconds, as for the autoscalers.
        "--housekeeping-interval=5s",
    )


def _policy_enforcer(layout: Layout, programs: Path) -> tuple[str, ...]:
    kubeconfig = layout.endpoints.pki / "netpol.kubeconfig"
    return ("netpol", "--kubeconfig", str(kubeconfig), "--nft", str(programs / "nft"))


def _forwarder(listener: int) -> tuple[str, ...]:
    return (sys.executable, "-m", "hack.cluster.native.forwarder", str(listener), API_TARGET)
