"""Write kubeconfig files, which contain the address of a cluster and the credentials of a user.

Input: an address and PEM files. Output: one self-contained file that only its owner can read. The control plane and the
native node call it.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from hack.cache import give_to_invoker

if TYPE_CHECKING:
    from pathlib import Path


def write_kubeconfig(path: Path, server: str, pki: Path, user: str) -> None:
    """Write a kubeconfig that presents the certificate `<pki>/<user>.crt` to `server`, an https URL."""
    credentials = {
        "client-certificate-data": _encoded(pki / f"{user}.crt"),
        "client-key-data": _encoded(pki / f"{user}.key"),
    }
    _write(path, server, pki, user, credentials)


def write_token_kubeconfig(path: Path, server: str, pki: Path, user: str, token: str) -> None:
    """Write a kubeconfig that presents a bearer token, such as a service account's, to `server`."""
    _write(path, server, pki, user, {"token": token})


def _write(path: Path, server: str, pki: Path, user: str, credentials: dict[str, str]) -> None:
    content = _content(server, _encoded(pki / "ca.crt"), user, credentials)
    path.touch(mode=0o600)
    path.write_text(json.dumps(content, indent=2))
    give_to_invoker(path)


def _content(server: str, authority: str, user: str, credentials: dict[str, str]) -> dict[str, Any]:
    name = "triton-operator"
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": server, "certificate-authority-data": authority}}],
        "users": [{"name": user, "user": credentials}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": user}}],
        "current-context": name,
    }


def _encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
