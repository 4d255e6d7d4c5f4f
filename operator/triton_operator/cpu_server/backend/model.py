"""Triton's `pytorch` backend on a machine without a GPU: serves models of torch through Triton's Python interface.

In: requests of one model, from Triton's helper process. Out: one response for each. Triton loads this file because
`backends/pytorch/` holds no `libtriton_pytorch.so`; the model's files are the same ones that the native backend of
NVIDIA's images serves, and so are the rules (`interface`). One request that fails spoils no other of its batch, and
clients get one sentence, never a Python trace.

The same files are the backend `aotinductor`. In NVIDIA's images that is `pytorch` too, told by the platform
`torch_aoti`, which a Triton before 26.03 refuses.
"""

from __future__ import annotations

import gc
import json
from pathlib import Path
from typing import Any

import aotinductor_file
import torch
import torchscript_file
import triton_python_backend_utils as pb
from archive import LoadError, reason_of
from batching import Batch
from interface import Interface, InterfaceError, read_interface
from tensors import TensorError, read_tensor, write_tensor
from warmup import WarmUp

_FILES = {"aotinductor": aotinductor_file}
"""What reads the files of a backend; of any other name it is `pytorch`."""


class TritonPythonModel:
    """One instance of one model; Triton makes it, in a process of its own."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the model, or raise one sentence that names the file and the cause."""
        config = json.loads(args["model_config"])
        parameters = {key: value["string_value"] for key, value in config.get("parameters", {}).items()}
        torch.set_num_threads(_count(parameters, "INTRA_OP_THREAD_COUNT"))
        torch.set_num_interop_threads(_count(parameters, "INTER_OP_THREAD_COUNT"))
        file = _FILES.get(config.get("backend", ""), torchscript_file)
        version = Path(args["model_repository"]) / args["model_version"]
        try:
            module, forward = file.load(version / (config.get("default_model_filename") or file.DEFAULT_NAME))
            self._interface: Interface = read_interface(config, forward)
        except (LoadError, InterfaceError) as error:
            raise pb.TritonModelException(str(error)) from None
        optimized = parameters.get("DISABLE_OPTIMIZED_EXECUTION", "false").lower() != "true"
        self._module = file.prepare(module, optimized=optimized)
        self._batched = int(config.get("max_batch_size", 0)) > 0
        self._warmup = WarmUp(config, args["model_version"])
        gc.collect()
        gc.freeze()  # What is loaded stays; the collector need not look at it again with each request.

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer each request; those that Triton batched run together when they fit together."""
        sent = [self._read(request) for request in requests]
        outcomes: list[Any] = list(sent)
        ready = [index for index, outcome in enumerate(outcomes) if isinstance(outcome, list)]
        with torch.inference_mode():
            answers = self._answer([outcomes[index] for index in ready])
        for index, answer in zip(ready, answers, strict=True):
            outcomes[index] = answer
        self._warmup.watch(sent, [_reason(each) if isinstance(each, Exception) else None for each in outcomes])
        return [self._response(outcome) for outcome in outcomes]

    def _read(self, request: Any) -> list[Any] | Exception:
        """Give the request's inputs in the order of the config, or what is wrong with them."""
        try:
            return [
                read_tensor(pb.get_input_tensor_by_name(request, entry.name), entry) for entry in self._interface.inputs
            ]
        except TensorError as error:
            return error

    def _answer(self, requests: list[list[Any]]) -> list[Any]:
        """Outputs of each request, or the exception that it caused."""
        if len(requests) > 1 and self._batched:
            try:
                batch = Batch.join(requests)
                return batch.split(self._run(batch.inputs))
            except Exception:  # noqa: BLE001, S110 - one of them spoils the batch: find out which.
                pass
        return [self._answer_alone(inputs) for inputs in requests]

    def _answer_alone(self, inputs: list[Any]) -> Any:
        try:
            return self._run(inputs)
        except Exception as error:  # noqa: BLE001 - whatever a model raises is the answer to this request alone.
            return error

    def _run(self, inputs: list[Any]) -> list[Any]:
        positional, named = self._interface.arguments(inputs)
        return self._interface.pick_outputs(self._module(*positional, **named))

    def _response(self, outcome: Any) -> Any:
        if isinstance(outcome, Exception):
            return _error_response(outcome)
        try:
            tensors = [
                write_tensor(entry, value, batched=self._batched)
                for entry, value in zip(self._interface.outputs, outcome, strict=True)
            ]
        except TensorError as error:
            return _error_response(error)
        return pb.InferenceResponse(tensors)


def _error_response(error: Exception) -> Any:
    """Say what is wrong in one sentence: the caller's fault as INVALID_ARG, the model's as INTERNAL."""
    if isinstance(error, TensorError) and error.of_the_caller:
        return pb.InferenceResponse(error=pb.TritonError(str(error), pb.TritonError.INVALID_ARG))
    return pb.InferenceResponse(error=pb.TritonError(f"the model failed: {_reason(error)}", pb.TritonError.INTERNAL))


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, (TensorError, InterfaceError)) else reason_of(error)


def _count(parameters: dict[str, str], name: str) -> int:
    """Read a number of threads; one by default: more than the CPU limit made requests 12 times slower."""
    value = parameters.get(name, "1")
    if not value.isdecimal() or int(value) < 1:
        raise pb.TritonModelException(f"config.pbtxt: parameter {name} is {value!r}, but must be a number from 1 up")
    return int(value)
