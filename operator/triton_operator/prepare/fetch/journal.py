"""A journal of the parts that are on the volume, so that the next container resumes a download.

It has one line of JSON for the download and one for each completely written part of a file. A part is valid only for
the same download, the same version of the file and the same boot of the machine: after a crash of the node, the journal
may be on the disk without the data.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import NamedTuple

import msgspec

from triton_operator.prepare.fetch.origin import RemoteFile

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class DownloadIdentity(NamedTuple):
    """The download of a journal: `download` is a hash, `boot` changes with every boot of the machine."""

    download: str
    boot: str


def this_boot() -> str:
    """The ID of the machine's current boot."""
    return _BOOT_ID.read_text(encoding="ascii").strip()


class _WrittenPart(NamedTuple):
    name: str
    version: str
    size: int | None
    start: int


class Journal:
    """A file of lines to which several threads may append."""

    def __init__(self, path: Path) -> None:
        """Use the file at `path`, which need not exist."""
        self._path = path
        self._lock = threading.Lock()
        self.identity, self._parts = _read(path)

    def begin(self, identity: DownloadIdentity) -> None:
        """Discard all entries and start a journal for another download."""
        self.identity, self._parts = identity, set()
        self._path.write_bytes(msgspec.json.encode(identity))

    def has(self, file: RemoteFile, start: int) -> bool:
        """Whether the part of the file that starts at `start` is on the volume."""
        return bool(file.version) and _WrittenPart(file.name, file.version, file.size, start) in self._parts

    def add(self, file: RemoteFile, start: int) -> None:
        """Record that the part that starts at `start` is written."""
        part = _WrittenPart(file.name, file.version, file.size, start)
        with self._lock, self._path.open("ab") as lines:
            self._parts.add(part)
            lines.write(b"\n" + msgspec.json.encode(part))


def _read(path: Path) -> tuple[DownloadIdentity | None, set[_WrittenPart]]:
    """The content of the file without broken lines, which a killed writer leaves."""
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
