"""What a connection needs besides its address: the authorities that it trusts, the name that it verifies, and a token.

Input: a PEM bundle, a name, a client certificate, a token source. Output: contexts for TLS over HTTP and gRPC, and the
headers of a request.
The certificate of a server is always verified, and a token is never sent without TLS.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from triton_operator.sdk.client_certificate import ClientCertificate
from triton_operator.sdk.errors import InvalidRequestError
from triton_operator.sdk.tokens import TokenSource

_HEADER, _BEARER = "authorization", "Bearer "
_DEBIAN_BUNDLE = "ca-certificates.crt"
"""In the folder of authorities: all of them in one file. OpenSSL reads the folder, and gRPC needs one file."""


@dataclass(frozen=True)
class Trust:
    """How to verify a server.

    `authorities` is a PEM bundle; "" trusts the authorities of this machine. `server_name` is the name that the
    certificate must have; "" is the host of the address. `own` is a server of a ModelDeployment, which always supports
    TLS 1.3. `client` identifies this client.
    """

    authorities: str = ""
    server_name: str = ""
    own: bool = False
    client: ClientCertificate | None = None

    def http_context(self) -> ssl.SSLContext:
        """Return a context for HTTP/1.1; raises InvalidRequestError if the bundle has no certificate."""
        context = _NamedContext(ssl.PROTOCOL_TLS_CLIENT)  # Verifies the certificate and its name.
        context.server_name = self.server_name
        context.minimum_version = ssl.TLSVersion.TLSv1_3 if self.own else ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        if self.authorities:
            _load(context, self.authorities)
        else:
            context.load_default_certs()
        if self.client:
            self.client.load(context)
        return context

    def grpc_credentials(self) -> Any:
        """Return the credentials of a gRPC channel; raises InvalidRequestError if the bundle has no certificate."""
        import grpc

        if self.authorities:
            _load(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), self.authorities)  # gRPC reports it at the first call only.
        bundle = self.authorities or _machine_authorities()
        key, chain = (self.client.key.encode(), self.client.certificate.encode()) if self.client else (None, None)
        return grpc.ssl_channel_credentials(bundle.encode() if bundle else None, key, chain)

    def grpc_options(self) -> list[tuple[str, str]]:
        """Return the options of a gRPC channel."""
        return [("grpc.ssl_target_name_override", self.server_name)] if self.server_name else []


@dataclass(frozen=True)
class Security:
    """TLS and a token; without `trust` the connection is plain, and must have no token."""

    trust: Trust | None = None
    token: TokenSource | None = None

    def __post_init__(self) -> None:
        if self.token is not None and self.trust is None:
            raise InvalidRequestError(
                "token", "this connection has no TLS, and a token is never sent without it; use an address https://…"
            )

    @property
    def is_ready(self) -> bool:
        """Whether `headers` returns at once; otherwise it requests a token."""
        return self.token is None or self.token.is_ready

    def headers(self) -> dict[str, str]:
        """Return the headers of one request, called for each because tokens expire; raises SdkError."""
        return {} if self.token is None else {_HEADER: _BEARER + self.token.read()}


PLAIN = Security()
"""Neither TLS nor a token."""


def token_of(headers: Mapping[str, str]) -> str:
    """Return the token in the headers of a request, or ""."""
    return headers.get(_HEADER, "").removeprefix(_BEARER)


class _NamedContext(ssl.SSLContext):
    """A context that verifies `server_name` instead of the host of the address, which may be that of a port-forward."""

    server_name = ""

    def wrap_socket(self, *arguments: Any, **options: Any) -> ssl.SSLSocket:
        """Like `SSLContext.wrap_socket`; http.client calls it."""
        return super().wrap_socket(*arguments, **self._named(options))

    def wrap_bio(self, *arguments: Any, **options: Any) -> ssl.SSLObject:
        """Like `SSLContext.wrap_bio`; asyncio calls it."""
        return super().wrap_bio(*arguments, **self._named(options))

    def _named(self, options: dict[str, Any]) -> dict[str, Any]:
        return {**options, "server_hostname": self.server_name or options.get("server_hostname")}


def _load(context: ssl.SSLContext, authorities: str) -> None:
    try:
        context.load_verify_locations(cadata=authorities)
    except (ssl.SSLError, ValueError) as error:
        raise InvalidRequestError("ca_file", f"the CA bundle has no valid PEM certificate: {error}") from error


def _machine_authorities() -> str:
    """The authorities of this machine as PEM; "" leaves gRPC's built-in list. gRPC does not read the machine's."""
    paths = ssl.get_default_verify_paths()
    files = [Path(each) for each in (paths.cafile,) if each]
    files += [Path(each) / _DEBIAN_BUNDLE for each in (paths.capath,) if each]
    return next((file.read_text(errors="replace") for file in files if file.is_file()), "")
