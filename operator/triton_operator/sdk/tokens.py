"""Where the bearer token of a request comes from: a text, a file that is replaced, a function, or an API server.

Input: the token's origin. Output: the current token for each request. A source reads it again only if it may have
changed, and can be asked for another one after a server has rejected it.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec

from triton_operator.sdk.errors import InvalidRequestError, SdkError

_RENEWAL = 0.8
"""Fraction of a token's life after which it is renewed."""


class TokenSource(Protocol):
    """A source of tokens; threads may share it. The methods raise SdkError."""

    @property
    def is_ready(self) -> bool:
        """Whether `read` returns at once."""

    def read(self) -> str:
        """Return the token for the next request."""

    def renew(self, rejected: str) -> bool:
        """Look for another token after a server rejected one; returns whether there is one."""


class FixedToken:
    """A token that never changes."""

    is_ready = True

    def __init__(self, token: str) -> None:
        self._token = checked_token(token, "token")

    def read(self) -> str:
        """Like `TokenSource`."""
        return self._token

    def renew(self, rejected: str) -> bool:
        """Like `TokenSource`."""
        return self._token != rejected


class CalledToken:
    """The result of a function, called for each request."""

    is_ready = True

    def __init__(self, function: Callable[[], str]) -> None:
        self._function = function

    def read(self) -> str:
        """Like `TokenSource`."""
        return checked_token(self._function(), "token")

    def renew(self, rejected: str) -> bool:
        """Like `TokenSource`."""
        return self.read() != rejected


class FileToken:
    """The content of a file, such as a projected volume, in which the kubelet replaces tokens before they expire."""

    is_ready = True

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._state: tuple[int, int] | None = None
        self._token = ""

    def read(self) -> str:
        """Like `TokenSource`; reads the file again if it was modified."""
        with self._lock:
            try:
                found = self._file.stat()
                state = (found.st_mtime_ns, found.st_ino)
                if state != self._state:
                    self._token = checked_token(self._file.read_text(), f"token_file {self._file}")
                    self._state = state
            except (OSError, UnicodeDecodeError) as error:
                raise InvalidRequestError("token_file", f"{self._file} cannot be read: {error}") from error
            return self._token

    def renew(self, rejected: str) -> bool:
        """Like `TokenSource`."""
        with self._lock:
            self._state = None
        return self.read() != rejected


class Grant(NamedTuple):
    """A token with the time at which it was issued and the time at which it expires."""

    token: str
    issued: datetime
    expires: datetime


class GrantedToken:
    """A token that `request` obtains, and obtains again after 80 % of its life.

    If that fails, the old token is used until it expires.
    """

    def __init__(self, request: Callable[[], Grant], now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._request = request
        self._now = now
        self._lock = threading.Lock()
        self._grant: Grant | None = None

    @property
    def is_ready(self) -> bool:
        """Like `TokenSource`."""
        grant = self._grant
        return grant is not None and self._now() < grant.issued + _RENEWAL * (grant.expires - grant.issued)

    def read(self) -> str:
        """Like `TokenSource`."""
        with self._lock:
            if not self.is_ready:
                try:
                    self._grant = self._request()
                except SdkError:
                    if self._grant is None or self._grant.expires <= self._now():
                        raise
            assert self._grant is not None  # noqa: S101 -- requested above, or the error was raised
            return self._grant.token

    def renew(self, rejected: str) -> bool:
        """Like `TokenSource`."""
        with self._lock:
            if self._grant is None or self._grant.token == rejected:
                self._grant = None
        return self.read() != rejected


def checked_token(text: str, field: str) -> str:
    """Return the token without surrounding white space; raises InvalidRequestError if it cannot be in a header."""
    token = text.strip()
    if not token:
        raise InvalidRequestError(field, "the token is empty")
    if not token.isascii() or not token.isprintable() or " " in token:  # The message must not contain it.
        raise InvalidRequestError(
            field, "the token has a space, a line break or another character that a token cannot have"
        )
    return token


class _Claims(msgspec.Struct):
    aud: str | tuple[str, ...] = ()


def audiences(token: str) -> tuple[str, ...]:
    """Return the audiences of a JWT without verifying it; none if it is another kind of token."""
    payload = token.split(".")[1] if token.count(".") == 2 else ""  # noqa: PLR2004 -- header, claims, signature
    try:
        found = msgspec.json.decode(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)), type=_Claims).aud
    except ValueError:  # msgspec's and base64's errors are ValueErrors.
        return ()
    return (found,) if isinstance(found, str) else found
