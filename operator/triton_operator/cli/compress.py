"""`tritonctl compress`: a smaller form of a PyTorch module as a folder that Triton serves, if it is still good enough.

Input: the module, a method, and a function that judges a module. Output: what `export` leaves, or exit status 1 and
nothing written. The Python files are the user's own and are run.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from triton_operator.cli.export import FORMATS, Kind, print_exported, refusals
from triton_operator.cli.terminal.spinner import spinner

EPILOG = """\b
Examples:
  tritonctl compress net.py:Digits --evaluate net.py:accuracy --method int8 --input FP32:1,28,28 --max-batch-size 64
  tritonctl compress net.py:build --weights digits.ckpt --evaluate net.py:accuracy --method prune-channels \\
    --sparsity 0.3 --fine-tune net.py:train --max-drop 0.005 --input FP32:1,28,28 --name digits-small
\b
The evaluation takes a module and returns a number, higher is better: accuracy on data that it was not trained with.
A fine-tuning takes a pruned module and trains it in place. Inputs and names are as with `tritonctl export`.
"""


class Method(StrEnum):
    """As `triton_operator.export.compression` has them, which needs torch; int8 suits the format that is asked."""

    PRUNE = "prune"
    PRUNE_CHANNELS = "prune-channels"
    INT8 = "int8"
    FP16 = "fp16"


def compress(
    source: Annotated[str, typer.Argument(metavar="FILE.py:NAME", help="What to compress.")],
    evaluate: Annotated[str, typer.Option("--evaluate", metavar="FILE.py:NAME", help="What judges a module.")],
    method: Annotated[Method, typer.Option("--method", help="What is done to it.")],
    inputs: Annotated[
        list[str] | None,
        typer.Option("--input", "-i", metavar="[NAME:]TYPE:DIMS[@LOW..HIGH]", help="As with `export`; repeat it."),
    ] = None,
    examples: Annotated[
        list[Path] | None, typer.Option("--example", metavar="FILE", help="As with `export`; repeat it.")
    ] = None,
    max_drop: Annotated[
        float, typer.Option("--max-drop", min=0.0, help="By how much the score may fall; by more, nothing is written.")
    ] = 0.01,
    sparsity: Annotated[
        float, typer.Option("--sparsity", help="Share of weights, or of each layer's channels, that pruning takes.")
    ] = 0.5,
    fine_tune: Annotated[
        str, typer.Option("--fine-tune", metavar="FILE.py:NAME", help="What trains a pruned module a little more.")
    ] = "",
    weights: Annotated[
        Path | None, typer.Option("--weights", metavar="FILE", help="A checkpoint (state_dict) to load first.")
    ] = None,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="The model's name; without it the file's.")] = "",
    max_batch_size: Annotated[
        int, typer.Option("--max-batch-size", min=0, help="Largest batch; 0: the first dimension is no batch.")
    ] = 0,
    kind: Annotated[Kind, typer.Option("--format", help="As with `export`.")] = Kind.TORCHSCRIPT,
    folder: Annotated[Path, typer.Option("--to", metavar="DIR", help="Repository to write to.")] = Path(),
    version: Annotated[int, typer.Option("--version", min=1, help="The model's version.")] = 1,
    trace: Annotated[bool, typer.Option("--trace", help="Trace instead of scripting.")] = False,
    tolerance: Annotated[
        float,
        typer.Option(
            "--tolerance", min=0.0, help="Largest difference of the exported form; recurrent layers in int8 need 0.05."
        ),
    ] = 1e-5,
    with_config: Annotated[bool, typer.Option("--with-config", help="Write config.pbtxt, too.")] = False,
) -> None:
    """Write DIR/NAME as `export` does, of a smaller form of the module, unless it is worse by more than --max-drop."""
    from triton_operator.export.request import Request, Wish, check

    request = Request(
        source,
        tuple(inputs or ()),
        name,
        max_batch_size,
        trace=trace,
        model_format=FORMATS[kind],
        tolerance=tolerance,
        examples=tuple(examples or ()),
    )
    wish = Wish(method.value, evaluate, max_drop, sparsity, fine_tune, weights)
    with refusals(folder, "compressing", "compress"):
        check(request, wish)
        from triton_operator.export import compressed_source
        from triton_operator.export.folder import Place

        with spinner("compressing"):
            compressed, exported = compressed_source.run(request, wish, Place(folder, version, with_config))
    print_exported(exported)
    typer.echo(f"  score {compressed.after:.6g}, {compressed.before:.6g} before")
