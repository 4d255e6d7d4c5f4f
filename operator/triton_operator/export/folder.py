"""The rest of a model's folder: its configuration where it is wanted, its card, and the question to a running server.

Input: a model's file that was written, and what the questions showed. Output: `config.pbtxt` and `README.md` next to
the version's folder. `exporter` and `aotinductor` call it. Needs torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from torch import nn

from triton_operator.api.model import Format
from triton_operator.export.card import CardData, write_card
from triton_operator.export.config import write_config
from triton_operator.export.equivalence_check import Comparison, ExportOptions
from triton_operator.export.served import compare_with_server
from triton_operator.triton.model_file.signature import Signature

_FILES = {Format.TORCHSCRIPT: "model.pt", Format.AOT_INDUCTOR: "model.pt2"}


class Destination(NamedTuple):
    """Where a model goes: the repository's `folder`, a `version`, and what else than the model's file is wanted there.

    `url` is HOST:PORT of the HTTP interface of a Triton that reads this repository, "" for none.
    """

    folder: Path
    version: int = 1
    with_config: bool = False
    url: str = ""


class Exported(NamedTuple):
    """What was written, and by how much answers differ from the module's own, in how many questions.

    `served` is that difference for the answers of the server that was named, None without one.
    """

    path: Path
    signature: Signature
    difference: float
    runs: int = 0
    served: float | None = None


def model_path(destination: Destination, name: str, model_format: Format = Format.TORCHSCRIPT) -> Path:
    """Where the model's file goes; the other format's file in the same version stays, and Triton reads one of them."""
    return destination.folder / name / str(destination.version) / _FILES[model_format]


def finish(
    path: Path,
    module: nn.Module,
    comparison: Comparison,
    options: ExportOptions,
    destination: Destination,
    model_format: Format = Format.TORCHSCRIPT,
) -> Exported:
    """Write the files next to the model file, then check the server; raises ExportError."""
    folder = destination.folder / options.name
    if destination.with_config:
        write_config(options.name, comparison.signature, folder, model_format)
    data = CardData(path, model_format, comparison.signature, comparison.difference, len(comparison.runs), options)
    write_card(data, module, folder)
    served = compare_with_server(destination.url, options, comparison, destination.version) if destination.url else None
    if served is not None:
        write_card(data._replace(served=served), module, folder)
    return Exported(path, comparison.signature, comparison.difference, len(comparison.runs), served)
