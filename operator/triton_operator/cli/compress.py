"""`tritonctl compress`: prune or quantize a PyTorch module, and export it if it stays accurate enough.

Input: the module, a method, and a function that scores a module. Output: the same files as `export`, or exit status 1
and no files. The user's own Python files are executed.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from triton_operator.cli.export import FORMATS, ExportFormat, export_errors, print_exported
from triton_operator.cli.terminal.spinner import spinner

EPILOG = """\b
Examples:
  tritonctl compress net.py:Digits --evaluate net.py:accuracy --method int8 --input FP32:1,28,28 --max-batch-size 64
  tritonctl compress net.py:build --weights digits.ckpt --evaluate net.py:accuracy --method prune-channels \\
    --sparsity 0.3 --fine-tune net.py:train --max-drop 0.005 --input FP32:1,28,28 --name digits-small
\b
The --evaluate function takes a module and returns a score, where higher is better: for example, the accuracy on data
that was not used for training. The --fine-tune function takes a pruned module and trains it in place. For inputs and
names, see `tritonctl export --help`.
"""


class MethodChoice(StrEnum):
    """The methods of `triton_operator.export.compression`, which cannot be imported without torch."""

    PRUNE = "prune"
    PRUNE_CHANNELS = "prune-channels"
    INT8 = "int8"
    FP16 = "fp16"


def compress(
    source: Annotated[str, typer.Argument(metavar="FILE.py:NAME", help="Module to compress.")],
    evaluate: Annotated[str, typer.Option("--evaluate", metavar="FILE.py:NAME", help="Function that scores a module.")],
    method: Annotated[MethodChoice, typer.Option("--method", help="Compression method.")],
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            "-i",
            metavar="[NAME:]TYPE:DIMS[@LOW..HIGH]",
            help="An input, as for `tritonctl export`; repeatable.",
        ),
    ] = None,
    examples: Annotated[
        list[Path] | None,
        typer.Option("--example", metavar="FILE", help="Example inputs, as for `tritonctl export`; repeatable."),
    ] = None,
    max_drop: Annotated[
        float, typer.Option("--max-drop", metavar="DROP", min=0.0, help="Maximum accepted drop in the score.")
    ] = 0.01,
    sparsity: Annotated[
        float,
        typer.Option(
            "--sparsity", metavar="FRACTION", help="Fraction of weights, or of each layer's channels, to prune."
        ),
    ] = 0.5,
    fine_tune: Annotated[
        str, typer.Option("--fine-tune", metavar="FILE.py:NAME", help="Function that trains a pruned module further.")
    ] = "",
    weights: Annotated[
        Path | None, typer.Option("--weights", metavar="FILE", help="Checkpoint (state_dict) to load first.")
    ] = None,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="Model name; by default, the file's name.")] = "",
    max_batch_size: Annotated[
        int,
        typer.Option(
            "--max-batch-size", metavar="ROWS", min=0, help="Maximum batch size; 0 if the model has no batch dimension."
        ),
    ] = 0,
    file_format: Annotated[ExportFormat, typer.Option("--format", help="As for `export`.")] = ExportFormat.TORCHSCRIPT,
    folder: Annotated[Path, typer.Option("--to", metavar="DIR", help="Model repository to write to.")] = Path(),
    version: Annotated[int, typer.Option("--version", metavar="N", min=1, help="Model version.")] = 1,
    trace: Annotated[bool, typer.Option("--trace", help="Trace the module instead of scripting it.")] = False,
    tolerance: Annotated[
        float,
        typer.Option(
            "--tolerance",
            metavar="DIFFERENCE",
            min=0.0,
            help="Maximum difference between the outputs of the exported model and the compressed module; "
            "recurrent layers in int8 need 0.05.",
        ),
    ] = 1e-5,
    with_config: Annotated[bool, typer.Option("--with-config", help="Also write config.pbtxt.")] = False,
) -> None:
    """Prune or quantize a PyTorch module, and export it if it stays accurate enough.

    Nothing is written if the score drops by more than --max-drop.
    """
    from triton_operator.export.request import CompressionRequest, ExportRequest, check

    request = ExportRequest(
        source,
        tuple(inputs or ()),
        name,
        max_batch_size,
        trace=trace,
        model_format=FORMATS[file_format],
        tolerance=tolerance,
        examples=tuple(examples or ()),
    )
    compression = CompressionRequest(method.value, evaluate, max_drop, sparsity, fine_tune, weights)
    with export_errors(folder, "compressing", "compress"):
        check(request, compression)
        from triton_operator.export import compressed_source
        from triton_operator.export.folder import Destination

        with spinner("compressing"):
            compressed, exported = compressed_source.run(
                request, compression, Destination(folder, version, with_config)
            )
    print_exported(exported)
    typer.echo(f"  score {compressed.after:.6g}, {compressed.before:.6g} before compression")
