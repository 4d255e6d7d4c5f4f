"""One problem in a configuration that Triton would reject."""

from __future__ import annotations

from typing import NamedTuple


class ConfigProblem(NamedTuple):
    """`path` is the field in Triton's terms (`input[0].dims`), `advice` the remedy, "" if it is obvious."""

    path: str
    message: str
    advice: str = ""
