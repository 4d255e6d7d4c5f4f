"""Addresses, paths and sizes that the configuration of HAProxy depends on, besides the policy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from triton_operator.api import names
from triton_operator.triton.proxy_contract.policy import WORK_DIR


@dataclass(frozen=True)
class Placement:
    """Where HAProxy listens, where Triton does, and the folder for rendered files.

    Addresses have the syntax of HAProxy: `*` is every IPv4 address. A client that sends nothing for `silence_seconds`
    when it should, or reads nothing, is disconnected. When the pod ends, requests have `drain_seconds` to finish.
    """

    https: str = f"*:{names.PORT_HTTPS}"
    health: str = f"*:{names.PORT_HEALTH}"
    triton_http: str = f"127.0.0.1:{names.PORT_HTTP}"
    triton_grpc: str = f"127.0.0.1:{names.PORT_GRPC}"
    folder: Path = Path(WORK_DIR)
    threads: int = 1
    max_connections: int = 4096
    silence_seconds: int = 30
    drain_seconds: int = 30

    @property
    def pem(self) -> Path:
        """The file with the serving certificate, its chain and its key."""
        return self.folder / "serving.pem"
