"""How long `prepare` takes for a large model from S3, against curl from the same server to the same volume, in turns.

Run with `make bench-sources`; it needs 7 GiB of disk for some minutes, so the conftest leaves it out of other runs.
"""

from __future__ import annotations

import filecmp
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.s3_server import s3_server
from triton_operator.triton.preparation import Preparation, encode

SIZE = int(os.environ["BENCH_BYTES"])
ROUNDS = 3
SLOWEST_RATIO = 1.3
MOST_MEMORY = 100_000_000

FETCH = """
import pathlib, sys
from triton_operator.prepare.sources import fetch_all
from triton_operator.triton.preparation import decode
fetch_all(decode(pathlib.Path(sys.argv[1]).read_bytes()).downloads)
print(pathlib.Path("/proc/self/status").read_text())
"""
_LARGEST = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)
"""Not what wait4 tells: that counts the process that it was forked from."""

pytestmark = pytest.mark.timeout(900)


class Run(NamedTuple):
    """What a process took: seconds of the clock and bytes of memory at its largest."""

    seconds: float
    memory: int


def test_a_large_model_comes_as_fast_as_with_curl(tmp_path: Path) -> None:
    """Medians, because the machine has other work too; a whole round is one of each, so that both see the same."""
    original = tmp_path / "original"
    _make_file(original)
    with s3_server(tmp_path / "data") as s3:
        s3.put("large/1/model.pt", original)
        download = s3.download(tmp_path / "source", "large", credentials=s3.secret(tmp_path / "secret"))
        wanted = tmp_path / "models.json"
        wanted.write_bytes(encode(Preparation((), downloads=(download,))))
        copy = tmp_path / "copy"
        curl = ["curl", "--silent", "--fail", "--output", str(copy), s3.signed("large/1/model.pt")]
        runs: dict[str, list[Run]] = {"curl": [], "prepare": []}
        for _ in range(ROUNDS):
            runs["curl"].append(_run(curl))
            copy.unlink()
            shutil.rmtree(tmp_path / "source")
            (tmp_path / "source").mkdir()
            runs["prepare"].append(_run([sys.executable, "-c", FETCH, str(wanted)]))
        assert filecmp.cmp(original, tmp_path / "source" / "repository" / "large" / "1" / "model.pt", shallow=False)
    shutil.rmtree(tmp_path)
    seconds = {name: statistics.median(run.seconds for run in some) for name, some in runs.items()}
    memory = max(run.memory for run in runs["prepare"])
    ratio = seconds["prepare"] / seconds["curl"]
    print(f"\n{SIZE >> 20} MiB: curl {seconds['curl']:.2f} s, prepare {seconds['prepare']:.2f} s, ratio {ratio:.2f}")
    print(f"prepare at its largest: {memory / 1e6:.0f} MB; all rounds: {runs}")
    assert ratio <= SLOWEST_RATIO
    assert memory <= MOST_MEMORY


def _make_file(path: Path) -> None:
    block = os.urandom(32 << 20)
    with path.open("wb") as file:
        for number in range(SIZE // len(block)):
            file.write(number.to_bytes(8, "big") + block[8:])


def _run(command: list[str]) -> Run:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    start = time.monotonic()
    said = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
    seconds = time.monotonic() - start
    largest = _LARGEST.search(said)
    return Run(seconds, int(largest[1]) * 1024 if largest else 0)
