"""Check from inside a pod whether it can open a TCP connection."""

from __future__ import annotations

from tests.kube import Kube

_CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=3).close()
except OSError as error:
    print("blocked", error)
else:
    print("open")
"""


def reaches(kube: Kube, pod: str, address: str, port: int, *, container: str = "client") -> bool:
    """Whether `container`, which needs Python, can connect to the port."""
    output = kube.run("exec", pod, "-c", container, "--", "python3", "-c", _CONNECT, address, str(port))
    assert output.startswith(("open", "blocked")), output
    return output.startswith("open")
