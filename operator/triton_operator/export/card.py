"""The card of an exported model: README.md in its folder, which Triton ignores there and people read.

Input: what was written and what the checks showed. Output: the file. No date and no name of a machine is in it, so the
same model has the same card. A README.md that somebody else wrote stays as it is: `training` has richer cards.
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
from triton_operator.export.tensors import remark
from triton_operator.triton.model_file.signature import Signature, TensorSpec

FILE_NAME = "README.md"
_MARK = "<!-- Written by triton_operator.export; an export of the same name overwrites it. -->"


class CardData(NamedTuple):
    """What a card tells besides the module itself. Differences are the largest of any value (`questions` says how)."""

    path: Path
    model_format: Format
    signature: Signature
    difference: float
    runs: int
    options: ExportOptions
    served: float | None = None


def write_card(data: CardData, module: nn.Module, folder: Path) -> bool:
    """Write the card; False where somebody else's README.md lies in its place."""
    path = folder / FILE_NAME
    if path.exists() and _MARK not in path.read_text(encoding="utf-8", errors="replace"):
        return False
    path.write_text(card_text(data, module), encoding="utf-8")
    return True


def card_text(data: CardData, module: nn.Module) -> str:
    """The whole card."""
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
    says = f"Batches up to {batch}; the batch is in no shape." if batch else "No batches."
    return "\n".join(["## Inputs and outputs", "", "| | name | type and shape |", "|---|---|---|", *rows, "", says])


def _row(way: str, tensor: TensorSpec, batch: int) -> str:
    name = tensor.name.replace("|", "\\|")
    noted = remark(tensor, batched=batch > 0)
    return f"| {way} | `{name}` | {tensor.shown}{f'; {noted}' if noted else ''} |"


def _checks(data: CardData) -> str:
    """Which answers were compared with the module's own, and what they may differ by."""
    allowed = f"allowed is {data.options.tolerance:g}"
    asked = (
        f"- {data.runs} questions, examples and drawn ones of several batch sizes: the {data.model_format} form "
        f"answers within {data.difference:.2g} of the module in eager PyTorch ({allowed})."
    )
    lines = ["## Checks", "", asked, "- The same question gets the same answer again: the module keeps no state."]
    if data.options.max_batch_size > 1:
        lines.append(f"- A row gives the same output alone and together with other rows ({allowed}).")
    if data.served is None:
        lines.append("- No server was asked.")
    else:
        lines.append(f"- The same questions, asked of Triton over HTTP: within {data.served:.2g} ({allowed}).")
    return "\n".join(lines)


def _libraries() -> str:
    names = [f"{name} {version(name)}" for name in ("torch", "triton-operator")]
    return ", ".join([f"Python {platform.python_version()}", *names]) + "."
