"""Run the sidecar `proxy` in front of a Triton on loopback, as a serving pod does.

Input: the addresses of Triton, a folder, and the policy. Output: the address of its TLS listener and its process id.
The audit log is written to a file, because a reader in this process would use CPU time of the server.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from hack.images import haproxy
from tests.benchmarks.tokens import AUDIENCE, ISSUER, KEY_ID, SUBJECT
from tests.proxy.certificates import Authority
from tests.proxy.running_proxy import wait_for_port
from triton_operator.local.ports import ADDRESS, choose_ports
from triton_operator.triton.proxy_contract.policy import (
    CERTIFICATE_FILE,
    POLICY_FILE,
    PRIVATE_KEY_FILE,
    Caller,
    Claim,
    Issuer,
    ProxyPolicy,
    PublicKey,
    TokenRule,
    encode,
)

OPEN = ProxyPolicy()
"""Admits everybody."""


class Sidecar(NamedTuple):
    """A running sidecar; its supervisor is the process `pid`, and HAProxy a descendant of it."""

    address: str
    pid: int


def token_policy(public_key: str) -> ProxyPolicy:
    """Admit the ServiceAccount of `tokens` only, whose issuer has this key."""
    rule = TokenRule(ISSUER, (AUDIENCE,), (Claim("sub", SUBJECT),))
    issuer = Issuer(ISSUER, (PublicKey(KEY_ID, "RS256", public_key),))
    return ProxyPolicy(callers=(Caller("caller", token=rule),), issuers=(issuer,))


@contextmanager
def sidecar(folder: Path, http: str, grpc: str, policy: ProxyPolicy = OPEN) -> Iterator[Sidecar]:
    """Run a sidecar until the block ends; `http` and `grpc` are the addresses of Triton."""
    ports = choose_ports()
    options = _write_files(folder, policy) | {
        "--https": f"{ADDRESS}:{ports.http}",
        "--health": f"{ADDRESS}:{ports.grpc}",
        "--triton-http": http,
        "--triton-grpc": grpc,
        "--haproxy": str(haproxy.ensure() / "sbin" / "haproxy"),
    }
    command = [sys.executable, "-m", "triton_operator.proxy", *(word for pair in options.items() for word in pair)]
    with (folder / "audit.log").open("wb") as log, subprocess.Popen(command, stdout=log) as process:
        try:
            wait_for_port(ports.http)
            yield Sidecar(f"https://{ADDRESS}:{ports.http}", process.pid)
        finally:
            process.terminate()


def _write_files(folder: Path, policy: ProxyPolicy) -> dict[str, str]:
    """Write what a pod mounts, and return the options with the paths."""
    for name in ("policy", "tls", "work"):
        (folder / name).mkdir(parents=True)
    pair = Authority().issue()
    (folder / "policy" / POLICY_FILE).write_text(encode(policy))
    (folder / "tls" / CERTIFICATE_FILE).write_bytes(pair.certificate)
    (folder / "tls" / PRIVATE_KEY_FILE).write_bytes(pair.key)
    paths = {f"--{name}": str(folder / name) for name in ("policy", "tls", "work")}
    return {**paths, "--termination-log": str(folder / "termination-log")}
