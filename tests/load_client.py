"""Load for a model over HTTP, from one process without any library: it runs in a pod that has nothing but Python.

    load_client.py ADDRESS:PORT MODEL INPUT SHAPE CONNECTIONS SECONDS

Input: where, what (one FP32 input of zeros; SHAPE as 1,1,28,28) and how hard. Output: one line of JSON with requests a
second and latencies in milliseconds. Each connection sends its next request when it has its answer; the first second
does not count. A request costs the client some 40 µs, so that it can keep a server busy that shares its machine.
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
    """One socket, with the time of its request and what has come back so far."""

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
        """Take what has come; whether the answer is complete. Raises OSError on a refusal."""
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
    """One request with its tensor as bytes behind the JSON."""
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
    """Latencies in seconds of all requests that were sent and answered in the time that counts."""
    selector = selectors.DefaultSelector()
    for _ in range(connections):
        connection = Connection(address, request)
        selector.register(connection.socket, selectors.EVENT_READ, connection)
        connection.send()
    begin = time.perf_counter() + WARM_SECONDS
    end = begin + seconds
    found: list[float] = []
    while (now := time.perf_counter()) < end:
        for key, _ in selector.select(timeout=1):
            connection = key.data
            if connection.read():
                if connection.sent_at >= begin:
                    found.append(time.perf_counter() - connection.sent_at)
                connection.send()
        if now > end + WARM_SECONDS:
            break
    return sorted(found)


def main() -> None:
    """Print the figures."""
    where, model, name, shape, connections, seconds = sys.argv[1:]
    host, _, port = where.rpartition(":")
    request = build_request(host, model, name, [int(size) for size in shape.split(",")])
    found = run((host, int(port)), request, int(connections), float(seconds))
    if not found:
        raise SystemExit("no answer in the time that counts")
    at = {f"p{percent}": round(found[int(len(found) * percent / 100)] * 1000, 2) for percent in (50, 99)}
    print(json.dumps({"requests": len(found), "rps": round(len(found) / float(seconds)), **at}))


if __name__ == "__main__":
    main()
