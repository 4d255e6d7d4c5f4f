"""Choose the loopback ports of one server: the default ports if they are free.

Input: the requested ports. Output: three different ports that were free when they were checked. If another program
takes one before the server does, `server` raises PortTakenError.
"""

from __future__ import annotations

import itertools
import socket
from typing import NamedTuple

from triton_operator.api.names import PORT_GRPC, PORT_HTTP, PORT_METRICS
from triton_operator.local.errors import UnsupportedMachineError

ADDRESS = "127.0.0.1"


class Ports(NamedTuple):
    """The ports that a server listens on."""

    http: int
    grpc: int
    metrics: int


def choose_ports(http: int = 0, grpc: int = 0, metrics: int = 0) -> Ports:
    """Choose free ports; 0 selects a port automatically. Raises UnsupportedMachineError if a requested port is used."""
    requested = {"--http-port": http, "--grpc-port": grpc, "--metrics-port": metrics}
    for (one, port), (other, same) in itertools.combinations(requested.items(), 2):
        if port and port == same:
            raise UnsupportedMachineError(f"{one} and {other} are both {port}; use different ports")
    for option, port in requested.items():
        if port and not is_free(port):
            raise UnsupportedMachineError(
                f"{option}={port}: another program listens on this port; use another port or omit the option"
            )
    first = http or _free(PORT_HTTP, {grpc, metrics})
    second = grpc or _free(PORT_GRPC, {first, metrics})
    return Ports(first, second, metrics or _free(PORT_METRICS, {first, second}))


def is_free(port: int) -> bool:
    """Whether a server can listen on the port; sockets in TIME_WAIT do not prevent it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ADDRESS, port))
        except OSError:
            return False
    return True


def _free(port: int, taken: set[int]) -> int:
    while port in taken or not is_free(port):
        with socket.socket() as probe:
            probe.bind((ADDRESS, 0))
            port = probe.getsockname()[1]
    return port
