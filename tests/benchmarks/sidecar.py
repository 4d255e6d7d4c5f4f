"""Start the TLS sidecar of a serving pod in front of a Triton on loopback.

Input: the addresses of Triton, a folder, and the public key of a token issuer. Output: the address of a listener for
HTTP/1.1 and gRPC with TLS 1.3, and the process id. With a key, each request needs a token of the issuer.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from hack.cluster import debian
from hack.cluster.pki import Authority, Subject
from tests.benchmarks.tokens import AUDIENCE, ISSUER, SUBJECT
from triton_operator.local.ports import ADDRESS, choose_ports

_CONFIGURATION = """
global
  nbthread 1
  ssl-default-bind-options ssl-min-ver TLSv1.3
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  timeout http-keep-alive 60s
frontend https
  bind {address}:{port} ssl crt {certificate} alpn h2,http/1.1
  {rules}
  use_backend grpc if {{ req.hdr(content-type) -m beg application/grpc }}
  default_backend http
backend http
  http-reuse always
  server triton {http}
backend grpc
  http-reuse always
  server triton {grpc} proto h2
"""

_TOKEN_RULES = f"""
  http-request set-var(txn.token) http_auth_bearer
  http-request set-var(txn.alg) var(txn.token),jwt_header_query('$.alg')
  http-request set-var(txn.iss) var(txn.token),jwt_payload_query('$.iss')
  http-request set-var(txn.sub) var(txn.token),jwt_payload_query('$.sub')
  http-request set-var(txn.aud) var(txn.token),jwt_payload_query('$.aud[0]')
  http-request set-var(txn.exp) var(txn.token),jwt_payload_query('$.exp','int')
  http-request set-var(txn.now) date()
  http-request deny deny_status 401 unless {{ var(txn.alg) -m str RS256 }}
  http-request deny deny_status 401 unless {{ var(txn.iss) -m str {ISSUER} }}
  http-request deny deny_status 401 unless {{ var(txn.sub) -m str {SUBJECT} }}
  http-request deny deny_status 401 unless {{ var(txn.aud) -m str {AUDIENCE} }}
  http-request deny deny_status 401 if {{ var(txn.exp),sub(txn.now) -m int lt 0 }}
  http-request deny deny_status 401 unless {{ var(txn.token),jwt_verify(txn.alg,"@KEY@") 1 }}
"""


_START_SECONDS = 30


class Sidecar(NamedTuple):
    """A running sidecar; `pid` is the process whose descendants belong to it."""

    address: str
    pid: int


@contextmanager
def sidecar(folder: Path, http: str, grpc: str, key: str = "") -> Iterator[Sidecar]:
    """Run a sidecar; `key` is the public key of tokens, "" if no token is required."""
    folder.mkdir()
    Authority(folder).issue("server", Subject("triton", hosts=("localhost",), addresses=(ADDRESS,)))
    certificate = folder / "server.pem"
    certificate.write_bytes((folder / "server.crt").read_bytes() + (folder / "server.key").read_bytes())
    port = choose_ports().http
    file = folder / "haproxy.cfg"
    (folder / "token.pem").write_text(key)
    rules = _TOKEN_RULES.replace("@KEY@", str(folder / "token.pem")) if key else ""
    file.write_text(
        _CONFIGURATION.format(address=ADDRESS, port=port, certificate=certificate, rules=rules, http=http, grpc=grpc)
    )
    root = debian.unpacked("haproxy")
    environment = {**os.environ, "LD_LIBRARY_PATH": debian.library_path(root)}
    command = [str(root / "usr" / "sbin" / "haproxy"), "-W", "-db", "-f", str(file)]
    with subprocess.Popen(command, env=environment) as process:
        try:
            _wait_until_it_listens(process, port)
            yield Sidecar(f"https://{ADDRESS}:{port}", process.pid)
        finally:
            process.terminate()


def _wait_until_it_listens(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            socket.create_connection((ADDRESS, port), 1).close()
        except ConnectionRefusedError:
            assert process.poll() is None, "the sidecar has ended"
            assert time.monotonic() < deadline, "the sidecar does not listen"
            time.sleep(0.05)
        else:
            return
