"""Read the mounted files: the policy, the serving certificate and its key.

Input: two folders, which the kubelet updates by replacing the link `..data`. Output: the content of the files of one
moment, and whether it differs from an earlier one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from triton_operator.proxy.errors import ProxyError
from triton_operator.triton.proxy_contract import policy as contract

_DATA = "..data"


@dataclass(frozen=True)
class Inputs:
    """The content of the mounted files."""

    policy: bytes
    certificate: bytes
    key: bytes


def read_inputs(policy_folder: Path, tls_folder: Path) -> Inputs:
    """Read the files; raises ProxyError if one is missing."""
    tls = _version(tls_folder)
    return Inputs(
        _content(_version(policy_folder) / contract.POLICY_FILE, "the policy"),
        _content(tls / contract.CERTIFICATE_FILE, "the serving certificate"),
        _content(tls / contract.PRIVATE_KEY_FILE, "the key of the serving certificate"),
    )


def _version(folder: Path) -> Path:
    """The folder that `..data` points to, so that a certificate and its key are of the same version."""
    return (folder / _DATA).resolve() if (folder / _DATA).is_symlink() else folder


def _content(path: Path, description: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ProxyError(f"{description} is missing: {path.name}") from None
    except OSError as error:
        raise ProxyError(f"{description} cannot be read: {error.strerror}") from error
