"""Check the serving certificate: its validity and its names, which HAProxy does not check, and its key.

Input: a PEM file with a key, whose first certificate is the serving one, and the names that clients use. Output: a
problem or nothing. The check runs in a process of its own, because the library takes 15 MB of memory, and the
supervisor runs for months.
"""

from __future__ import annotations

import ssl
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from triton_operator.proxy.errors import ProxyError

_SECONDS = 30
_SHOWN = 3
"""Names in a message."""


def check_certificate(pem: Path, names: Sequence[str]) -> None:
    """Raise ProxyError if clients would reject the certificate."""
    command = [sys.executable, "-m", __name__, str(pem), *names]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        raise ProxyError(f"the serving certificate was not checked within {_SECONDS} s") from None
    if done.returncode or done.stdout:
        problem = done.stdout.strip() or (done.stderr.strip().splitlines() or [""])[-1]
        raise ProxyError(f"the serving certificate {problem}")


def find_problem(pem: bytes, names: Sequence[str], now: datetime) -> str:
    """What is wrong with the first certificate; "" if nothing is."""
    from cryptography import x509

    try:
        certificate = x509.load_pem_x509_certificates(pem)[0]
        alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        own = [str(name) for name in alternative.get_values_for_type(x509.DNSName)]
        own += [str(address) for address in alternative.get_values_for_type(x509.IPAddress)]
    except x509.ExtensionNotFound:
        own = []
    except (ValueError, IndexError) as error:
        return f"cannot be read: {error}"
    if certificate.not_valid_after_utc <= now:
        return f"expired at {certificate.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}"
    if names and not any(_matches(pattern, name) for pattern in own for name in names):
        return f"is for {', '.join(own) or 'no name'}; expected {_enumerate(names)}"
    return ""


def find_key_problem(pem: Path) -> str:
    """What is wrong with the key of the first certificate; "" if nothing is."""
    try:
        # An encrypted key must not ask for a password.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(pem, password="")
    except ssl.SSLError as error:
        return "does not match its key" if error.reason == "KEY_VALUES_MISMATCH" else "has a key that cannot be read"
    return ""


def _enumerate(names: Sequence[str]) -> str:
    shown = [*names[:_SHOWN], *([f"{len(names) - _SHOWN} others"] if len(names) > _SHOWN else [])]
    return " or ".join(shown)


def _matches(pattern: str, name: str) -> bool:
    """Whether a name matches, as clients compare them: `*` stands for one label."""
    pattern, name = pattern.lower(), name.lower()
    if pattern.startswith("*."):
        return name.partition(".")[2] == pattern[2:]
    return pattern == name


if __name__ == "__main__":
    _pem = Path(sys.argv[1])
    sys.stdout.write(find_problem(_pem.read_bytes(), sys.argv[2:], datetime.now(UTC)) or find_key_problem(_pem))
