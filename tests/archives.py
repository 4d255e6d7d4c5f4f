"""Zip archives for tests, as torch writes them or as nobody should."""

from __future__ import annotations

import io
import warnings
import zipfile
from pathlib import Path

from triton_operator.triton.model_file.signature import EXTRA_FILE, Signature, TensorSpec, encode

SIGNATURE = Signature(
    inputs=(TensorSpec("INPUT__0", "FP32", (1, 28, 28)),),
    outputs=(TensorSpec("OUTPUT__0", "FP32", (10,)),),
    max_batch_size=64,
)
"""Inputs and outputs of the model `digits`."""

EXTRA = f"extra/{EXTRA_FILE}"


def an_archive(*members: tuple[str, bytes], compression: int = zipfile.ZIP_STORED, folder: str = "archive") -> bytes:
    """A zip archive with these members below its folder, in order; a name may come twice."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "Duplicate name": that is the test.
        for name, content in members:
            archive.writestr(f"{folder}/{name}", content)
    return buffer.getvalue()


def a_model_file(signature: Signature | None = SIGNATURE, *more: tuple[str, bytes], code: str = "") -> bytes:
    """What `prepare` takes for TorchScript: the members that tell, and a signature."""
    members = [("data.pkl", b"\x80\x02"), ("code/__torch__.py", code.encode()), ("constants.pkl", b"\x80\x02")]
    if signature is not None:
        members.append((EXTRA, encode(signature)))
    return an_archive(*members, *more)


def write(path: Path, content: bytes) -> Path:
    """Put a file where it belongs, with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path
