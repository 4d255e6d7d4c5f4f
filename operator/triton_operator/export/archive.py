"""Write reproducible model archives: the same model gives the same bytes on every machine.

Input: an archive of `torch.jit.save` or of AOTInductor, and a signature. Output: the same archive with the signature
among its extra files. `exporter` and `aotinductor` call it. Members are copied one at a time, so memory use does not
depend on the size of the model.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import zipfile
from itertools import groupby
from pathlib import Path

from triton_operator.triton.model_file.signature import EXTRA_FILE, Signature, encode

_NOT_THE_MODEL = re.compile(
    r".*\.debug_pkl|[^/]+/\.data/serialization_id|[^/]+/traced_inputs(/.*|\.pkl)|[^/]+/data/aotinductor/.*\.cpp"
)
"""Members to omit: debug files, which name source files of the machine; a hash of them; the inputs that a model was
traced with, which may be private data; and the C++ source of a compiled library."""

_DATE = (1980, 1, 1, 0, 0, 0)
"""The earliest date that a zip archive supports, used for every entry."""


def write_archive(source: Path, target: Path, signature: Signature | None) -> None:
    """Copy an archive to `target` with this signature: entries in order, uncompressed, without members that vary.

    Parent folders are created. An existing file is replaced atomically, and kept if an error occurs.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".export-") as folder:
        draft = Path(folder, target.name)
        with zipfile.ZipFile(source) as old, zipfile.ZipFile(draft, "w", zipfile.ZIP_STORED) as new:
            _copy(old, new, signature)
        os.chmod(draft, 0o644)  # noqa: PTH101
        draft.replace(target)


def _copy(old: zipfile.ZipFile, new: zipfile.ZipFile, signature: Signature | None) -> None:
    top = old.namelist()[0].partition("/")[0]
    own = f"{top}/extra/{EXTRA_FILE}"
    for member in old.infolist():
        if _NOT_THE_MODEL.fullmatch(member.filename) or member.filename == own:
            continue
        if member.filename.endswith(".py"):
            new.writestr(_dated(member.filename), _in_fixed_order(old.read(member)))
        else:
            _copy_member(old, member, new)
    if signature is not None:
        new.writestr(_dated(own), encode(signature))


def _copy_member(old: zipfile.ZipFile, member: zipfile.ZipInfo, new: zipfile.ZipFile) -> None:
    info = _dated(member.filename)
    info.file_size = member.file_size  # Decides whether the entry gets the header for large files.
    with old.open(member) as content, new.open(info, "w") as copy:
        shutil.copyfileobj(content, copy, 1 << 20)


def _dated(name: str) -> zipfile.ZipInfo:
    return zipfile.ZipInfo(name, _DATE)


def _in_fixed_order(code: bytes) -> bytes:
    """Sort the constants of each class, because torch keeps them in a set whose order differs between processes."""
    groups = groupby(code.splitlines(keepends=True), key=lambda line: b" : Final[" in line)
    return b"".join(line for constants, lines in groups for line in (sorted(lines) if constants else lines))
