"""A TLS context whose files somebody renews: authorities and client certificates are rotated while we run.

`connection` and `kubeconfig` make it; every library that takes an `ssl.SSLContext` can use it.
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
    """Loads its files anew before a connection is opened, if they have changed since the last one.

    Connections that are open stay as they are. While the new files cannot be loaded, the old ones count.
    """

    _load: Callable[[], ssl.SSLContext]
    _files: tuple[Path, ...]
    _state: object
    _loaded: ssl.SSLContext

    def __new__(cls, *_: object) -> Self:
        """Make the shell; all settings are those of the context that is loaded."""
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)

    def __init__(self, load: Callable[[], ssl.SSLContext], *files: Path) -> None:
        self._load, self._files = load, files
        self._state = self._look()
        self._loaded = load()

    def wrap_bio(self, *arguments: Any, **options: Any) -> ssl.SSLObject:
        """TLS for one new connection; asyncio and uvloop call it."""
        return self._renewed().wrap_bio(*arguments, **options)

    def _renewed(self) -> ssl.SSLContext:
        state = self._look()
        if state != self._state:
            try:
                self._loaded = self._load()
                self._state = state
            except Exception as error:  # noqa: BLE001 - whatever it was, the old ones may still do
                log.warning("renewed certificates cannot be loaded, going on with the old ones: %s", error)
        return self._loaded

    def _look(self) -> object:
        """What tells one state of the files from another; the kubelet replaces them by a link to another folder."""
        states: list[tuple[int, int, int] | None] = []
        for file in self._files:
            try:
                found = file.stat()
            except OSError:
                states.append(None)
            else:
                states.append((found.st_ino, found.st_mtime_ns, found.st_size))
        return states
