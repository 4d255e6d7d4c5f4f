"""Ports on loopback for one server: the usual ones where they are free.

Input: what the user asked for. Output: three different ports that nobody listened on a moment ago. Somebody may
take one before the server does, which `server` then tells by PortTaken.
"""

from __future__ import annotations

import itertools
import socket
from typing import NamedTuple

from triton_operator.api.names import PORT_GRPC, PORT_HTTP, PORT_METRICS
from triton_operator.local.errors import UnsupportedMachineError

ADDRESS = "127.0.0.1"


class Ports(NamedTuple):
    """Where a server listens."""

    http: int
    grpc: int
    metrics: int


def choose_ports(http: int = 0, grpc: int = 0, metrics: int = 0) -> Ports:
    """Ports that are free; 0 leaves the choice. Raises UnsupportedMachineError when one that was asked for is taken."""
    asked = {"--http-port": http, "--grpc-port": grpc, "--metrics-port": metrics}
    for (one, port), (other, same) in itertools.combinations(asked.items(), 2):
        if port and port == same:
            raise UnsupportedMachineError(f"{one} and {other} are both {port}; give two different ones")
    for option, port in asked.items():
        if port and not is_free(port):
            raise UnsupportedMachineError(f"{option}={port}: another program listens there; give another one, or none")
    first = http or _free(PORT_HTTP, {grpc, metrics})
    second = grpc or _free(PORT_GRPC, {first, metrics})
    return Ports(first, second, metrics or _free(PORT_METRICS, {first, second}))


def is_free(port: int) -> bool:
    """Whether a server could listen there; one that ended a moment ago is not in the way."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ADDRESS, port))
        except OSError:
            return False
    return True


def _free(usual: int, taken: set[int]) -> int:
    while usual in taken or not is_free(usual):
        with socket.socket() as probe:
            probe.bind((ADDRESS, 0))
            usual = probe.getsockname()[1]
    return usual
