"""How large and how quick an exported model is: its file, one row, many rows.

Input: a file of the exporter. Output: numbers. `compression` calls it. One thread, because Triton gives each instance
one; TorchScript is frozen as the CPU image does it. Needs torch.
"""

from __future__ import annotations

import time
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch

from triton_operator.export.exporter import load

_WARM_UP = 5
"""TorchScript compiles during the first runs of a shape."""

_SECONDS = 1.0
_FEWEST = 10

Ask = Callable[..., Any]


@dataclass(frozen=True)
class Speed:
    """Bytes of the file, and of the same packed as an image's layer is; seconds for one row; rows a second."""

    size: int
    packed: int
    latency: float
    throughput: float


def measure(path: Path, arguments: Sequence[torch.Tensor], batch: int) -> Speed:
    """Measure a file with rows of `arguments`, of which there are at least `batch`."""
    ask = open_model(path)
    with one_thread(), torch.inference_mode():
        one = _median([each[:1].contiguous() for each in arguments], ask)
        many = _median([each[:batch].contiguous() for each in arguments], ask)
    data = path.read_bytes()
    return Speed(len(data), len(zlib.compress(data)), one, batch / many)


def open_model(path: Path) -> Ask:
    """Load a model as it is served."""
    if path.suffix == ".pt2":
        from triton_operator.export.aotinductor import CompiledPackage

        return CompiledPackage(path)
    with warnings.catch_warnings(action="ignore"):
        frozen = torch.jit.freeze(load(path).eval())
        graph = str(frozen.inlined_graph)
        convolves = "aten::conv" in graph or "aten::_conv" in graph
        return torch.jit.optimize_for_inference(frozen) if convolves else frozen


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one core."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _median(arguments: Sequence[torch.Tensor], ask: Ask) -> float:
    """Seconds of a call, as half of them take at most."""
    for _ in range(_WARM_UP):
        ask(*arguments)
    taken: list[float] = []
    while len(taken) < _FEWEST or sum(taken) < _SECONDS:
        start = time.perf_counter()
        ask(*arguments)
        taken.append(time.perf_counter() - start)
    return median(taken)
