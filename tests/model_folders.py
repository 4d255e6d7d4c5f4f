"""Write the folders of random models: files that load and return zeros as the configuration declares.

TorchScript models are written by torch, Python models are `models/zeros.py`, and ensembles have no file. No folder
contains a config.pbtxt, because the ModelDeployment has the configuration.
"""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterator
from math import prod
from pathlib import Path

import torch

from tests.drawn_models import VERSIONS
from triton_operator.api.model import Format, Model
from triton_operator.api.model_config import ModelConfig, Output
from triton_operator.api.tensor import DataType
from triton_operator.export.exporter import deprecation_known

_ZEROS = Path(__file__).parent / "models" / "zeros.py"
_WIDEST = 8
"""Size of the largest element in bytes; a file may be larger than Triton needs."""

_EMPTY_TEXT = bytes(4)
"""An empty STRING in a file, which is its length. The number of strings must be exact."""

_TORCH = {
    DataType.BOOL: "torch.bool",
    DataType.UINT8: "torch.uint8",
    DataType.INT8: "torch.int8",
    DataType.INT16: "torch.int16",
    DataType.INT32: "torch.int32",
    DataType.INT64: "torch.int64",
    DataType.FP16: "torch.float16",
    DataType.FP32: "torch.float32",
    DataType.FP64: "torch.float64",
}


def write_model(model: Model, repository: Path) -> None:
    """Write all files that the model's configuration refers to."""
    assert model.config
    folder = repository / model.folder
    for version in VERSIONS:
        (folder / str(version)).mkdir(parents=True)
        _write_version(model.format or Format.TORCHSCRIPT, model.config, folder / str(version))
    for path, content in _side_files(model.config):
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_bytes(content)


def _write_version(model_format: Format, config: ModelConfig, folder: Path) -> None:
    if model_format is Format.PYTHON:
        shutil.copyfile(_ZEROS, folder / "model.py")
    elif model_format is Format.TORCHSCRIPT:
        with deprecation_known():
            torch.jit.save(_module(config), folder / (config.default_model_filename or "model.pt"))


def _module(config: ModelConfig) -> torch.jit.ScriptModule:
    """A module of a new class, because all modules of a class share one forward()."""
    empty: torch.nn.Module = type("Zeros", (torch.nn.Module,), {})()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit is deprecated, and each call warns.
        module: torch.jit.ScriptModule = torch.jit.script(empty)
        module.define(_source(config))
    return module


def _source(config: ModelConfig) -> str:
    """The source of a forward() with these inputs, which returns zeros with the types and shapes of the outputs."""
    arguments = ", ".join(f"x{index}" for index in range(len(config.inputs)))
    results = ", ".join(_zeros(output, batched=bool(config.max_batch_size)) for output in config.outputs)
    return f"def forward(self, {arguments}):\n    return {results}\n"


def _zeros(output: Output, *, batched: bool) -> str:
    shape = output.dims if output.reshape is None else output.reshape
    sizes = [*(["x0.size(0)"] if batched else []), *(str(max(size, 1)) for size in shape)]
    return f"torch.zeros([{', '.join(sizes)}], dtype={_TORCH[output.data_type]})"


def _side_files(config: ModelConfig) -> Iterator[tuple[str, bytes]]:
    for output in config.outputs:
        if output.label_filename:
            yield output.label_filename, b"one\ntwo\n"
    for warmup in config.warmup:
        for tensor in warmup.inputs:
            if tensor.data_file:
                element = _EMPTY_TEXT if tensor.data_type is DataType.STRING else bytes(_WIDEST)
                yield f"warmup/{tensor.data_file}", element * prod(tensor.dims)
    for state in config.sequence_batching.states if config.sequence_batching else ():
        if state.initial_state and state.initial_state.data_file:
            yield f"initial_state/{state.initial_state.data_file}", bytes(prod(state.initial_state.dims) * _WIDEST)
