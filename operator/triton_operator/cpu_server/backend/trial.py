"""Try what the server made of a module before it serves: in a process of its own, whose end harms nobody.

Input: the module as it was loaded, the ways to prepare it, and inputs. Output: the first prepared form that answers as
the module itself does, else the module. Called by `model`. An optimised form may fail where the module does not (a
convolution without a batch dimension), answer otherwise, or end the process; then all models of the server would end.
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
"""A copy of a process may wait for a thread that was not copied."""

_RUNS = 3
"""torch compiles a graph during its first two runs."""

_TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-3, torch.float16: 2e-2, torch.bfloat16: 1e-1}
"""Of a value, of itself where it is above 1: the same sums in another order."""

_OWN = b"own"


class TrialError(Exception):
    """The module itself ends the process."""


class Form(NamedTuple):
    """One way to prepare a module; `name` is what a log calls the outcome."""

    name: str
    make: Callable[[], Any]


Call = tuple[list[Any], dict[str, Any]]
"""Positional and named arguments of forward()."""


def choose(module: Any, forms: Sequence[Form], calls: Sequence[Call], about: str) -> Any:
    """Give the module in the first form that passes, and say on standard error why not in one before it.

    Raises `TrialError` when the module itself ends the process.
    """
    for index, form in enumerate(forms):
        reason = _try(module, form, calls)
        if not reason:
            return form.make()
        instead = forms[index + 1].name if index + 1 < len(forms) else "as it was exported"
        print(f"{about} is served {instead}, not {form.name}: {reason}", file=sys.stderr, flush=True)
    return module


def _try(module: Any, form: Form, calls: Sequence[Call]) -> str:
    """Say what is wrong with a form, "" when nothing is."""
    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # A copy of a process with threads: this one starts none.
        child = os.fork()
    if not child:
        _be_child(module, form, calls, write)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    if status:
        if not said.startswith(_OWN):
            raise TrialError(_ended(status))
        return f"in that form it {_ended(status)}"
    return said.removeprefix(_OWN).decode()


def _ended(status: int) -> str:
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    if number == signal.SIGALRM:
        return f"did not answer within {_SECONDS} s"
    return f"ended its process with {f'signal {number}' if number else f'exit code {os.WEXITSTATUS(status)}'}"


def _be_child(module: Any, form: Form, calls: Sequence[Call], write: int) -> None:
    code = 1
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(_SECONDS)
        torch.set_num_threads(1)
        with torch.inference_mode():
            own = [_answer(module, call) for call in calls]
            os.write(write, _OWN)
            os.write(write, _compare(form, calls, own).encode())
        code = 0
    finally:
        os._exit(code)


def _compare(form: Form, calls: Sequence[Call], own: Sequence[Any]) -> str:
    try:
        prepared = form.make()
    except Exception as error:  # noqa: BLE001 - it is prepared otherwise then.
        return f"it cannot be prepared so: {reason_of(error)}"
    for call, expected in zip(calls, own, strict=True):
        for _ in range(_RUNS):
            given = _answer(prepared, call)
            if isinstance(expected, Exception):
                continue
            if isinstance(given, Exception):
                return f"in that form it fails where it does not otherwise: {reason_of(given)}"
            if not _alike(expected, given):
                return "in that form it answers otherwise"
    return ""


def _answer(module: Any, call: Call) -> Any:
    torch.manual_seed(0)
    positional, named = call
    try:
        return module(*positional, **named)
    except Exception as error:  # noqa: BLE001 - an error is an answer, too.
        return error


def _alike(expected: Any, given: Any) -> bool:
    if isinstance(expected, torch.Tensor) and isinstance(given, torch.Tensor):
        if expected.dtype != given.dtype or expected.shape != given.shape:
            return False
        tolerance = _TOLERANCE.get(expected.dtype, 0.0)
        if not tolerance or expected.layout is not torch.strided:
            return expected.layout is not torch.strided or torch.equal(expected, given)
        return torch.allclose(given.double(), expected.double(), rtol=tolerance, atol=tolerance, equal_nan=True)
    if isinstance(expected, (list, tuple)) and isinstance(given, (list, tuple)):
        return len(expected) == len(given) and all(map(_alike, expected, given))
    return bool(expected == given) or isinstance(expected, dict)
