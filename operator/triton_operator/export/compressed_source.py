"""Compress a module for the command line, with an evaluation and a fine-tuning function from Python files.

Input: an ExportRequest and a CompressionRequest. Output: the model folder. `tritonctl compress` calls it. Requires
torch.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from triton_operator.api.model import Format
from triton_operator.export.compression import Compressed, CompressionMethod, CompressionSettings, compress
from triton_operator.export.errors import ExportError
from triton_operator.export.folder import Destination, Exported
from triton_operator.export.request import CompressionRequest, ExportRequest, check, parts
from triton_operator.export.source import export_module, load_attribute, load_module, read_options


def run(
    request: ExportRequest, compression: CompressionRequest, destination: Destination
) -> tuple[Compressed, Exported]:
    """Compress the module, and export it if it is accurate enough; raises ExportError."""
    check(request, compression)
    file, attribute = _parts(request.source)
    module = load_module(file, attribute)
    if compression.weights:
        _load_weights(module, compression.weights)
    evaluate = _function(compression.evaluate)
    fine_tune = _function(compression.fine_tune) if compression.fine_tune else None
    method = CompressionMethod(compression.method)
    if method is CompressionMethod.INT8 and request.model_format is Format.AOT_INDUCTOR:
        method = CompressionMethod.INT8_AOTINDUCTOR
    _, examples = read_options(request, module)
    compressed = compress(
        module,
        CompressionSettings(method, compression.sparsity, fine_tune),
        examples[0],
        evaluate,
        compression.max_drop,
    )
    return compressed, export_module(compressed.module, request, destination)


def _parts(source: str) -> tuple[Path, str]:
    path, attribute = parts(source)
    if not attribute:
        raise ExportError(f"{source}: must be FILE.py:NAME")
    return path, attribute


def _function(source: str) -> Callable[[nn.Module], Any]:
    """Return a function from a user's file; its exceptions are raised as ExportError."""
    file, attribute = _parts(source)
    found = load_attribute(file, attribute)
    if not callable(found):
        raise ExportError(f"{source}: must be a function, not {type(found).__name__}")

    def call(module: nn.Module) -> Any:
        try:
            return found(module)
        except Exception as error:
            raise ExportError(f"{source}: {type(error).__name__}: {error}") from error

    return call


def _load_weights(module: nn.Module, path: Path) -> None:
    """Load a checkpoint with weights only, because it must not execute code."""
    try:
        module.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except (RuntimeError, TypeError, AttributeError, EOFError, pickle.UnpicklingError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ExportError(f"{path}: is not a checkpoint of {type(module).__name__}: {reason}") from error
