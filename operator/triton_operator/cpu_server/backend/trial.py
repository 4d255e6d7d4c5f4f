"""Try the prepared forms of a module before it is served, in a child process that may crash.

Input: the loaded module, the forms it can be prepared in, and inputs. Output: the first form whose results equal those
of the module, otherwise the module. `model` calls it. An optimised form may fail where the module does not (a
convolution without a batch dimension), return different results, or crash the process, which would stop all models of
the server.
"""

from __future__ import annotations

import os
import signal
import sys
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from archive import reason_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_SECONDS = 120
"""Time limit: a forked process may wait for a thread that it does not have."""

_RUNS = 3
"""torch compiles a graph during its first two runs."""

_TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-3, torch.float16: 2e-2, torch.bfloat16: 1e-1}
"""Allowed absolute and relative difference by type, because sums are computed in another order."""

_MODULE_PASSED = b"own"


class TrialError(Exception):
    """The module itself crashes its process or exceeds the time limit."""


class Form(NamedTuple):
    """A form that a module can be prepared in; the log uses `name`."""

    name: str
    make: Callable[[], Any]


Call = tuple[list[Any], dict[str, Any]]
"""Positional and named arguments of forward()."""


def choose(module: Any, forms: Sequence[Form], calls: Sequence[Call], about: str) -> Any:
    """Return the module in the first form that passes, and report rejected forms on standard error.

    Raises `TrialError` if the module itself crashes its process.
    """
    for index, form in enumerate(forms):
        reason = _try(module, form, calls)
        if not reason:
            return form.make()
        instead = forms[index + 1].name if index + 1 < len(forms) else "as exported"
        print(f"{about} is served {instead}, not {form.name}: {reason}", file=sys.stderr, flush=True)
    return module


def _try(module: Any, form: Form, calls: Sequence[Call]) -> str:
    """The reason to reject a form; "" if it passes."""
    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python warns about forking a process with threads.
        child = os.fork()
    if not child:
        _run_child(module, form, calls, write)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        output = pipe.read()
    _, status = os.waitpid(child, 0)
    if status:
        if not output.startswith(_MODULE_PASSED):
            raise TrialError(_describe_exit(status))
        return f"in that form it {_describe_exit(status)}"
    return output.removeprefix(_MODULE_PASSED).decode()


def _describe_exit(status: int) -> str:
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    if number == signal.SIGALRM:
        return f"did not respond within {_SECONDS} s"
    return f"ended its process with {f'signal {number}' if number else f'exit code {os.WEXITSTATUS(status)}'}"


def _run_child(module: Any, form: Form, calls: Sequence[Call], write: int) -> None:
    code = 1
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(_SECONDS)
        torch.set_num_threads(1)
        with torch.inference_mode():
            expected = [_outcome(module, call) for call in calls]
            os.write(write, _MODULE_PASSED)
            os.write(write, _compare(form, calls, expected).encode())
        code = 0
    finally:
        os._exit(code)


def _compare(form: Form, calls: Sequence[Call], outcomes: Sequence[Any]) -> str:
    try:
        prepared = form.make()
    except Exception as error:  # noqa: BLE001 - the next form is tried.
        return f"it cannot be prepared in that form: {reason_of(error)}"
    for call, expected in zip(calls, outcomes, strict=True):
        for _ in range(_RUNS):
            actual = _outcome(prepared, call)
            if isinstance(expected, Exception):
                continue
            if isinstance(actual, Exception):
                return f"it fails only in that form: {reason_of(actual)}"
            if not _is_close(expected, actual):
                return "in that form it returns different results"
    return ""


def _outcome(module: Any, call: Call) -> Any:
    torch.manual_seed(0)
    positional, named = call
    try:
        return module(*map(_copy, positional), **{name: _copy(value) for name, value in named.items()})
    except Exception as error:  # noqa: BLE001 - an error is an outcome as well.
        return error


def _copy(value: Any) -> Any:
    """Copy an argument: a module that computes in place would pass other values to the next run."""
    if isinstance(value, dict):
        return {name: _copy(each) for name, each in value.items()}
    return value.clone() if isinstance(value, torch.Tensor) else value


def _is_close(expected: Any, actual: Any) -> bool:
    if isinstance(expected, torch.Tensor) and isinstance(actual, torch.Tensor):
        if expected.dtype != actual.dtype or expected.shape != actual.shape:
            return False
        tolerance = _TOLERANCE.get(expected.dtype, 0.0)
        if not tolerance or expected.layout is not torch.strided:
            return expected.layout is not torch.strided or torch.equal(expected, actual)
        return torch.allclose(actual.double(), expected.double(), rtol=tolerance, atol=tolerance, equal_nan=True)
    if isinstance(expected, (list, tuple)) and isinstance(actual, (list, tuple)):
        return len(expected) == len(actual) and all(map(_is_close, expected, actual))
    return bool(expected == actual) or isinstance(expected, dict)
