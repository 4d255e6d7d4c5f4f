"""An archive on a web server: one file, read in ranges if the server supports them.

It uses the standard library's client: one connection for each part of 16 MiB is cheap, and the image needs no
additional package. A redirect never sends the credentials to another server and never leads from https to http.
"""

from __future__ import annotations

import base64
import http.client
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from typing import IO, Any, NoReturn
from urllib.parse import SplitResult, urlsplit

from triton_operator.api.conditions import Reason
from triton_operator.api.url import shown_url
from triton_operator.prepare.errors import PrepareError
from triton_operator.prepare.fetch.credentials import Credentials
from triton_operator.prepare.fetch.origin import BUSY, CHUNK, RemoteFile, SourceChangedError, TransientError
from triton_operator.prepare.fetch.route import FetchRoute, ProxyOfRoute
from triton_operator.prepare.fetch.tls import read_ca_bundle, untrusted
from triton_operator.triton.prepare_contract.request import Download

ANSWER_SECONDS = 15
"""Time without data after which a connection counts as broken."""
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})")
_TUNNEL = re.compile(r"Tunnel connection failed: ([0-9]{3})")
"""The library's error if a proxy does not connect to the server of an https URL."""
_LENGTH = re.compile(r"[0-9]{1,18}")
"""18 digits are enough for an exabyte, and every file system can represent the number."""


class HttpOrigin:
    """The archive of a Download from a web server."""

    def __init__(self, download: Download, route: FetchRoute) -> None:
        """Does not connect yet; raises PrepareError if the Secret or the certificates cannot be used."""
        assert download.http  # noqa: S101 -- checked by the caller
        self._url = download.http.url
        self.shown = route.describe(shown_url(self._url), self._url)
        self._route = route
        self._headers = {"Accept-Encoding": "identity", "User-Agent": "triton-operator"}
        if authorization := _authorization(Credentials(download.credentials)):
            self._headers["Authorization"] = authorization
        self._advice = (
            "check the Secret of credentialsSecretRef and its permissions"
            if authorization
            else "the server requires credentials; set credentialsSecretRef"
        )
        context = ssl.create_default_context()
        if download.ca_bundle:
            context.load_verify_locations(cadata=read_ca_bundle(download.ca_bundle))
        proxies = [ProxyOfRoute(route)] if route.url else []
        https = urllib.request.HTTPSHandler(context=context)
        self._opener = urllib.request.build_opener(https, _Redirects(), *proxies)

    def find(self, name: str) -> RemoteFile:
        """Request the archive's size and whether ranges are supported; raises TransientError or PrepareError."""
        with self._open({"Range": "bytes=0-0"}) as response:
            whole = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
            if response.status == http.client.PARTIAL_CONTENT:  # Its length is the part's.
                version = _version(response.headers) if whole else ""
                return RemoteFile(name, "", int(whole[3]) if whole else None, version)
            length = _LENGTH.fullmatch(response.headers.get("Content-Length", ""))
            return RemoteFile(name, "", int(length[0]) if length else None, "")

    def read(self, file: RemoteFile, start: int, end: int | None) -> Iterator[bytes]:
        """See `Origin.read`; a file without a version is always read completely."""
        headers = {}
        if file.version and end is not None:
            headers = {"Range": f"bytes={start}-{end - 1}", "If-Range": file.version}
        with self._open(headers) as response:
            if headers:
                _require_part(response, file, start)
            while chunk := response.read(CHUNK):
                yield chunk

    @contextmanager
    def _open(self, headers: dict[str, str]) -> Iterator[http.client.HTTPResponse]:
        """The response to a GET request; every error while it is read becomes a PrepareError or TransientError."""
        request = urllib.request.Request(self._url, headers=self._headers | headers)  # noqa: S310 -- CEL: http, https
        try:
            _check_address(self._url)
            with self._opener.open(request, timeout=ANSWER_SECONDS) as response:
                yield response
        except urllib.error.HTTPError as error:
            error.close()
            self._refused(error)
        except urllib.error.URLError as error:
            self._failed(error.reason if isinstance(error.reason, Exception) else error)
        except (OSError, http.client.HTTPException) as error:
            self._failed(error)
        except (ValueError, OverflowError) as error:  # An invalid URL, possibly of a redirect.
            reason = " ".join(str(error).split())[:200]
            message = f"{self.shown}: the URL, or the target of a redirect, is invalid ({reason}); correct http.url"
            raise PrepareError(Reason.SOURCE_NOT_FOUND, "", message) from error

    def _refused(self, error: urllib.error.HTTPError) -> NoReturn:
        answer = f"the server answered {error.code} {http.client.responses.get(error.code, '')}".rstrip()
        if error.code == http.client.PROXY_AUTHENTICATION_REQUIRED and self._route.url:
            raise self._route.refused(self.shown, error.code) from error
        if error.code in BUSY:
            raise TransientError(answer) from error
        if error.code in {401, 403, 407}:
            raise PrepareError(Reason.ACCESS_DENIED, "", f"{self.shown}: {answer}; {self._advice}") from error
        raise PrepareError(Reason.SOURCE_NOT_FOUND, "", f"{self.shown}: {answer}; correct http.url") from error

    def _failed(self, error: Exception) -> NoReturn:
        if tunnel := _TUNNEL.match(str(error)):
            raise self._route.refused(self.shown, int(tunnel[1])) from error
        if isinstance(error, ssl.SSLCertVerificationError):
            raise untrusted(self.shown, error.verify_message) from error
        if isinstance(error, TimeoutError):
            raise TransientError(f"the server did not answer for {ANSWER_SECONDS} seconds") from error
        if isinstance(error, http.client.IncompleteRead):
            raise TransientError("the connection was closed unexpectedly") from error
        raise TransientError(getattr(error, "strerror", "") or type(error).__name__) from error


def _check_address(url: str) -> SplitResult:
    """The components of a URL; raises ValueError for an invalid port, which makes the client leak a socket."""
    parts = urlsplit(url)
    _ = parts.port
    return parts


def _authorization(credentials: Credentials) -> str:
    if not credentials:
        return ""
    if token := credentials.get("token"):
        return f"Bearer {token}"
    pair = ":".join(credentials.need("username", "password"))
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def _version(headers: Message) -> str:
    """A validator for `If-Range`: a strong ETag, otherwise the time of the last change."""
    etag = headers.get("ETag", "")
    changed = headers.get("Last-Modified", "")
    return next((each for each in (etag if etag.startswith('"') else "", changed) if _can_be_sent(each)), "")


def _can_be_sent(value: str) -> bool:
    """Whether a header value can be sent back: not if it is folded or contains control characters."""
    return bool(value) and value.isascii() and value.isprintable()


def _require_part(response: http.client.HTTPResponse, file: RemoteFile, start: int) -> None:
    found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if response.status != http.client.PARTIAL_CONTENT or not found:
        raise SourceChangedError  # The server has another version now.
    if int(found[1]) != start or int(found[3]) != file.size:
        raise SourceChangedError


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects without exposing credentials."""

    max_redirections = 5

    def http_error_302(self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any) -> Any:
        try:
            return super().http_error_302(req, fp, code, msg, headers)
        except ValueError:  # An invalid target; the library leaves the response open.
            fp.close()
            raise

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        old, new = urlsplit(req.full_url), _check_address(newurl)
        if (old.scheme, new.scheme) not in {("https", "https"), ("http", "http"), ("http", "https")}:
            raise urllib.error.HTTPError(shown_url(newurl), code, "a redirect to another scheme", headers, fp)
        request = super().redirect_request(req, fp, code, msg, headers, newurl)
        if request:  # It is set again if the proxy is used again.
            request.headers.pop("Proxy-authorization", None)
        if request and (old.scheme, old.netloc) != (new.scheme, new.netloc):
            request.headers.pop("Authorization", None)
        return request
