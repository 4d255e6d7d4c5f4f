"""Zip archives for tests: as torch writes them, or malformed."""

from __future__ import annotations

import io
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

from triton_operator.triton.model_file.signature import EXTRA_FILE, Signature, TensorSpec, encode

SIGNATURE = Signature(
    inputs=(TensorSpec("INPUT__0", "FP32", (1, 28, 28)),),
    outputs=(TensorSpec("OUTPUT__0", "FP32", (10,)),),
    max_batch_size=64,
)
"""The signature of the model `digits`."""

EXTRA = f"extra/{EXTRA_FILE}"


def an_archive(*members: tuple[str, bytes], compression: int = zipfile.ZIP_STORED, folder: str = "archive") -> bytes:
    """A zip archive with these members in its folder, in order; names may be duplicated."""
    return a_zip(*((f"{folder}/{name}", content) for name, content in members), compression=compression)


def a_zip(*members: tuple[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """A zip archive with these members, in order; names may be duplicated."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "Duplicate name", which the test needs.
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


def a_model_file(signature: Signature | None = SIGNATURE, *more: tuple[str, bytes], code: str = "") -> bytes:
    """An archive that `prepare` detects as TorchScript, with a signature."""
    members = [("data.pkl", b"\x80\x02N."), ("code/__torch__.py", code.encode()), ("constants.pkl", b"\x80\x02).")]
    if signature is not None:
        members.append((EXTRA, encode(signature)))
    return an_archive(*members, *more)


def write(path: Path, content: bytes) -> Path:
    """Write a file, and create its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def with_members(archive: bytes, change: Callable[[str, bytes], bytes | None]) -> bytes:
    """The archive with changed members: `change` returns the new content, or None to leave a member out."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(buffer, "w") as new:
        for name in old.namelist():
            content = change(name, old.read(name))
            if content is not None:
                new.writestr(name, content)
    return buffer.getvalue()


def with_statements(archive: bytes, *statements: str) -> bytes:
    """A TorchScript archive whose forward() begins with these statements; it has no table of source positions."""

    def change(name: str, content: bytes) -> bytes | None:
        if name.endswith(".debug_pkl"):
            return None
        if not name.endswith(".py"):
            return content
        head, arrow, body = content.decode().partition(") -> Tensor:\n")
        lines = "".join(f"    {statement}\n" for statement in statements)
        return (head + arrow + lines + body).encode()

    return with_members(archive, change)


def after(prefix: bytes, archive: bytes, comment: bytes = b"") -> bytes:
    """The archive after other bytes, with adapted offsets, so that torch loads it; `comment` is its last part."""
    moved, end = bytearray(archive), archive.rindex(b"PK\5\6")
    count, _, record = struct.unpack_from("<HLL", moved, end + 10)
    struct.pack_into("<L", moved, end + 16, record + len(prefix))
    for _ in range(count):
        lengths, (offset,) = struct.unpack_from("<3H", moved, record + 28), struct.unpack_from("<L", moved, record + 42)
        struct.pack_into("<L", moved, record + 42, offset + len(prefix))
        record += 46 + sum(lengths)
    return prefix + moved[: end + 20] + struct.pack("<H", len(comment)) + comment
