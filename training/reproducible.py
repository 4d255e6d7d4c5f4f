"""Make torch give the same numbers in every run on the same kind of processor. `workflow` trains inside this."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def reproducible(seed: int) -> Iterator[None]:
    """Fix the seed, forbid algorithms that vary, and use one thread; put everything back afterwards.

    One thread, because sums that are split over threads are added in an order that depends on how many there are.
    """
    threads = torch.get_num_threads()
    was_deterministic = torch.are_deterministic_algorithms_enabled()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.use_deterministic_algorithms(mode=True)
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            torch.use_deterministic_algorithms(mode=was_deterministic)
