"""What of a download is on the volume already, so that the next container goes on where this one was killed.

One line of JSON for the download and one for each part of a file that was written whole. A part is believed only by
the same download, of the same version of the file, and in the same life of the machine: after a crash of the node the
journal may be on the disk and the data not.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import NamedTuple

import msgspec

from triton_operator.prepare.fetch.origin import RemoteFile

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class DownloadIdentity(NamedTuple):
    """What a journal is about: `download` is a hash, `boot` changes whenever the machine starts."""

    download: str
    boot: str


def this_boot() -> str:
    """A word for this life of the machine."""
    return _BOOT_ID.read_text(encoding="ascii").strip()


class _WrittenPart(NamedTuple):
    name: str
    version: str
    size: int | None
    start: int


class Journal:
    """A file of lines, appended to while it is open; several threads may write."""

    def __init__(self, path: Path) -> None:
        """Use the file at `path`, which need not exist."""
        self._path = path
        self._lock = threading.Lock()
        self.identity, self._parts = _read(path)

    def begin(self, identity: DownloadIdentity) -> None:
        """Forget everything: what follows is about another download."""
        self.identity, self._parts = identity, set()
        self._path.write_bytes(msgspec.json.encode(identity))

    def has(self, file: RemoteFile, start: int) -> bool:
        """Whether the part of the file that begins at `start` is there."""
        return bool(file.version) and _WrittenPart(file.name, file.version, file.size, start) in self._parts

    def add(self, file: RemoteFile, start: int) -> None:
        """The part that begins at `start` is written."""
        part = _WrittenPart(file.name, file.version, file.size, start)
        with self._lock, self._path.open("ab") as lines:
            self._parts.add(part)
            lines.write(b"\n" + msgspec.json.encode(part))


def _read(path: Path) -> tuple[DownloadIdentity | None, set[_WrittenPart]]:
    """What the file says, without lines that are broken: a writer that was killed leaves one."""
    try:
        first, *others = path.read_bytes().split(b"\n")
        identity = msgspec.json.decode(first, type=DownloadIdentity)
    except (FileNotFoundError, msgspec.DecodeError):
        return None, set()
    return identity, {part for line in others if (part := _read_part(line))}


def _read_part(line: bytes) -> _WrittenPart | None:
    try:
        return msgspec.json.decode(line, type=_WrittenPart)
    except msgspec.DecodeError:
        return None
