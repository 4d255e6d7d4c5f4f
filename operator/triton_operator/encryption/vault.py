"""A vault with the HashiCorp-compatible API: log in with a pod's token, wrap a keyset, and unwrap it.

Input: an address and what to send. Output: the vault's response, or VaultError. `prepare` and `tritonctl` call it. It
uses the standard library's HTTP client, which does not follow redirects or use proxies, so a token is sent only to this
address. Messages quote an error of the vault unless it contains a secret that was sent.
"""

from __future__ import annotations

import base64
import http.client
import ipaddress
import ssl
from typing import TypeVar
from urllib.parse import SplitResult, quote, urlsplit

import msgspec

from triton_operator.api.text import escape
from triton_operator.encryption.errors import (
    VaultDeniedError,
    VaultError,
    VaultUnreachableError,
    VaultUntrustedError,
)

ANSWER_SECONDS = 15
"""Time without data after which a connection counts as broken."""

_RETRIED = frozenset({408, 412, 425, 429})
"""Client errors after which a retry may succeed; a replica that lags behind responds with 412.

Errors of the server (5xx) are retried as well, and so are redirects, which a standby node sends to name the active one.
"""

_MAX_BYTES = 1 << 20
_MAX_QUOTED = 200

Response = TypeVar("Response", bound=msgspec.Struct)


class _Auth(msgspec.Struct):
    client_token: str


class _LoggedIn(msgspec.Struct):
    auth: _Auth


class _Ciphertext(msgspec.Struct):
    ciphertext: str


class _EncryptResponse(msgspec.Struct):
    data: _Ciphertext


class _DecryptedText(msgspec.Struct):
    plaintext: str


class _DecryptResponse(msgspec.Struct):
    data: _DecryptedText


class _Failed(msgspec.Struct):
    errors: list[str] = []


class VaultClient:
    """The vault at an address."""

    def __init__(self, address: str, ca: bytes | None = None) -> None:
        """Does not connect. If `ca` is set, only its CA certificates (PEM) are trusted, otherwise those of the system.

        Raises ValueError if the address is invalid, and ssl.SSLError if `ca` contains no valid certificate.
        """
        self.address = address
        self._parts = check_address(address)
        self._tls = ssl.create_default_context(cadata=_pem_text(ca)) if self._parts.scheme == "https" else None

    def log_in(self, path: str, role: str, jwt: str) -> str:
        """Log in with the token of a ServiceAccount at the auth method at `path`; returns the vault's token."""
        response = self._post(f"auth/{quote(path)}/login", {"role": role, "jwt": jwt}, _LoggedIn, secrets=(jwt,))
        if not is_token(response.auth.client_token):
            raise self._not_a_vault()
        return response.auth.client_token

    def wrap(self, path: str, key: str, token: str, content: bytes) -> str:
        """Encrypt with a key of the transit engine at `path`; returns the ciphertext as text."""
        plaintext = base64.b64encode(content).decode()
        place, secrets = f"{quote(path)}/encrypt/{quote(key, safe='')}", (token, plaintext)
        return self._post(place, {"plaintext": plaintext}, _EncryptResponse, secrets, token).data.ciphertext

    def unwrap(self, path: str, key: str, token: str, ciphertext: str) -> bytes:
        """Decrypt a ciphertext that `wrap` returned."""
        place = f"{quote(path)}/decrypt/{quote(key, safe='')}"
        response = self._post(place, {"ciphertext": ciphertext}, _DecryptResponse, (token,), token)
        try:
            return base64.b64decode(response.data.plaintext, validate=True)
        except ValueError:  # Not base64, or not even ASCII.
            raise self._not_a_vault() from None

    def revoke(self, token: str) -> None:
        """Revoke a token that `log_in` returned; the vault's policy `default` allows it."""
        self._send("auth/token/revoke-self", {}, (token,), token)

    def _post(
        self, path: str, body: dict[str, str], expected: type[Response], secrets: tuple[str, ...], token: str = ""
    ) -> Response:
        content = self._send(path, body, secrets, token)
        try:
            return msgspec.json.decode(content, type=expected)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            # The cause is not chained: it may quote the response.
            raise self._not_a_vault() from None

    def _send(self, path: str, body: dict[str, str], secrets: tuple[str, ...], token: str) -> bytes:
        """The body of a successful response."""
        status, content = self._exchange(path, body, token)
        if status in {http.client.OK, http.client.NO_CONTENT}:
            return content
        answer = _describe(status, content, secrets)
        if status // 100 in {3, 5} or status in _RETRIED:
            raise VaultUnreachableError(f"{self.address} answered {answer}")
        raise VaultDeniedError(self.address, status, answer)

    def _exchange(self, path: str, body: dict[str, str], token: str) -> tuple[int, bytes]:
        """Send a request; returns the status and the beginning of the body."""
        headers = {"Content-Type": "application/json", "User-Agent": "triton-operator", "X-Vault-Request": "true"}
        if token:
            if not is_token(token):  # The library's error would quote it.
                raise VaultError(f"the token for {self.address} has characters that a token cannot have")
            headers["X-Vault-Token"] = token
        connection = self._connection()
        try:
            connection.request("POST", f"/v1/{path}", msgspec.json.encode(body), headers)
            response = connection.getresponse()
            return response.status, response.read(_MAX_BYTES)
        except ssl.SSLCertVerificationError as error:
            message = f"the certificate of {self.address} is not trusted ({error.verify_message})"
            raise VaultUntrustedError(message) from error
        except TimeoutError as error:
            message = f"{self.address} did not answer for {ANSWER_SECONDS} seconds"
            raise VaultUnreachableError(message) from error
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", "") or type(error).__name__
            raise VaultUnreachableError(f"{self.address} cannot be reached: {reason}") from error
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        if self._tls is None:
            return http.client.HTTPConnection(host, port, timeout=ANSWER_SECONDS)
        return http.client.HTTPSConnection(host, port, timeout=ANSWER_SECONDS, context=self._tls)

    def _not_a_vault(self) -> VaultDeniedError:
        return VaultDeniedError(self.address, http.client.OK, "with something other than a response of the vault API")


def check_address(address: str) -> SplitResult:
    """The parts of a vault's address; raises ValueError with the reason if it is invalid.

    Without TLS, tokens and keys could be read in transit, so http:// is accepted only for a loopback address.
    """
    parts = urlsplit(address)
    _ = parts.port  # Raises ValueError for an invalid one.
    rest = (parts.path.strip("/"), parts.query, parts.fragment, parts.username, parts.password)
    if parts.scheme not in {"https", "http"} or not parts.hostname or any(rest):
        raise ValueError("must be https://HOST or https://HOST:PORT, without a path")
    if not _is_host(parts.hostname):
        raise ValueError("must have a valid host name, in which each part between dots has 1 to 63 characters")
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise ValueError("must begin with https://, because http:// would send keys without encryption")
    return parts


def is_token(text: str) -> bool:
    """Whether a vault accepts the text as a token, which is a header of each request."""
    return bool(text) and text.isascii() and text.isprintable()


def _pem_text(content: bytes | None) -> str | None:
    """The CA certificates as ASCII text, which the library requires; comments in it may contain other characters."""
    return None if content is None else content.decode("ascii", errors="replace").replace("\ufffd", "?")


def _is_host(host: str) -> bool:
    """Whether the host name has a form that can be resolved; the library reports other names less clearly."""
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return host.isprintable() and " " not in host


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _describe(status: int, content: bytes, secrets: tuple[str, ...]) -> str:
    """The status, and the vault's errors unless they contain a secret that was sent."""
    shown = f"{status} {http.client.responses.get(status, '')}".rstrip()
    try:
        errors = msgspec.json.decode(content, type=_Failed).errors
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return shown
    text = escape(" ".join("; ".join(errors).split()))
    if not text or any(secret in text for secret in secrets):
        return shown
    return f"{shown}: {text[:_MAX_QUOTED]}"
