"""The decryption of a large model, in CPU time per gigabyte; the target is 0.4 GB per second and core."""

from __future__ import annotations

import os
import time
from pathlib import Path

from tests.benchmarks.costs import Costs, Scale
from triton_operator.encryption.decrypt import decrypt_model
from triton_operator.encryption.encrypt import encrypt_model
from triton_operator.encryption.keyset import create_keyset, read_keyset

SIZE = 1 << 30


def bench_decryption(costs: Costs, tmp_path: Path) -> None:
    """Includes reading the ciphertext from the page cache and writing the plaintext."""
    create_keyset(tmp_path / "keys")
    keys = read_keyset((tmp_path / "keys").read_bytes(), "keys")
    file = tmp_path / "digits" / "1" / "model.pt"
    file.parent.mkdir(parents=True)
    piece = os.urandom(1 << 20)
    with file.open("wb") as opened:
        for _ in range(SIZE >> 20):
            opened.write(piece)
    encrypt_model(tmp_path / "digits", tmp_path / "encrypted", keys)
    file.unlink()
    costs.sample()
    before = time.process_time()
    decrypt_model(tmp_path / "encrypted", "digits", tmp_path / "plain", keys)
    seconds = time.process_time() - before
    costs.sample()
    costs.add("decryption, each GB (target 2,500)", seconds * 1e12 / SIZE, "CPU-ms", Scale.CPU)
