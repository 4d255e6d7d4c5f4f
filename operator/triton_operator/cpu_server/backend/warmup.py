"""Say on standard error why a model fails its warm-up, and which shapes it was sent.

In: the config, then what `model` was asked and how that went. Triton 2.51 says it too, but crashes first in about half
of the starts (seen; a race between its threads), and never says the shapes. Only requests that Triton itself made are
told of: nothing of a caller's ever gets into a log.
"""

from __future__ import annotations

import sys
from typing import Any

import torch

REMEDY = "give model_warmup data that the model takes, or leave it out"


class WarmUp:
    """Counts the requests of the warm-up, which come before all others."""

    def __init__(self, config: dict[str, Any], version: str) -> None:
        self._about = f"model '{config['name']}' version {version}"
        self._names = [entry["name"] for entry in config.get("input", [])]
        self._left = sum(_requests(sample) for sample in config.get("model_warmup", []))

    def watch(self, sent: list[Any], reasons: list[str | None]) -> str:
        """Take in requests, each with its inputs (or None where they cannot be read) and why it failed (or None).

        Gives what an error of these requests begins with.
        """
        if self._left <= 0:
            return ""
        self._left -= len(sent)
        for inputs, reason in zip(sent, reasons, strict=True):
            if reason:
                told = f"warm-up of {self._about} failed: {reason}{self._describe(inputs)}; {REMEDY}"
                print(" ".join(told.split()), file=sys.stderr, flush=True)
                break
        return f"warm-up ({REMEDY}): "

    def _describe(self, inputs: Any) -> str:
        if not isinstance(inputs, list):
            return ""
        shapes = [f"{name} {_shape(value)}" for name, value in zip(self._names, inputs, strict=False)]
        return f" (sent {', '.join(shapes)})"


def _requests(sample: dict[str, Any]) -> int:
    """Triton sends a batch as so many requests, and all of them `count` times; 0 stands for once."""
    return max(int(sample.get("batch_size", 0)), 1) * max(int(sample.get("count", 0)), 1)


def _shape(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return f"{list(value.shape)} {str(value.dtype).removeprefix('torch.')}"
    return f"[{len(value)}] string" if isinstance(value, list) else "absent"
