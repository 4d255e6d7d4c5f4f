"""The verification of a large model, compared with hashing its file alone."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

from tests.benchmarks.costs import Costs, Scale
from tests.signers import Signer
from triton_operator.signing.keys import read_key
from triton_operator.signing.verify import verify_model

SIZE = 2 << 30


def bench_verification(costs: Costs, tmp_path: Path) -> None:
    """CPU time of both in one run, after a first one that reads the file into the page cache."""
    signer = Signer(tmp_path)
    file = tmp_path / "digits" / "1" / "model.pt"
    file.parent.mkdir(parents=True)
    piece = os.urandom(1 << 20)
    with file.open("wb") as opened:
        for _ in range(SIZE >> 20):
            opened.write(piece)
    model = signer.sign(tmp_path / "digits")
    keys = [read_key("release", signer.public)]
    verify_model(model, "digits", keys)
    before = time.process_time()
    with file.open("rb") as opened:
        hashlib.file_digest(opened, "sha256")
    hashed = time.process_time()
    verify_model(model, "digits", keys)
    ratio = (time.process_time() - hashed) / (hashed - before)
    costs.add("verification of 2 GiB, relative to SHA-256 alone", ratio, "x", Scale.NONE)
    file.unlink()
