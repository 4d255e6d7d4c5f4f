"""Compare the module with the form of a TorchScript file that a server runs: frozen, with optimized convolutions.

Input: a file, and recorded runs of the module. Output: the largest difference, or ExportError. The code that prepares
the file is that of the CPU backend. It runs in a child process, because an optimized form may crash for inputs for
which the module raises an error (for example, signal 11 for an empty tensor). `exporter` calls it. Requires torch.
"""

from __future__ import annotations

import io
import os
import pickle
import signal
import sys
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr, suppress
from pathlib import Path
from typing import Any, NamedTuple

import torch

from triton_operator import cpu_server
from triton_operator.export.drawing import zeros
from triton_operator.export.equivalence_check import RecordedRuns
from triton_operator.export.errors import ExportError
from triton_operator.export.forward_runs import Float64Module, Forward, ForwardRun, call_forward, describe_difference
from triton_operator.export.tensors import difference
from triton_operator.export.tolerance import for_another_order
from triton_operator.export.torch_message import sentence
from triton_operator.triton.model_file.signature import Signature

_BACKEND = Path(cpu_server.__file__).parent / "backend"

_TIMES_AS_FAR = 4
"""Permitted error of an optimized form relative to the float32 error of the module, both measured against float64. An
optimized form adds numbers in another order."""

_ADVICE = "Servers freeze a TorchScript module and optimize its convolutions"

_NOT_EMPTY = "keep tensors in forward() from becoming empty (lengths of at least 1, for instance)"


_MOST_SECONDS = 900
"""Time limit of the child process, which inherits locks of threads that it does not have, and could hang."""


class _Check(NamedTuple):
    path: Path
    module: Forward
    runs: tuple[ForwardRun, ...]
    signature: Signature
    tolerance: float

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(each.name for each in self.signature.outputs)


def compare_served(path: Path, module: Forward, recorded: RecordedRuns, tolerance: float) -> float:
    """Return the largest difference of the outputs in the CPU image; raises ExportError."""
    check = _Check(path, module, recorded.runs, recorded.signature, for_another_order(module, tolerance))
    if sys.platform != "linux":  # Elsewhere a process with threads cannot be copied.
        return _compare_all(check)
    return _in_child(lambda: _compare_all(check))


def _compare_all(check: _Check) -> float:
    """Compare all runs; then run zeros, which the default warm-up sends.

    The module may reject zeros, but must not crash.
    """
    served = _prepared(check.path, check.signature)
    reference = Float64Module(check.module)
    furthest = max(_compare(served, each, check, reference) for each in check.runs)
    with suppress(ExportError):
        call_forward(served, zeros(check.signature), "the served form returned")
    return furthest


def _prepared(path: Path, signature: Signature) -> Any:
    """Return the module in the form that the backend serves, which the backend chooses by a run on zeros."""
    sys.path.insert(0, str(_BACKEND))  # Its files import each other by name.
    try:
        import torchscript_file  # type: ignore[import-not-found,unused-ignore]
        import trial  # type: ignore[import-not-found,unused-ignore]
    finally:
        sys.path.remove(str(_BACKEND))
    module = torchscript_file.load(path)[0]
    with redirect_stderr(io.StringIO()):  # The choice of the form is only of interest in a server's log.
        try:
            return trial.choose(module, torchscript_file.forms(module), [(zeros(signature), {})], path.name)
        except trial.TrialError as error:
            raise ExportError(f"the module {error} for zeros, which the warm-up sends; {_NOT_EMPTY}") from error


def _compare(served: Forward, run: ForwardRun, check: _Check, reference: Float64Module) -> float:
    try:
        outputs = call_forward(served, run.arguments, "the served form returned")
    except ExportError as error:
        shapes = ", ".join(str(list(each.shape)) for each in run.arguments if isinstance(each, torch.Tensor))
        raise ExportError(
            f"{_ADVICE}, and that form fails for input {shapes}, which the module accepts: "
            f"{str(error).partition(': ')[2] or error}. Give convolutions a batch dimension inside forward() "
            "(x.unsqueeze(0)), or serve it with the parameter DISABLE_OPTIMIZED_EXECUTION"
        ) from error
    by = difference(run.outputs, outputs)
    if not by <= check.tolerance and not _is_rounding(run, outputs, check.tolerance, reference):
        where, amount = describe_difference(run.outputs, outputs, check.names)
        raise ExportError(
            f"{_ADVICE}, and in that form output {where} differs {amount}, and {check.tolerance:g} is allowed"
        )
    return by


def _is_rounding(run: ForwardRun, outputs: Any, tolerance: float, reference: Float64Module) -> bool:
    exact = reference.call(run.arguments)
    if exact is None or len(exact) != len(outputs):
        return False
    exact = [each.to(own.dtype) if isinstance(each, torch.Tensor) and isinstance(own, torch.Tensor) else each
             for each, own in zip(exact, run.outputs, strict=True)]  # fmt: skip
    return difference(exact, outputs) <= _TIMES_AS_FAR * difference(exact, run.outputs) + tolerance


def _in_child(work: Callable[[], float]) -> float:
    """Run `work` in a child process; raises its ExportError, and ExportError if the child crashes."""
    read, write = os.pipe()
    with warnings.catch_warnings(action="ignore"):  # Python warns about a fork with threads.
        child = os.fork()
    if not child:
        _work_and_end(work, write)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        data = pipe.read()
    _, status = os.waitpid(child, 0)
    if not data:
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        if number == signal.SIGALRM:
            raise ExportError(f"{_ADVICE}, and that form does not return all outputs within {_MOST_SECONDS} s")
        ended = f"signal {number} ({signal.strsignal(number)})" if number else f"status {status}"
        raise ExportError(
            f"{_ADVICE}, and that form ends the process with {ended} for an input that the module accepts or "
            f"rejects with an ordinary error, including the zeros of the warm-up; {_NOT_EMPTY}"
        )
    outcome = pickle.loads(data)  # noqa: S301 - written by the child process.
    if isinstance(outcome, str):
        raise ExportError(outcome)
    return float(outcome)


def _work_and_end(work: Callable[[], float], write: int) -> None:
    """Run in the child process: with one thread, as in a server instance, because other threads were not copied."""
    outcome: float | str
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(_MOST_SECONDS)
    try:
        torch.set_num_threads(1)
        outcome = work()
    except ExportError as error:
        outcome = str(error)
    except BaseException as error:  # noqa: BLE001 - the child must not return to the caller's code.
        outcome = f"{_ADVICE}, and that fails: {sentence(error) if isinstance(error, Exception) else error}"
    os.write(write, pickle.dumps(outcome))
    os._exit(0)
