"""Compiles a module, asks it and its compiled form the same questions, and writes the model's file.

Enters: a module with examples, and names. Leaves: `<folder>/<name>/<version>/model.pt`. Needs torch;
`triton_operator.export` is the way in.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeAlias

import torch
from torch import nn

from triton_operator.export.archive import write_archive
from triton_operator.export.errors import ExportError
from triton_operator.export.naming import check_model_name, choose_input_names, choose_output_names
from triton_operator.export.tensors import Value, difference, joined, read_tensors, read_values
from triton_operator.triton.signature import Signature

Arguments: TypeAlias = Sequence[Value] | torch.Tensor
"""Positional arguments of forward(): tensors, and lists of str for text; one tensor may stand for itself."""

TOLERANCE = 1e-5
"""Largest difference between the module's answer and its compiled form's: the same sums on the same processor."""

MODEL_FILE = "model.pt"


class Contract(NamedTuple):
    """What the user decides: the model's name, its tensors' names ("" by position), the largest batch (0: none)."""

    name: str
    input_names: tuple[str, ...] = ()
    output_names: tuple[str, ...] = ()
    max_batch_size: int = 0


class Exported(NamedTuple):
    """What was written, and by how much the compiled module's answers differ from the module's own."""

    path: Path
    signature: Signature
    difference: float


def export(
    module: nn.Module, examples: Sequence[Arguments], contract: Contract, folder: Path, *, trace: bool, version: int
) -> Exported:
    """Write the model; raises ExportError."""
    check_model_name(contract.name)
    questions = [_as_sequence(each) for each in examples]
    compiled = compile_module(module.eval(), questions[0], trace=trace)
    signature, furthest = agree(module, compiled, questions, contract)
    path = folder / contract.name / str(version) / MODEL_FILE
    save(compiled, path, signature)
    return Exported(path, signature, furthest)


def export_file(
    source: Path, examples: Sequence[Arguments], contract: Contract, folder: Path, *, version: int
) -> Exported:
    """Give a TorchScript file its signature; everything else in it stays. Raises ExportError."""
    check_model_name(contract.name)
    try:
        compiled = load(source).eval()
    except (RuntimeError, ValueError) as error:
        raise ExportError(f"{source} cannot be loaded: {_sentence(error)}") from error
    signature, _ = agree(compiled, compiled, [_as_sequence(each) for each in examples], contract)
    path = folder / contract.name / str(version) / MODEL_FILE
    write_archive(source, path, signature)
    return Exported(path, signature, 0.0)


def compile_module(module: nn.Module, example: Sequence[Value], *, trace: bool) -> torch.jit.ScriptModule:
    """The module as TorchScript; raises ExportError with torch's own sentence."""
    try:
        with deprecation_known(), torch.inference_mode(mode=False), torch.no_grad():
            compiled = _trace(module, example) if trace else torch.jit.script(module)
    except Exception as error:
        way = "traced" if trace else "scripted; trace=True records one run instead, where no `if` decides by values"
        raise ExportError(f"the module cannot be {way}: {_sentence(error)}") from error
    assert isinstance(compiled, torch.jit.ScriptModule), type(compiled)  # noqa: S101 - a module goes in
    return compiled


def agree(
    module: nn.Module, compiled: torch.jit.ScriptModule, examples: Sequence[Sequence[Value]], contract: Contract
) -> tuple[Signature, float]:
    """The signature that all examples bear out, and the largest difference; raises ExportError."""
    answers, furthest = [], 0.0
    for example in examples:
        own = read_values(_ask(module, example), "forward() returned")
        furthest = max(furthest, _compare(own, read_values(_ask(compiled, example), "TorchScript returned")))
        answers.append(own)
    if contract.max_batch_size:
        _check_batch(compiled, examples[0], answers[0])
    batched = contract.max_batch_size > 0
    arguments = [each.name for each in compiled.forward.schema.arguments[1:]]  # type: ignore[attr-defined]
    inputs = choose_input_names(arguments, contract.input_names, len(examples[0]))
    outputs = choose_output_names(contract.output_names, len(answers[0]))
    signature = Signature(
        inputs=read_tensors(inputs, [read_values(tuple(each), "an example has") for each in examples], batched=batched),
        outputs=read_tensors(outputs, answers, batched=batched),
        max_batch_size=contract.max_batch_size,
    )
    return signature, furthest


def save(compiled: torch.jit.ScriptModule, path: Path, signature: Signature | None) -> None:
    """Write a compiled module with its signature: the same model always becomes the same bytes."""
    with tempfile.TemporaryDirectory(prefix="triton-operator-export-") as folder:
        draft = Path(folder, "archive")  # torch calls the folder inside the archive after the file.
        with deprecation_known():
            torch.jit.save(compiled, draft)
        write_archive(draft, path, signature)


def load(path: Path) -> torch.jit.ScriptModule:
    """Read a TorchScript file onto the processor; torch raises RuntimeError or ValueError for any other file."""
    with deprecation_known():
        module: torch.jit.ScriptModule = torch.jit.load(path, map_location="cpu")  # type: ignore[no-untyped-call]
    return module


@contextmanager
def deprecation_known() -> Iterator[None]:
    """Silence PyTorch's advice to leave TorchScript for torch.export (a FutureWarning since 2.10).

    Triton's PyTorch backend serves TorchScript, and on a processor nothing else. The advice would come once per layer.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"`torch\.jit\.\w+` is deprecated", category=FutureWarning)
        warnings.filterwarnings("ignore", message=r"`torch\.jit\.\w+` is deprecated", category=DeprecationWarning)
        yield


def _trace(module: nn.Module, example: Sequence[Value]) -> object:
    return torch.jit.trace(module, tuple(example))  # type: ignore[no-untyped-call]


def _as_sequence(example: Arguments) -> Sequence[Value]:
    """As with torch.jit.trace; a tensor that is left alone would be taken apart by its rows."""
    return (example,) if isinstance(example, torch.Tensor) else tuple(example)


def _ask(module: nn.Module | torch.jit.ScriptModule, example: Sequence[Value]) -> object:
    try:
        with torch.inference_mode():
            return module(*example)
    except Exception as error:
        raise ExportError(f"the module does not take the example: {_sentence(error)}") from error


def _compare(own: Sequence[Value], compiled: Sequence[Value]) -> float:
    furthest = difference(own, compiled)
    if not furthest <= TOLERANCE:
        raise ExportError(
            f"the compiled module answers differently: by {furthest:g}, and {TOLERANCE:g} is allowed. "
            "Tracing keeps one path through `if` and `for`; random numbers differ from call to call"
        )
    return furthest


def _check_batch(compiled: torch.jit.ScriptModule, example: Sequence[Value], answer: Sequence[Value]) -> None:
    """Two batches in one: a module that mixes its rows, or that knows one batch size alone, cannot be batched."""
    rows = {len(each) for each in (*example, *answer) if not (isinstance(each, torch.Tensor) and each.dim() == 0)}
    if len(rows) != 1 or any(isinstance(each, torch.Tensor) and each.dim() == 0 for each in (*example, *answer)):
        raise ExportError(
            "with max_batch_size the first dimension of every input and output is the batch, and here they differ; "
            "leave max_batch_size out for a model without a batch"
        )
    twice = read_values(_ask(compiled, [joined(each) for each in example]), "TorchScript returned")
    if [len(each) for each in twice] != [2 * len(each) for each in answer]:
        raise ExportError("a batch of twice the size does not give twice the rows: the model cannot be batched")


def _sentence(error: Exception) -> str:
    """The last line of torch's message that says something; what is before it is a trace of the model's code."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip(" ~<->.^\t")]
    return lines[0] if len(lines) == 1 else " | ".join(lines[:1] + lines[-1:]) if lines else type(error).__name__
