"""Address and credentials of an API server, and HTTP sessions that use them.

Input: a server, TLS settings and a token. Output: a Connection, from which the API client and Kopf's login handler
open their sessions. Nothing here sends a request.
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
"""Seconds a token file is trusted before it is read again; the kubelet rotates it at 80 % of its life."""


class NoConnectionError(TritonOperatorError):
    """The configuration for reaching a cluster is missing or of a sort that is not understood."""


class TokenFile:
    """A bearer token in a file that somebody renews; read at most once in TOKEN_TTL seconds."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._read_at = -TOKEN_TTL
        self._token = ""

    def read(self) -> str:
        """The token as of a minute ago at most."""
        if self._clock() >= self._read_at + TOKEN_TTL:
            self._token = self._path.read_text().strip()
            self._read_at = self._clock()
        return self._token

    def expire(self) -> None:
        """Forget the token, so that the next `read` looks into the file."""
        self._read_at = -TOKEN_TTL


class FixedToken:
    """A bearer token that is what it is."""

    def __init__(self, token: str) -> None:
        self._token = token

    def read(self) -> str:
        """The token."""
        return self._token

    def expire(self) -> None:
        """Nothing to forget: there is no other place to look."""


class Connection:
    """Address of an API server, what it must show us (`tls`) and what we show it (`token`, or a key in `tls`)."""

    def __init__(
        self,
        server: str,
        *,
        tls: ssl.SSLContext | None = None,
        token: TokenFile | FixedToken | None = None,
        namespace: str = "default",
    ) -> None:
        self.server = server.rstrip("/")
        self.namespace = namespace
        self.tls = tls
        self._token = token

    def token(self) -> str:
        """The bearer token to show, "" when it is a certificate in `tls` that says who we are."""
        return self._token.read() if self._token else ""

    def renewed(self, refused: str) -> str:
        """Another token than the one that was refused with a 401, "" when there is none."""
        if self._token is None:
            return ""
        self._token.expire()
        return "" if (token := self._token.read()) == refused else token

    def session(self) -> aiohttp.ClientSession:
        """A new HTTP session for watches, with as many connections as wanted; the caller closes it."""
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=self.tls if self.tls is not None else True),
            middlewares=(self._authorize,) if self._token else (),
            headers={"User-Agent": "triton-operator"},
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def _authorize(self, request: aiohttp.ClientRequest, handler: ClientHandlerType) -> aiohttp.ClientResponse:
        """Send the token along; on a 401 look for a renewed one and try that once."""
        sent = self.token()
        request.headers["Authorization"] = f"Bearer {sent}"
        response = await handler(request)
        if response.status == HTTPStatus.UNAUTHORIZED and (renewed := self.renewed(sent)):
            response.release()
            request.headers["Authorization"] = f"Bearer {renewed}"
            response = await handler(request)
        return response
