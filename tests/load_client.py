"""Generate load for a model over HTTP, with only the standard library, so that it runs in any pod with Python.

    load_client.py ADDRESS:PORT MODEL INPUT SHAPE CONNECTIONS SECONDS

Input: the address, the request (one FP32 input of zeros; SHAPE such as 1,1,28,28) and the load. Output: a line of JSON
with requests per second and latencies in milliseconds. Each connection sends its next request after the response. The
first second is not measured. A request costs the client about 40 µs, so it can saturate a server on the same machine.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import time
from math import prod

WARM_SECONDS = 1.0


class Connection:
    """One socket, with the time of its request and the received part of the response."""

    def __init__(self, address: tuple[str, int], request: bytes) -> None:
        """Connect."""
        self.socket = socket.create_connection(address, timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._request, self._answer = request, b""
        self.sent_at = 0.0

    def send(self) -> None:
        """Send the next request."""
        self._answer = b""
        self.sent_at = time.perf_counter()
        self.socket.sendall(self._request)

    def read(self) -> bool:
        """Receive data, and return whether the response is complete. Raises OSError for an error response."""
        part = self.socket.recv(65536)
        if not part:
            raise ConnectionError("the server closed the connection")
        self._answer += part
        head, separator, body = self._answer.partition(b"\r\n\r\n")
        if not separator:
            return False
        if not head.startswith(b"HTTP/1.1 200"):
            raise ConnectionError(self._answer[:500].decode(errors="replace"))
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        return len(body) >= int(length.partition(b":")[2])


def build_request(host: str, model: str, name: str, shape: list[int]) -> bytes:
    """A request with its tensor as binary data after the JSON."""
    data = bytes(4 * prod(shape))
    tensor = {"name": name, "shape": shape, "datatype": "FP32", "parameters": {"binary_data_size": len(data)}}
    header = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    lines = [
        f"POST /v2/models/{model}/infer HTTP/1.1",
        f"Host: {host}",
        f"Inference-Header-Content-Length: {len(header)}",
        f"Content-Length: {len(header) + len(data)}",
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + header + data


def run(address: tuple[str, int], request: bytes, connections: int, seconds: float) -> list[float]:
    """Latencies in seconds of all requests that were sent and answered during the measurement."""
    selector = selectors.DefaultSelector()
    for _ in range(connections):
        connection = Connection(address, request)
        selector.register(connection.socket, selectors.EVENT_READ, connection)
        connection.send()
    begin = time.perf_counter() + WARM_SECONDS
    end = begin + seconds
    latencies: list[float] = []
    while (now := time.perf_counter()) < end:
        for key, _ in selector.select(timeout=1):
            connection = key.data
            if connection.read():
                if connection.sent_at >= begin:
                    latencies.append(time.perf_counter() - connection.sent_at)
                connection.send()
        if now > end + WARM_SECONDS:
            break
    return sorted(latencies)


def main() -> None:
    """Print the figures."""
    where, model, name, shape, connections, seconds = sys.argv[1:]
    host, _, port = where.rpartition(":")
    request = build_request(host, model, name, [int(size) for size in shape.split(",")])
    latencies = run((host, int(port)), request, int(connections), float(seconds))
    if not latencies:
        raise SystemExit("no response during the measurement")
    at = {f"p{percent}": round(latencies[int(len(latencies) * percent / 100)] * 1000, 2) for percent in (50, 99)}
    print(json.dumps({"requests": len(latencies), "rps": round(len(latencies) / float(seconds)), **at}))


if __name__ == "__main__":
    main()
