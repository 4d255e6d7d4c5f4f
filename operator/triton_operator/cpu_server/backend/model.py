"""Triton's `pytorch` backend on a machine without a GPU: serves models of torch through Triton's Python interface.

Input: requests of one model, from Triton's helper process. Output: one response for each. Triton loads this file
because `backends/pytorch/` holds no `libtriton_pytorch.so`; the model's files are the same ones that the native backend
of NVIDIA's images serves, and so are the rules (`interface`). One request that fails spoils no other of its batch, and
clients get one sentence, never a Python trace.

The same files are the backend `aotinductor`. In NVIDIA's images that is `pytorch` too, told by the platform
`torch_aoti`, which a Triton before 26.03 refuses.
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
from batching import Batch, Request
from interface import Interface, InterfaceError, read_interface
from reading import Reader
from sequences import Sequences
from tensors import RowsError, TensorError, write_tensor
from trial import Form, TrialError, choose
from warmup import REMEDY, Sample, WarmUp, describe, of_zeros, samples

_FILES = {"aotinductor": aotinductor_file}
"""What reads the files of a backend; of any other name it is `pytorch`."""

_PARAMETERS = {"DISABLE_OPTIMIZED_EXECUTION", "INFERENCE_MODE", "INTRA_OP_THREAD_COUNT", "INTER_OP_THREAD_COUNT"}
_TRIED = 2
"""With so many forms there is a better and a safer one."""


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
        self._about = f"model '{config['name']}' version {args['model_version']}"
        self._batched = int(config.get("max_batch_size", 0)) > 0
        self._sequences = Sequences(config) if self._interface.states else None
        self._remembers = config.get("sequence_batching") is not None and not self._interface.states
        self._reader = Reader(self._interface, self._sequences, batched=self._batched)
        self._guard = _guard(parameters, self._about)
        warm_up = samples(config, self._interface, Path(args["model_repository"]))
        self._module = self._prepared(file.forms(module) if optimized else [], module, warm_up)
        self._joins = self._remembers or self._may_join(file.why_alone(self._module, self._interface))
        with self._guard():
            self._warm_up(warm_up)
            if self._batched and self._joins is None:
                self._joins = self._try_rows(of_zeros(self._interface, batched=self._batched))
        self._warmup = WarmUp(config, self._interface, self._about)
        gc.collect()
        gc.freeze()  # What is loaded stays; the collector need not look at it again with each request.

    def _prepared(self, forms: list[Form], module: Any, warm_up: list[Sample]) -> Any:
        """Give the module in the best form that answers as it does itself, on the warm-up's data or on zeros."""
        if len(forms) < _TRIED:
            return forms[0].make() if forms else module
        requests = [each.request for each in warm_up] or [of_zeros(self._interface, batched=self._batched)]
        batches = [Batch([request] * count) for request in requests for count in ((1, 2) if self._batched else (1,))]
        try:
            calls = [self._interface.arguments(batch.join(self._interface.inputs)) for batch in batches]
            return choose(module, forms, calls, self._about)
        except TrialError as error:
            self._refuse(str(error))
        except Exception as error:  # noqa: BLE001 - such a request cannot be made: nothing is known of the best form.
            print(f"{self._about} is served {forms[-1].name}: {_reason(error)}", file=sys.stderr, flush=True)
        return forms[-1].make()

    def _warm_up(self, warm_up: list[Sample]) -> None:
        """Make the requests that Triton is going to make, which for one that fails crashes in every second start.

        Raises what Triton takes as the reason why the model does not load.
        """
        for sample in warm_up:
            try:
                if sample.is_certain and not self._sequences and not self._remembers:
                    self._compute([sample.request])
            except Exception as error:  # noqa: BLE001 - whatever a model raises.
                self._refuse(f"{_reason(error)}{describe(self._interface, sample.request)}")

    def _refuse(self, reason: str) -> None:
        told = " ".join(f"warm-up of {self._about} failed: {reason}; {REMEDY}".split())
        print(told, file=sys.stderr, flush=True)
        raise pb.TritonModelException(told) from None

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer each request; those that Triton batched run together when they fit together."""
        sent = [self._reader.read(request) for request in requests]
        outcomes: list[Any] = list(sent)
        ready = [index for index, outcome in enumerate(outcomes) if isinstance(outcome, Request)]
        with self._guard():
            answers = self._answer([outcomes[index] for index in ready])
        for index, answer in zip(ready, answers, strict=True):
            outcomes[index] = answer
        about = self._warmup.watch(
            [each if isinstance(each, Request) else None for each in sent],
            [_reason(each) if isinstance(each, Exception) else None for each in outcomes],
        )
        return [_error_response(each, about) if isinstance(each, Exception) else _response(each) for each in outcomes]

    def _answer(self, requests: list[Request]) -> list[Any]:
        """Give the response's tensors for each request, or the exception that it caused."""
        if len(requests) > 1 and self._batched and self._run_together(requests):
            try:
                return self._compute(requests)
            except Exception as error:  # noqa: BLE001 - one of them spoils the batch: find out which.
                if self._remembers:  # It cannot be asked twice, nor in other slots.
                    return [error] * len(requests)
                if isinstance(error, RowsError):
                    self._joins = self._may_join(str(error))
        return [self._answer_alone(request) for request in requests]

    def _answer_alone(self, request: Request) -> Any:
        try:
            return self._compute([request])[0]
        except Exception as error:  # noqa: BLE001 - whatever a model raises is the answer to this request alone.
            return error

    def _may_join(self, why_not: str) -> bool | None:
        """Say why callers' requests are not computed as one from now on; None where it is still to be tried."""
        if why_not and self._batched:
            print(f"{self._about} answers requests one by one: {why_not}", file=sys.stderr, flush=True)
        return False if why_not else None

    def _run_together(self, requests: list[Request]) -> bool:
        """Whether callers' requests may run as one, seen on one of them if it is not known yet."""
        if self._joins is None:
            self._joins = self._try_rows(min(requests, key=lambda request: request.rows or 0))
        return bool(self._joins)

    def _try_rows(self, request: Request) -> bool | None:
        """Compute one request alone and twice as one, and see whether the outputs have its rows both times.

        One batch cannot show it: three rows of three numbers look the same the other way round. None if it cannot be
        told, because the model refuses the request.
        """
        try:
            self._forward(Batch([request]))
            self._forward(Batch([request, request]))
        except RowsError as error:
            return self._may_join(str(error))
        except Exception:  # noqa: BLE001 - it may be a bad one, which says nothing of others.
            return None
        return True

    def _compute(self, requests: list[Request]) -> list[list[Any]]:
        """Run the model once for all of them; each one's outputs as the response has them."""
        parted = self._forward(Batch(requests))
        sent = len(self._interface.outputs) - len(self._interface.states)
        entries = self._interface.outputs[:sent]
        written = [
            [write_tensor(entry, value, request.rows) for entry, value in zip(entries, values[:sent], strict=True)]
            for request, values in zip(requests, parted, strict=True)
        ]
        for request, values in zip(requests, parted, strict=True):
            if self._sequences and request.place:
                self._sequences.keep(request.place, values[sent:])
        return written

    def _forward(self, batch: Batch) -> list[list[Any]]:
        positional, named = self._interface.arguments(batch.join(self._interface.inputs))
        results = self._interface.pick_outputs(self._module(*positional, **named))
        return batch.split(self._interface.outputs, results)


def _guard(parameters: dict[str, str], about: str) -> Any:
    """Give what a model runs under: nothing is recorded for gradients; INFERENCE_MODE false lets it use its tensors."""
    for name in sorted(parameters.keys() - _PARAMETERS):
        print(f"{about}: the parameter {name} has no effect in the CPU image", file=sys.stderr, flush=True)
    value = parameters.get("INFERENCE_MODE", "true").lower()
    return torch.no_grad if value in {"false", "0"} else torch.inference_mode


def _response(tensors: list[Any]) -> Any:
    return pb.InferenceResponse(tensors)


def _error_response(error: Exception, about: str) -> Any:
    """Say what is wrong in one sentence: the caller's fault as INVALID_ARG, the model's as INTERNAL.

    `about` begins the sentence when nobody but Triton asked, for its warm-up.
    """
    if isinstance(error, TensorError) and error.of_the_caller:
        return pb.InferenceResponse(error=pb.TritonError(f"{about}{error}", pb.TritonError.INVALID_ARG))
    told = f"{about}the model failed: {_reason(error)}"
    return pb.InferenceResponse(error=pb.TritonError(told, pb.TritonError.INTERNAL))


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, (TensorError, InterfaceError)) else reason_of(error)


def _count(parameters: dict[str, str], name: str) -> int:
    """Read a number of threads; one by default: more than the CPU limit made requests 12 times slower."""
    value = parameters.get(name, "1")
    if not value.isdecimal() or int(value) < 1:
        raise pb.TritonModelException(f"config.pbtxt: parameter {name} is {value!r}, but must be a number from 1 up")
    return int(value)
