"""A TLS context that reloads its files, because CAs and client certificates are rotated while the operator runs.

`connection` and `kubeconfig` create it; every library that accepts an `ssl.SSLContext` can use it.
"""

from __future__ import annotations

import logging
import ssl
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

log = logging.getLogger(__name__)


class RenewedContext(ssl.SSLContext):
    """Reloads its files before a connection is opened, if they have changed.

    Open connections are not affected. As long as the new files cannot be loaded, the old ones are used.
    """

    _load: Callable[[], ssl.SSLContext]
    _files: tuple[Path, ...]
    _state: object
    _loaded: ssl.SSLContext

    def __new__(cls, *_: object) -> Self:
        """Create an empty context; all settings come from the loaded one."""
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)

    def __init__(self, load: Callable[[], ssl.SSLContext], *files: Path) -> None:
        self._load, self._files = load, files
        self._state = self._file_states()
        self._loaded = load()

    def wrap_bio(self, *arguments: Any, **options: Any) -> ssl.SSLObject:
        """TLS for one new connection; asyncio and uvloop call it."""
        return self._renewed().wrap_bio(*arguments, **options)

    def _renewed(self) -> ssl.SSLContext:
        state = self._file_states()
        if state != self._state:
            try:
                self._loaded = self._load()
                self._state = state
            except Exception as error:  # noqa: BLE001 - whatever failed, the old ones may still work
                log.warning("cannot load the renewed certificates, keeping the old ones: %s", error)
        return self._loaded

    def _file_states(self) -> object:
        """A value that changes with the files; the kubelet replaces them through a link to another folder."""
        states: list[tuple[int, int, int] | None] = []
        for file in self._files:
            try:
                found = file.stat()
            except OSError:
                states.append(None)
            else:
                states.append((found.st_ino, found.st_mtime_ns, found.st_size))
        return states
