"""Address and credentials of an API server, and HTTP sessions that use them.

Input: a server, TLS settings and a token. Output: an ApiServerConnection, from which the API client and Kopf's login
handler open their sessions. Nothing here sends a request.
"""

from __future__ import annotations

import ssl
import time
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp

from triton_operator.errors import TritonOperatorError

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp.client_middlewares import ClientHandlerType

TOKEN_TTL = 60.0
"""Seconds before a token file is read again; the kubelet rotates it at 80 % of its lifetime."""


class NoConnectionError(TritonOperatorError):
    """The configuration for reaching a cluster is missing or not supported."""


class TokenFile:
    """A bearer token in a file that is renewed; read at most once in TOKEN_TTL seconds."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._read_at = -TOKEN_TTL
        self._token = ""

    def read(self) -> str:
        """The token, at most a minute old."""
        if self._clock() >= self._read_at + TOKEN_TTL:
            self._token = self._path.read_text().strip()
            self._read_at = self._clock()
        return self._token

    def expire(self) -> None:
        """Make the next `read` read the file."""
        self._read_at = -TOKEN_TTL


class ApiServerConnection:
    """Address of an API server, the TLS context with its CA and an optional client certificate, and a bearer token."""

    def __init__(
        self,
        server: str,
        *,
        tls: ssl.SSLContext | None = None,
        token: TokenFile | str = "",
        namespace: str = "default",
    ) -> None:
        self.server = server.rstrip("/")
        self.namespace = namespace
        self.tls = tls
        self._token = token

    def token(self) -> str:
        """The bearer token, "" if a client certificate in `tls` authenticates the client."""
        return self._token.read() if isinstance(self._token, TokenFile) else self._token

    def renewed(self, rejected: str) -> str:
        """A token other than the one that was rejected with a 401, "" if there is none."""
        if not isinstance(self._token, TokenFile):
            return ""
        self._token.expire()
        return "" if (token := self._token.read()) == rejected else token

    def session(self) -> aiohttp.ClientSession:
        """A new HTTP session for watches without a limit of connections; the caller closes it."""
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=self.tls if self.tls is not None else True),
            middlewares=(self._authorize,) if self._token else (),
            headers={"User-Agent": "triton-operator"},
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def _authorize(self, request: aiohttp.ClientRequest, handler: ClientHandlerType) -> aiohttp.ClientResponse:
        """Add the token; after a 401, retry once with a renewed one."""
        sent = self.token()
        request.headers["Authorization"] = f"Bearer {sent}"
        response = await handler(request)
        if response.status == HTTPStatus.UNAUTHORIZED and (renewed := self.renewed(sent)):
            response.release()
            request.headers["Authorization"] = f"Bearer {renewed}"
            response = await handler(request)
        return response
