"""Compare `prepare` with curl for a large model from S3: same server and volume, in alternating runs.

`make bench-sources` runs it. It requires 7 GiB of disk for some minutes, so `make bench` excludes it.
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

from tests.benchmarks.costs import Costs
from tests.s3_server import s3_server
from triton_operator.triton.prepare_contract.request import Preparation, encode

SIZE = 2 << 30
ROUNDS = 3

FETCH = """
import pathlib, sys
from triton_operator.prepare.sources import fetch_all
from triton_operator.triton.prepare_contract.request import decode
fetch_all(decode(pathlib.Path(sys.argv[1]).read_bytes()).downloads)
print(pathlib.Path("/proc/self/status").read_text())
"""
_LARGEST = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)
"""The value is not taken from wait4, which includes the memory of the forking process."""

pytestmark = pytest.mark.timeout(900)


class Run(NamedTuple):
    """The elapsed seconds and the maximum memory in bytes of a process."""

    seconds: float
    memory: int


def bench_a_large_model(tmp_path: Path, costs: Costs) -> None:
    """Report medians of alternating runs, so that other load on the machine affects both programs."""
    original = tmp_path / "original"
    _make_file(original)
    with s3_server(tmp_path / "data") as s3:
        s3.put("large/1/model.pt", original)
        download = s3.download(tmp_path / "source", "large", credentials=s3.secret(tmp_path / "secret"))
        request = tmp_path / "models.json"
        request.write_bytes(encode(Preparation((), downloads=(download,))))
        copy = tmp_path / "copy"
        curl = ["curl", "--silent", "--fail", "--output", str(copy), s3.signed("large/1/model.pt")]
        runs: dict[str, list[Run]] = {"curl": [], "prepare": []}
        for _ in range(ROUNDS):
            runs["curl"].append(_run(curl))
            copy.unlink()
            shutil.rmtree(tmp_path / "source")
            (tmp_path / "source").mkdir()
            runs["prepare"].append(_run([sys.executable, "-c", FETCH, str(request)]))
        assert filecmp.cmp(original, tmp_path / "source" / "repository" / "large" / "1" / "model.pt", shallow=False)
    shutil.rmtree(tmp_path)
    seconds = {name: statistics.median(run.seconds for run in some) for name, some in runs.items()}
    memory = max(run.memory for run in runs["prepare"])
    costs.add("fetching 2 GiB from S3, against curl", seconds["prepare"] / seconds["curl"], "times")
    costs.add("fetching 2 GiB from S3, memory", memory / 1e6, "MB")


def _make_file(path: Path) -> None:
    block = os.urandom(32 << 20)
    with path.open("wb") as file:
        for number in range(SIZE // len(block)):
            file.write(number.to_bytes(8, "big") + block[8:])


def _run(command: list[str]) -> Run:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    start = time.monotonic()
    output = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
    seconds = time.monotonic() - start
    largest = _LARGEST.search(output)
    return Run(seconds, int(largest[1]) * 1024 if largest else 0)
