"""The certificate that identifies a client to a deployment as one of `spec.privacy.clients`.

Input: PEM files. Output: a `ClientCertificate`, which `security` uses for HTTP and gRPC. A running client
uses new files as soon as they replace the old ones, because certificates are renewed before they expire.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from os import PathLike, fspath
from pathlib import Path
from typing import TypeAlias

from triton_operator.sdk.errors import InvalidRequestError

CertificateFiles: TypeAlias = str | PathLike[str] | tuple[()] | tuple[str | PathLike[str], str | PathLike[str]]
"""One PEM file with the certificate and its key, or two files, as in `requests` and `httpx`; "" or () is none."""


@dataclass(frozen=True)
class ClientCertificate:
    """A certificate with its chain, and its key. ssl reads the files, and gRPC needs their content, PEM."""

    cert_file: str
    key_file: str
    certificate: str = field(repr=False)
    key: str = field(repr=False)
    version: tuple[int, int] | None = field(default=None, compare=False)

    def is_replaced(self) -> bool:
        """Whether the file with the certificate is another one now."""
        return _version(self.cert_file) not in {None, self.version}

    def load(self, context: ssl.SSLContext) -> None:
        """Use it in a context; raises InvalidRequestError."""
        try:
            context.load_cert_chain(self.cert_file, self.key_file, password=_no_passphrase)
        except (OSError, ValueError) as error:  # An SSLError is an OSError.
            files = " and ".join(dict.fromkeys((self.cert_file, self.key_file)))
            reason = getattr(error, "reason", "") or error
            raise InvalidRequestError(
                "cert", f"{files}: no certificate in PEM form with its key, without a passphrase: {reason}"
            ) from error


def names_of_files(cert: CertificateFiles) -> tuple[str, str] | tuple[()]:
    """The names of the files with the certificate and with the key; () if there is none."""
    if isinstance(cert, tuple):
        return (fspath(cert[0]), fspath(cert[1]) or fspath(cert[0])) if cert else ()
    file = fspath(cert)
    return (file, file) if file else ()


def read_client_certificate(cert_file: str, key_file: str) -> ClientCertificate:
    """Read both files and check that they belong together; raises InvalidRequestError."""
    version = _version(cert_file)
    found = ClientCertificate(cert_file, key_file, _read(cert_file), _read(key_file), version)
    found.load(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))  # gRPC would report a mistake at the first call only.
    return found


def _read(file: str) -> str:
    try:
        return Path(file).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequestError("cert", f"{file} cannot be read: {error}") from error


def _version(file: str) -> tuple[int, int] | None:
    try:
        found = Path(file).stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino


def _no_passphrase() -> str:
    """OpenSSL would ask for one on the terminal."""
    return ""
