"""Load the CPU image's backend without Triton, for its unit tests.

`load()` returns its modules with a fake `triton_python_backend_utils`, whose tensors are exchanged by DLPack and numpy
like the real ones. End-to-end tests cover shared memory and the network.
"""

from __future__ import annotations

import importlib
import json
import sys
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch.utils.dlpack import from_dlpack

BACKEND = Path(__file__).parents[1] / "operator" / "triton_operator" / "cpu_server" / "backend"
MODULES = (
    *(
        "tensor_specs",
        "interface",
        "archive",
        "torchscript_file",
        "aotinductor_file",
        "tensors",
        "ragged",
        "sequences",
        "batching",
    ),
    *("request_reader", "data_dependent", "trial", "warmup", "model"),
)


class Tensor:
    """A fake `pb_utils.Tensor`: a name with a numpy array or a DLPack tensor."""

    def __init__(
        self, name: str, array: np.ndarray[Any, Any] | None = None, values: torch.Tensor | None = None
    ) -> None:
        self.name, self.array, self.values = name, array, values

    @staticmethod
    def from_dlpack(name: str, values: torch.Tensor) -> Tensor:
        """Create it from a tensor, which must be contiguous, as Triton requires."""
        assert values.is_contiguous()
        return Tensor(name, values=from_dlpack(values))

    def as_numpy(self) -> np.ndarray[Any, Any]:
        """Return the values as a numpy array."""
        if self.array is not None:
            return self.array
        assert self.values is not None
        return self.values.numpy()

    def __dlpack__(self, **options: Any) -> Any:
        assert self.values is not None
        return self.values.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        assert self.values is not None
        return self.values.__dlpack_device__()


class Letters(torch.nn.Module):
    """A model that returns one text for each letter of its inputs."""

    def forward(self, texts: list[str]) -> list[str]:
        """Spell."""
        letters: list[str] = []
        for each in texts:
            for letter in each:
                letters.append(letter)  # noqa: PERF402 - TorchScript has no other way
        return letters


class TritonError(Exception):
    """A fake `pb_utils.TritonError`."""

    INTERNAL, INVALID_ARG = "INTERNAL", "INVALID_ARG"

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.message, self.code = message, code


class Request(dict[str, "Tensor"]):
    """A fake `pb_utils.InferenceRequest`: tensors by name, and its position in a sequence."""

    def __init__(self, tensors: list[Tensor], sequence: int = 0, *, start: bool = False, end: bool = False) -> None:
        super().__init__((tensor.name, tensor) for tensor in tensors)
        self._sequence, self._flags = sequence, start + 2 * end

    def correlation_id(self) -> int:
        """Return the id of the sequence, 0 for none."""
        return self._sequence

    def flags(self) -> int:
        """Return the sequence flags: START is 1 and END is 2."""
        return self._flags


@dataclass
class Response:
    """A fake `pb_utils.InferenceResponse`."""

    output_tensors: list[Tensor] = field(default_factory=list)
    error: TritonError | None = None

    def values(self, name: str) -> Any:
        """Return an output as nested lists, with text as str."""
        assert self.error is None, self.error
        array = next(tensor for tensor in self.output_tensors if tensor.name == name).as_numpy()
        return np.vectorize(bytes.decode, otypes=[object])(array).tolist() if array.dtype == object else array.tolist()


def load() -> dict[str, ModuleType]:
    """Import the backend's modules as Triton's stub process does, without leaving them in `sys.modules`."""
    fake = SimpleNamespace(
        Tensor=Tensor,
        TritonError=TritonError,
        TritonModelException=type("TritonModelException", (Exception,), {}),
        InferenceResponse=lambda output_tensors=(), error=None: Response(list(output_tensors), error),
        get_input_tensor_by_name=lambda request, name: request.get(name),
    )
    before = {name: sys.modules.pop(name) for name in MODULES if name in sys.modules}
    sys.modules["triton_python_backend_utils"] = fake  # type: ignore[assignment]
    sys.path.insert(0, str(BACKEND))
    try:
        return {name: importlib.import_module(name) for name in MODULES}
    finally:
        sys.path.remove(str(BACKEND))
        for name in (*MODULES, "triton_python_backend_utils"):
            sys.modules.pop(name, None)
        sys.modules.update(before)


def save(module: torch.nn.Module, folder: Path) -> Path:
    """Export a module as version 1 of a model in `folder`, and return the file."""
    (folder / "1").mkdir(parents=True, exist_ok=True)
    path = folder / "1" / "model.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch.jit.script is deprecated.
        torch.jit.script(module.eval()).save(str(path))  # type: ignore[no-untyped-call]
    return path


def serve(backend: ModuleType, folder: Path, config: dict[str, Any]) -> Any:
    """Initialize the model in `folder` as Triton does."""
    model = backend.TritonPythonModel()
    arguments = {"model_config": json.dumps(config), "model_repository": str(folder), "model_version": "1"}
    threads = torch.get_num_threads()
    with patch("torch.set_num_interop_threads"):  # Allowed once per process; tests share theirs.
        model.initialize(arguments)
    model.threads = torch.get_num_threads()
    torch.set_num_threads(threads)
    return model


def put(name: str, dtype: str, *dims: int) -> dict[str, Any]:
    """Return one input or output of a configuration."""
    return {"name": name, "data_type": f"TYPE_{dtype}", "dims": [str(size) for size in dims]}


def numbers(name: str, values: Any, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return a numeric input."""
    return Tensor(name, values=torch.tensor(values, dtype=dtype))


def text(name: str, values: Any) -> Tensor:
    """Return a text input, as the bytes that Triton passes."""
    encoded = np.vectorize(lambda value: value if isinstance(value, bytes) else value.encode(), otypes=[object])
    return Tensor(name, encoded(np.array(values, dtype=object)))


def ask(model: Any, *requests: list[Tensor] | Request) -> list[Response]:
    """Execute requests as one batch, as Triton's batcher does."""
    return list(model.execute([each if isinstance(each, Request) else Request(each) for each in requests]))
