"""One SHA-256 over the files of a model that will be served.

It is the digest of the lines that `sha256sum` prints for them, in the byte order of their paths, so anyone can check
it in the model's folder (`config.pbtxt 1` being what is served of it):
`find -L config.pbtxt 1 -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum`.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from triton_operator.prepare.model import CheckedModel
from triton_operator.prepare.repository import entries

BUDGET = 256 << 20
"""Bytes of a model above which no digest is made: reading is 1.7 GB/s at best, and a pod waits for it."""

_THREADS = 4


def model_digest(model: CheckedModel, budget: int = BUDGET) -> str:
    """Digest of a checked model's files as "sha256:...", "" when they are larger than `budget` bytes together."""
    files = sorted(_files(model), key=os.fsencode)
    if sum((model.folder / name).stat().st_size for name in files) > budget:
        return ""
    whole = hashlib.sha256()
    for name, digest in zip(files, _file_digests([model.folder / name for name in files]), strict=True):
        whole.update(f"{digest}  ".encode() + os.fsencode(name) + b"\n")
    return f"sha256:{whole.hexdigest()}"


def _files(model: CheckedModel) -> list[str]:
    """Paths relative to the model's folder, through links; `check_model` has seen that they are not too many."""
    return [
        str(entry.path.relative_to(model.folder))
        for name in model.entries
        for entry in entries(model.folder / name)
        if not entry.real.is_dir()
    ]


def _file_digests(paths: list[Path]) -> list[str]:
    from concurrent.futures import ThreadPoolExecutor  # 20 ms that a pod without models to hash need not wait for.

    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(_file_digest, paths))


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
