"""Attempts to communicate, from inside a pod: TCP, UDP, DNS and ICMP, over IPv4 and IPv6; and pods that answer them.

Input: a pod with Python. Output: whether each attempt got a response.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import NamedTuple

from tests.kube import Kube, Object

PORT = 9000
"""The port, of TCP and UDP, of pods that answer."""
ANSWER = f"""
import socket, threading
udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
udp.bind(("::", {PORT}))
def echo():
    while True:
        udp.sendto(*udp.recvfrom(2048))
threading.Thread(target=echo, daemon=True).start()
tcp = socket.create_server(("::", {PORT}), family=socket.AF_INET6, dualstack_ipv6=True, backlog=64)
while True:
    tcp.accept()[0].close()
"""
_ATTEMPT = r"""
import json, socket, struct, sys
from concurrent.futures import ThreadPoolExecutor
name = b"".join(bytes([len(part)]) + part for part in b"kubernetes.default.svc.cluster.local".split(b"."))
query = struct.pack("!6H", 7, 0x100, 1, 0, 0, 0) + name + b"\0" + struct.pack("!2H", 1, 1)
def attempt(protocol, host, port):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    kind = socket.SOCK_STREAM if protocol in ("tcp", "dns over tcp") else socket.SOCK_DGRAM
    number, content = 0, {"tcp": b"", "udp": b"ping", "dns": query}.get(protocol, struct.pack("!H", len(query)) + query)
    if protocol == "icmp":
        number = socket.IPPROTO_ICMPV6 if ":" in host else socket.IPPROTO_ICMP
        content = struct.pack("!2B3H", 128 if ":" in host else 8, 0, 0, 0, 1) + b"ping"
    with socket.socket(family, kind, number) as opened:
        opened.settimeout(2)
        target = socket.getaddrinfo(host, port, family, kind)[0][4]
        if kind == socket.SOCK_STREAM:
            opened.connect(target)
            opened.sendall(content)
        else:
            opened.sendto(content, target)  # Not connected: a node may answer from another of its addresses.
        if content and not opened.recv(2048):
            raise OSError("closed")
def outcome(each):
    try:
        attempt(*each)
    except OSError as error:
        return f"{type(error).__name__}: {error}"
    return ""
with ThreadPoolExecutor(32) as pool:
    print(json.dumps(list(pool.map(outcome, json.loads(sys.argv[1])))))
"""


class Attempt(NamedTuple):
    """`protocol` is tcp, udp, dns, dns over tcp, or icmp."""

    protocol: str
    host: str
    port: int = 0


def answered(kube: Kube, pod: str, attempts: Iterable[Attempt], *, container: str = "client") -> dict[Attempt, str]:
    """The attempts, all made at the same time, and the error of each that got no response, otherwise ""."""
    each = list(attempts)
    output = kube.run("exec", pod, "-c", container, "--", "python3", "-c", _ATTEMPT, json.dumps(each))
    return dict(zip(each, json.loads(output), strict=True))


def reaches(kube: Kube, pod: str, address: str, ports: Iterable[int], *, container: str = "client") -> set[int]:
    """The TCP ports of an address to which the pod can connect."""
    attempts = [Attempt("tcp", address, port) for port in ports]
    return {each.port for each, error in answered(kube, pod, attempts, container=container).items() if not error}


def answering_pod(image: str, *, host_network: bool = False) -> Object:
    """Return the pod `client`, which answers on PORT; `image` is the operator's, which has Python."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "client"},
        "spec": {
            "hostNetwork": host_network,
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 1000,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "client",
                    "image": image,
                    "command": ["python3", "-c", ANSWER],
                    "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1},
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                }
            ],
        },
    }
