"""Run h2load, the load generator of nghttp2, over HTTP/1.1 and gRPC, with and without TLS.

Input: an address, a prepared request and the number of requests in flight. Output: requests per second and the median
latency. A run has a fixed number of requests and ends after the last response, because Triton before 25.04 crashes if a
client leaves with gRPC calls in flight. h2load does not read the status of a gRPC call, so the caller must count the
successful inferences.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
from pathlib import Path
from typing import NamedTuple

from hack.programs import debian

TIMEOUT_SECONDS = 60
_WARM_SHARE = 0.1
"""Share of the requests, in the order of their start, that is not part of the result: handshakes and cold caches."""


class Request(NamedTuple):
    """A prepared request: the path, the headers and a file with the body. `grpc` selects HTTP/2."""

    path: str
    headers: tuple[str, ...]
    body: Path
    grpc: bool


class Load(NamedTuple):
    """The result of one run; `median` is in milliseconds."""

    per_second: float
    median: float


def run(address: str, request: Request, count: int, in_flight: int, log: Path) -> Load:
    """Send `count` requests to `address`, such as `https://127.0.0.1:8443`.

    HTTP/1.1 uses one connection per request in flight, and gRPC uses streams of one connection. Raises AssertionError
    unless all requests are answered with status 200.
    """
    protocol = ["--clients=1", f"--max-concurrent-streams={in_flight}"] if request.grpc else [f"--clients={in_flight}"]
    if not request.grpc:
        protocol.append("--h1")
    log.unlink(missing_ok=True)
    root = debian.unpacked("nghttp2-client")
    command = [
        str(root / "usr" / "bin" / "h2load"),
        f"--requests={count}",
        "--threads=1",
        *protocol,
        f"--data={request.body}",
        *(f"--header={header}" for header in request.headers),
        f"--log-file={log}",
        address + request.path,
    ]
    environment = {**os.environ, "LD_LIBRARY_PATH": debian.library_path(root)}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"status codes: {count} 2xx, 0 3xx, 0 4xx, 0 5xx" in done.stdout, done.stdout
    if address.startswith("https:"):
        assert re.search(r"^TLS Protocol: TLSv1\.3$", done.stdout, re.MULTILINE), done.stdout
    return measured(log.read_text())


def measured(log: str) -> Load:
    """Read the log: a line per request with the start in µs, the status, and the duration in µs, separated by tabs."""
    requests = sorted((int(start), int(took)) for start, _, took in (line.split("\t") for line in log.splitlines()))
    kept = requests[int(len(requests) * _WARM_SHARE) :]
    elapsed = max(start + took for start, took in kept) - kept[0][0]
    return Load(len(kept) / elapsed * 1e6, statistics.median(took for _, took in kept) / 1000)
