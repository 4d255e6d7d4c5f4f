"""Measure the size, latency and throughput of an exported model.

Input: an exported file. Output: a `Speed`. `compression` calls it. Models run with one thread, like an instance in
Triton, and TorchScript is frozen as in the CPU image. Needs torch.
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
"""Number of warm-up runs, in which TorchScript compiles."""

_SECONDS = 1.0
_FEWEST = 10

Model = Callable[..., Any]


@dataclass(frozen=True)
class Speed:
    """File size and compressed size in bytes, latency of one row in seconds, and throughput in rows per second."""

    size: int
    packed: int
    latency: float
    throughput: float


def measure(path: Path, arguments: Sequence[torch.Tensor], batch: int) -> Speed:
    """Measure a file with the first rows of `arguments`, which has at least `batch` rows."""
    model = open_model(path)
    with one_thread(), torch.inference_mode():
        one = _median([each[:1].contiguous() for each in arguments], model)
        many = _median([each[:batch].contiguous() for each in arguments], model)
    data = path.read_bytes()
    return Speed(len(data), len(zlib.compress(data)), one, batch / many)


def open_model(path: Path) -> Model:
    """Load a model in the form that is served."""
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


def _median(arguments: Sequence[torch.Tensor], model: Model) -> float:
    """Return the median duration of a call in seconds."""
    for _ in range(_WARM_UP):
        model(*arguments)
    taken: list[float] = []
    while len(taken) < _FEWEST or sum(taken) < _SECONDS:
        start = time.perf_counter()
        model(*arguments)
        taken.append(time.perf_counter() - start)
    return median(taken)
