"""Write the model card: README.md in the model folder, which Triton ignores.

Input: what was written, and the results of the checks. Output: the file. It contains no date and no host name, so the
same model has the same card. A README.md from another source is kept; `training` writes more detailed cards.
"""

from __future__ import annotations

import hashlib
import platform
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from torch import nn

from triton_operator.api.model import Format
from triton_operator.export.equivalence_check import ExportOptions
from triton_operator.export.tensors import note
from triton_operator.triton.model_file.signature import Signature, TensorSpec

FILE_NAME = "README.md"
_MARK = "<!-- Written by triton_operator.export; an export of the same name overwrites it. -->"


class CardData(NamedTuple):
    """The content of a card, except for the module; `equivalence_check` describes the differences."""

    path: Path
    model_format: Format
    signature: Signature
    difference: float
    runs: int
    options: ExportOptions
    served: float | None = None


def write_card(data: CardData, module: nn.Module, folder: Path) -> bool:
    """Write the card; False if the folder has a README.md from another source."""
    path = folder / FILE_NAME
    if path.exists() and _MARK not in path.read_text(encoding="utf-8", errors="replace"):
        return False
    path.write_text(card_text(data, module), encoding="utf-8")
    return True


def card_text(data: CardData, module: nn.Module) -> str:
    """Return the card as Markdown."""
    parts = [f"# {data.options.name}", _MARK, _sizes(data, module), _tensors(data.signature), _checks(data)]
    parts += [f"## Architecture\n\n```text\n{module}\n```", f"## Libraries\n\n{_libraries()}"]
    return "\n\n".join(parts) + "\n"


def _sizes(data: CardData, module: nn.Module) -> str:
    content = data.path.read_bytes()
    file = f"`{data.path.parent.name}/{data.path.name}`"
    lines = [
        f"{data.model_format} in {file}: {len(content):,} bytes, SHA-256 `{hashlib.sha256(content).hexdigest()}`.",
        f"{sum(each.numel() for each in module.parameters()):,} parameters"
        + "".join(f"; {count:,} values of {kind}" for kind, count in sorted(_kinds(module).items()))
        + ".",
    ]
    return "\n".join(lines)


def _kinds(module: nn.Module) -> dict[str, int]:
    kinds: dict[str, int] = {}
    for tensor in (*module.parameters(), *module.buffers()):
        kind = str(tensor.dtype).removeprefix("torch.")
        kinds[kind] = kinds.get(kind, 0) + tensor.numel()
    return kinds


def _tensors(signature: Signature) -> str:
    batch = signature.max_batch_size
    rows = [_row("in", each, batch) for each in signature.inputs]
    rows += [_row("out", each, batch) for each in signature.outputs]
    says = f"Batches up to {batch}; the shapes exclude the batch dimension." if batch else "No batches."
    return "\n".join(["## Inputs and outputs", "", "| | name | type and shape |", "|---|---|---|", *rows, "", says])


def _row(way: str, tensor: TensorSpec, batch: int) -> str:
    name = tensor.name.replace("|", "\\|")
    text = note(tensor, batched=batch > 0)
    return f"| {way} | `{name}` | {tensor.shown}{f'; {text}' if text else ''} |"


def _checks(data: CardData) -> str:
    """Describe which outputs were compared with the module's, and the permitted difference."""
    allowed = f"allowed is {data.options.tolerance:g}"
    compared = (
        f"- {data.runs} runs, on the examples and on generated inputs of several batch sizes: the outputs of the "
        f"{data.model_format} model are within {data.difference:.2g} of the module's in eager PyTorch ({allowed})."
    )
    lines = ["## Checks", "", compared, "- Repeated inputs give the same outputs: the module keeps no state."]
    if data.options.max_batch_size > 1:
        lines.append(f"- A row gives the same output alone and together with other rows ({allowed}).")
    if data.served is None:
        lines.append("- Not compared with a running server.")
    else:
        lines.append(f"- The same inputs, sent to Triton over HTTP: outputs within {data.served:.2g} ({allowed}).")
    return "\n".join(lines)


def _libraries() -> str:
    names = [f"{name} {version(name)}" for name in ("torch", "triton-operator")]
    return ", ".join([f"Python {platform.python_version()}", *names]) + "."
