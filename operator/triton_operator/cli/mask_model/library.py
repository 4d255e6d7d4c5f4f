"""The code that the masking model needs inside Triton, as one archive from which Python imports.

A pod under the profile Private cannot install packages, and the images of Triton do not contain these. The archive has
`triton_operator.masking`, the part of `phonenumbers` that checks numbers, and the words of jieba's dictionary that are
used. The same packages give the same bytes, so that the model's digest does not change from one run to the next.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

from triton_operator.masking.lexicon import Lexicon
from triton_operator.masking.phones import library

_PACKAGE = Path(__file__).resolve().parents[2]
_PHONENUMBERS_WITHOUT = frozenset({"geodata", "carrierdata", "tzdata", "__pycache__"})
"""Folders with names of places, of carriers and of time zones: 43 MB that no check reads."""
_EARLIEST = (1980, 1, 1, 0, 0, 0)
"""The time of each entry."""


def write_library(path: Path) -> None:
    """Write the archive; raises MaskingError if a package of the extra `masking` is missing."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, data in sorted(_entries()):
            entry = zipfile.ZipInfo(name, _EARLIEST)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data)


def _entries() -> Iterator[tuple[str, bytes]]:
    for name in ("__init__.py", "errors.py"):
        yield f"triton_operator/{name}", (_PACKAGE / name).read_bytes()
    yield from _files(_PACKAGE / "masking", "triton_operator/masking", frozenset({"__pycache__"}))
    yield "triton_operator/masking/lexicons/chinese.json", Lexicon.from_jieba().dump().encode()
    yield from _files(_phonenumbers(), "phonenumbers", _PHONENUMBERS_WITHOUT)


def _files(folder: Path, name: str, without: frozenset[str]) -> Iterator[tuple[str, bytes]]:
    """Return the Python and text files of a package."""
    for path in folder.rglob("*"):
        place = path.relative_to(folder)
        if path.suffix in {".py", ".txt"} and without.isdisjoint(place.parts):
            yield f"{name}/{place.as_posix()}", path.read_bytes()


def _phonenumbers() -> Path:
    return Path(library().__file__).parent
