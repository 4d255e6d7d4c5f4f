"""Write the other files of a model folder, the configuration and the model card, and compare with a running server.

Input: the model file, and the result of the comparison. Output: `config.pbtxt` (optional) and `README.md` next to the
version folder. `exporter` and `aotinductor` call it. Requires torch.
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
    """The model repository (`folder`), the `version`, and whether to write config.pbtxt.

    `url` is HOST:PORT of the HTTP endpoint of a Triton that serves this repository, or "".
    """

    folder: Path
    version: int = 1
    with_config: bool = False
    url: str = ""


class Exported(NamedTuple):
    """The model file, its signature, the largest difference from the module's outputs, and the number of runs.

    `served` is the difference of the outputs of the server, or None without a server.
    """

    path: Path
    signature: Signature
    difference: float
    runs: int = 0
    served: float | None = None


def model_path(destination: Destination, name: str, model_format: Format = Format.TORCHSCRIPT) -> Path:
    """Return the path of the model file; Triton reads only one of the formats in a version folder."""
    return destination.folder / name / str(destination.version) / _FILES[model_format]


def finish(
    path: Path,
    module: nn.Module,
    comparison: Comparison,
    options: ExportOptions,
    destination: Destination,
    model_format: Format = Format.TORCHSCRIPT,
) -> Exported:
    """Write the files next to the model file, then compare with the server; raises ExportError."""
    folder = destination.folder / options.name
    if destination.with_config:
        write_config(options.name, comparison.signature, folder, model_format)
    data = CardData(path, model_format, comparison.signature, comparison.difference, len(comparison.runs), options)
    write_card(data, module, folder)
    served = compare_with_server(destination.url, options, comparison, destination.version) if destination.url else None
    if served is not None:
        write_card(data._replace(served=served), module, folder)
    return Exported(path, comparison.signature, comparison.difference, len(comparison.runs), served)
