"""Triton's `pytorch` backend on a machine without a GPU: serves torch models through Triton's Python interface.

Input: requests of one model, from Triton's stub process. Output: one response for each request. Triton loads this file
because `backends/pytorch/` contains no `libtriton_pytorch.so`. Model files and rules (`interface`) are those of the
native backend in NVIDIA's images. A failed request does not affect other requests of its batch, and clients receive one
sentence, never a Python traceback.

The same files implement the backend `aotinductor`. NVIDIA's images use `pytorch` with the platform `torch_aoti` for it,
which Triton before 26.03 rejects.
"""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path
from typing import Any

import aotinductor_file
import torch
import torchscript_file
import triton_python_backend_utils as pb
from archive import LoadError, reason_of
from batching import Batch, ModelRequest
from interface import Interface, read_interface
from request_reader import RequestReader
from sequences import Sequences
from tensor_specs import InterfaceError
from tensors import RowsError, TensorError, write_tensor
from trial import Form, TrialError, choose
from warmup import REMEDY, Sample, WarmUp, describe, samples, zero_request

_FILES = {"aotinductor": aotinductor_file}
"""The module that loads a backend's files; the default is `pytorch`."""

_PARAMETERS = {"DISABLE_OPTIMIZED_EXECUTION", "INFERENCE_MODE", "INTRA_OP_THREAD_COUNT", "INTER_OP_THREAD_COUNT"}
_FORMS_TO_TRY = 2
"""Minimum number of forms for a trial of the preferred form; with fewer, there is no safer form to use instead."""


class TritonPythonModel:
    """One instance of a model, created by Triton in its own process."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the model; raises TritonModelException with one sentence that names the file and the cause."""
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
        self._about = f"model '{config['name']}' version {args['model_version']}"
        self._batched = int(config.get("max_batch_size", 0)) > 0
        self._sequences = Sequences(config) if self._interface.states else None
        self._keeps_own_state = config.get("sequence_batching") is not None and not self._interface.states
        self._reader = RequestReader(self._interface, self._sequences, batched=self._batched)
        self._guard = _guard(parameters, self._about)
        warm_up = samples(config, self._interface, Path(args["model_repository"]))
        self._module = self._prepared(file.forms(module) if optimized else [], module, warm_up)
        self._can_batch = self._keeps_own_state or self._may_batch(
            file.why_not_batchable(self._module, self._interface)
        )
        with self._guard():
            self._warm_up(warm_up)
            if self._batched and self._can_batch is None:
                self._can_batch = self._try_rows(zero_request(self._interface, batched=self._batched))
        self._warmup = WarmUp(config, self._interface, self._about)
        gc.collect()
        gc.freeze()  # Exclude loaded objects from garbage collection during requests.

    def _prepared(self, forms: list[Form], module: Any, warm_up: list[Sample]) -> Any:
        """Return the module in the first form that returns its results for the warm-up's data, or for zeros."""
        if len(forms) < _FORMS_TO_TRY:
            return forms[0].make() if forms else module
        requests = [each.request for each in warm_up] or [zero_request(self._interface, batched=self._batched)]
        batches = [Batch([request] * count) for request in requests for count in ((1, 2) if self._batched else (1,))]
        try:
            calls = [self._interface.arguments(batch.join(self._interface.inputs)) for batch in batches]
            return choose(module, forms, calls, self._about)
        except TrialError as error:
            self._fail_warm_up(str(error))
        except Exception as error:  # noqa: BLE001 - without a request, the preferred form cannot be tried.
            print(f"{self._about} is served {forms[-1].name}: {_reason(error)}", file=sys.stderr, flush=True)
        return forms[-1].make()

    def _warm_up(self, warm_up: list[Sample]) -> None:
        """Run the warm-up requests before Triton does, because Triton often crashes when one fails.

        Raises TritonModelException, which Triton reports as the reason why the model failed to load.
        """
        for sample in warm_up:
            try:
                if sample.is_fixed and not self._sequences and not self._keeps_own_state:
                    self._compute([sample.request])
            except Exception as error:  # noqa: BLE001 - whatever a model raises.
                self._fail_warm_up(f"{_reason(error)}{describe(self._interface, sample.request)}")

    def _fail_warm_up(self, reason: str) -> None:
        message = " ".join(f"warm-up of {self._about} failed: {reason}; {REMEDY}".split())
        print(message, file=sys.stderr, flush=True)
        raise pb.TritonModelException(message) from None

    def execute(self, requests: list[Any]) -> list[Any]:
        """Return a response for each request; requests that Triton batched run together if possible."""
        sent = [self._reader.read(request) for request in requests]
        outcomes: list[Any] = list(sent)
        ready = [index for index, outcome in enumerate(outcomes) if isinstance(outcome, ModelRequest)]
        with self._guard():
            results = self._run([outcomes[index] for index in ready])
        for index, result in zip(ready, results, strict=True):
            outcomes[index] = result
        prefix = self._warmup.watch(
            [each if isinstance(each, ModelRequest) else None for each in sent],
            [_reason(each) if isinstance(each, Exception) else None for each in outcomes],
        )
        return [_error_response(each, prefix) if isinstance(each, Exception) else _response(each) for each in outcomes]

    def _run(self, requests: list[ModelRequest]) -> list[Any]:
        """Return the output tensors of each request, or the exception that it caused."""
        if len(requests) > 1 and self._batched and self._run_together(requests):
            try:
                return self._compute(requests)
            except Exception as error:  # noqa: BLE001 - run each alone to find the one that fails.
                if self._keeps_own_state:  # A request cannot be repeated or moved to another slot.
                    return [error] * len(requests)
                if isinstance(error, RowsError):
                    self._can_batch = self._may_batch(str(error))
        return [self._run_alone(request, copy=len(requests) > 1) for request in requests]

    def _run_alone(self, request: ModelRequest, *, copy: bool) -> Any:
        """Run a request; `copy` its outputs if another run follows, which may write to the same buffer."""
        try:
            return self._compute([request], copy=copy)[0]
        except Exception as error:  # noqa: BLE001 - whatever a model raises affects only this request.
            return error

    def _may_batch(self, obstacle: str) -> bool | None:
        """Return False and log the obstacle, if any; otherwise None, because batching still has to be tried."""
        if obstacle and self._batched:
            print(f"{self._about} runs requests one by one: {obstacle}", file=sys.stderr, flush=True)
        return False if obstacle else None

    def _run_together(self, requests: list[ModelRequest]) -> bool:
        """Whether requests may run together; tried with one of them if it is not known yet."""
        if self._can_batch is None:
            self._can_batch = self._try_rows(min(requests, key=lambda request: request.rows or 0))
        return bool(self._can_batch)

    def _try_rows(self, request: ModelRequest) -> bool | None:
        """Run a request alone and twice in one batch, and check that the outputs have as many rows both times.

        One run is not enough, because a transposed output of three rows of three numbers has the same shape. Returns
        None if the model rejects the request.
        """
        try:
            self._forward(Batch([request.copy()]))
            self._forward(Batch([request, request]))
        except RowsError as error:
            return self._may_batch(str(error))
        except Exception:  # noqa: BLE001 - the request may be invalid, which proves nothing about others.
            return None
        return True

    def _compute(self, requests: list[ModelRequest], *, copy: bool = False) -> list[list[Any]]:
        """Run the model once for all requests; returns the output tensors of each response, copied if requested."""
        split = self._forward(Batch(requests))
        sent = len(self._interface.outputs) - len(self._interface.states)
        specs = self._interface.outputs[:sent]
        written = [
            [
                write_tensor(spec, value, request.rows, copy=copy)
                for spec, value in zip(specs, values[:sent], strict=True)
            ]
            for request, values in zip(requests, split, strict=True)
        ]
        for request, values in zip(requests, split, strict=True):
            if self._sequences and request.position:
                self._sequences.keep(request.position, values[sent:])
        return written

    def _forward(self, batch: Batch) -> list[list[Any]]:
        positional, named = self._interface.arguments(batch.join(self._interface.inputs))
        results = self._interface.pick_outputs(self._module(*positional, **named))
        return batch.split(self._interface.outputs, results)


def _guard(parameters: dict[str, str], about: str) -> Any:
    """Return the context manager that disables gradients: `inference_mode`, or `no_grad` if INFERENCE_MODE is false."""
    for name in sorted(parameters.keys() - _PARAMETERS):
        print(f"{about}: the parameter {name} has no effect in the CPU image", file=sys.stderr, flush=True)
    value = parameters.get("INFERENCE_MODE", "true").lower()
    return torch.no_grad if value in {"false", "0"} else torch.inference_mode


def _response(tensors: list[Any]) -> Any:
    return pb.InferenceResponse(tensors)


def _error_response(error: Exception, prefix: str) -> Any:
    """Build an error response of one sentence: INVALID_ARG for a client error, INTERNAL for an error of the model.

    `prefix` marks errors of Triton's own warm-up requests.
    """
    if isinstance(error, TensorError) and error.is_client_error:
        return pb.InferenceResponse(error=pb.TritonError(f"{prefix}{error}", pb.TritonError.INVALID_ARG))
    message = f"{prefix}the model failed: {_reason(error)}"
    return pb.InferenceResponse(error=pb.TritonError(message, pb.TritonError.INTERNAL))


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, (TensorError, InterfaceError)) else reason_of(error)


def _count(parameters: dict[str, str], name: str) -> int:
    """Read a number of threads; the default is 1, because more threads than CPUs made requests 12 times slower."""
    value = parameters.get(name, "1")
    if not value.isdecimal() or int(value) < 1:
        raise pb.TritonModelException(
            f"config.pbtxt: parameter {name} is {value!r}, but must be an integer of at least 1"
        )
    return int(value)
