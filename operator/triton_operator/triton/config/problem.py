"""One thing in a configuration that Triton would refuse."""

from __future__ import annotations

from typing import NamedTuple


class Problem(NamedTuple):
    """`path` is the field in Triton's terms (`input[0].dims`), `advice` what to do, "" where that is clear."""

    path: str
    message: str
    advice: str = ""
