"""What the command line compresses: a module, an evaluation and a fine-tuning out of Python files.

Input: a Request for the export and a Wish for what comes before it. Output: the model's folder. `tritonctl compress`
calls it. Needs torch.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from triton_operator.api.model import Format
from triton_operator.export.compression import Compressed, Method, Recipe, compress
from triton_operator.export.errors import ExportError
from triton_operator.export.folder import Exported, Place
from triton_operator.export.request import Request, Wish, check, parts
from triton_operator.export.source import asked, export_module, load_attribute, load_module


def run(request: Request, wish: Wish, place: Place) -> tuple[Compressed, Exported]:
    """Compress, then export what is good enough; raises ExportError."""
    check(request, wish)
    file, attribute = _parts(request.source)
    module = load_module(file, attribute)
    if wish.weights:
        _load_weights(module, wish.weights)
    evaluate = _function(wish.evaluate)
    fine_tune = _function(wish.fine_tune) if wish.fine_tune else None
    method = Method(wish.method)
    if method is Method.INT8 and request.model_format is Format.AOT_INDUCTOR:
        method = Method.INT8_AOTINDUCTOR
    _, examples = asked(request, module)
    compressed = compress(module, Recipe(method, wish.sparsity, fine_tune), examples[0], evaluate, wish.max_drop)
    return compressed, export_module(compressed.module, request, place)


def _parts(source: str) -> tuple[Path, str]:
    path, attribute = parts(source)
    if not attribute:
        raise ExportError(f"{source}: must be FILE.py:NAME")
    return path, attribute


def _function(source: str) -> Callable[[nn.Module], Any]:
    """A function of the user's, whose own errors end the command with a sentence."""
    file, attribute = _parts(source)
    found = load_attribute(file, attribute)
    if not callable(found):
        raise ExportError(f"{source}: is no function, but {type(found).__name__}")

    def call(module: nn.Module) -> Any:
        try:
            return found(module)
        except Exception as error:
            raise ExportError(f"{source}: {type(error).__name__}: {error}") from error

    return call


def _load_weights(module: nn.Module, path: Path) -> None:
    """Numbers only: a checkpoint is not trusted to run anything."""
    try:
        module.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except (RuntimeError, TypeError, AttributeError, EOFError, pickle.UnpicklingError) as error:
        said = " ".join(str(error).split())[:300]
        raise ExportError(f"{path}: is no checkpoint of {type(module).__name__}: {said}") from error
