"""Measure the effect of compression on this project's models: size, speed and score, as a page of docs/.

    python -m training.compression                        measure all, write docs/compression.md
    python -m training.compression digits --output FILE   one model, to another file
    python -m training.compression --without-aotinductor  skip the rows that take a minute to compile

Each variant is exported, loaded in the form that is served, and evaluated on the test set of the model. If the score
drops by more than --max-drop, the exporter rejects the variant, and its row has no other numbers. Exit codes:
0 success, 2 usage error.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from training import MODELS, REPOSITORY
from training.fit import fit
from training.recipe import Recipe
from training.recipes import find
from training.reproducible import reproducible
from training.speed import Speed, measure
from training.torchscript import load_eager
from training.workflow import model_file, score
from triton_operator.export import (
    TOLERANCE,
    CompressionRejectedError,
    ExportError,
    compress,
    export_aotinductor,
    export_torchscript,
)

SHOWN = ("digits", "chinese_texts_model", "bert_texts_model")
PAGE = Path(__file__).resolve().parent.parent / "docs" / "compression.md"

_EPOCHS = 2
"""Epochs of fine-tuning after pruning."""

_SLOWER = 0.3
"""Learning rate of fine-tuning, relative to the first training."""

_EXAMPLES = 4

_BYTES_DIFFER = 0.05
"""Tolerance between an 8-bit module and its exported form: a value may be rounded to the neighbouring step, and a
recurrent layer has one scale for a whole batch."""

Log = Callable[[str], None]


class Variant(NamedTuple):
    """One row of the table: a method of the exporter ("" for none), its sparsity, and the file's format."""

    title: str
    method: str = ""
    sparsity: float = 0.5
    aotinductor: bool = False


VARIANTS = (
    Variant("as trained"),
    Variant("70 % of the weights pruned, fine-tuned", "prune", 0.7),
    Variant("half of the channels pruned, fine-tuned", "prune-channels", 0.5),
    Variant("int8", "int8"),
    Variant("fp16", "fp16"),
    Variant("AOTInductor", aotinductor=True),
    Variant("AOTInductor, int8 by torchao", "int8-aotinductor", aotinductor=True),
)


class Row(NamedTuple):
    """The result of one variant; without a speed, `refusal` has the reason."""

    title: str
    score: float | None = None
    speed: Speed | None = None
    refusal: str = ""


def measure_model(recipe: Recipe, variants: Sequence[Variant], max_drop: float, log: Log) -> Iterator[Row]:
    """Compress, export and measure a committed model in each variant."""
    model = load_eager(recipe.build, model_file(REPOSITORY, recipe.name))
    for variant in variants:
        start = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="triton-operator-compression-") as folder, reproducible(1):
            row = _measure_variant(recipe, model, variant, max_drop, Path(folder))
        log(f"{recipe.name}: {variant.title}: {time.monotonic() - start:.0f} s {row.refusal}".rstrip())
        yield row


def _measure_variant(recipe: Recipe, model: nn.Module, variant: Variant, max_drop: float, folder: Path) -> Row:
    test = recipe.preprocess().test
    arguments = [torch.from_numpy(each) for each in test.arguments]
    examples = [each[:_EXAMPLES] for each in arguments]
    try:
        smaller = _compressed(recipe, model, variant, max_drop, examples) if variant.method else model
        export = export_aotinductor if variant.aotinductor else partial(export_torchscript, trace=recipe.trace)
        exported = export(
            smaller,
            examples,
            folder,
            name=recipe.name,
            max_batch_size=recipe.max_batch_size,
            tolerance=_BYTES_DIFFER if variant.method.startswith("int8") else TOLERANCE,
        )
    except CompressionRejectedError as refusal:
        return Row(variant.title, refusal=f"rejected: {refusal}")
    except ExportError as error:
        return Row(variant.title, refusal=f"not exported: {error}")
    speed = measure(exported.path, arguments, recipe.max_batch_size)
    return Row(variant.title, _score(recipe, smaller), speed)


def _compressed(
    recipe: Recipe, model: nn.Module, variant: Variant, max_drop: float, examples: Sequence[torch.Tensor]
) -> nn.Module:
    tune = (lambda module: _train_again(recipe, module)) if variant.method.startswith("prune") else None
    return compress(
        model,
        examples,
        method=variant.method,
        sparsity=variant.sparsity,
        fine_tune=tune,
        evaluate=lambda module: _score(recipe, module),
        max_drop=max_drop,
    ).module


def _train_again(recipe: Recipe, module: nn.Module) -> None:
    plan = replace(recipe.plan, epochs=_EPOCHS, learning_rate=recipe.plan.learning_rate * _SLOWER)
    fit(module, replace(recipe, plan=plan), recipe.preprocess(), lambda _line: None)


def _score(recipe: Recipe, module: nn.Module) -> float:
    """The model's first metric on the test set."""
    headline = recipe.metrics[0].name
    return score(recipe, module, recipe.preprocess().test)[headline]


def page(tables: Sequence[tuple[Recipe, Sequence[Row]]], max_drop: float) -> str:
    """The text of docs/compression.md."""
    about = (
        f"Measured with one thread on {os.cpu_count()} cores and torch {torch.__version__.partition('+')[0]}. Each "
        "variant was exported, loaded in the form that is served, and evaluated on the test set. *Packed* is the "
        "compressed size, as in an image layer, *p50* the median latency of one row, and *rows/s* the throughput with "
        f"the largest batch. A variant whose score drops by more than {max_drop:g} is rejected. "
        "[docs/export.md](export.md) describes the methods."
    )
    head = ["# Compressed models: size, speed and score", "", "Written by `make compression`; do not edit.", "", about]
    return "\n".join([*head, *(line for recipe, rows in tables for line in _table(recipe, rows))]) + "\n"


def _table(recipe: Recipe, rows: Sequence[Row]) -> list[str]:
    headline = recipe.metrics[0].name
    return [
        "",
        f"## {recipe.title}",
        "",
        f"`{recipe.name}`: {recipe.architecture}.",
        "",
        f"| variant | file | packed | p50 | rows/s | {headline} |",
        "|---|---|---|---|---|---|",
        *(_line(row) for row in rows),
    ]


def _line(row: Row) -> str:
    if row.speed is None:
        return f"| {row.title} | {row.refusal} | | | | |"
    speed = row.speed
    return (
        f"| {row.title} | {speed.size / 1e3:,.0f} kB | {speed.packed / 1e3:,.0f} kB | {speed.latency * 1e6:,.0f} µs "
        f"| {speed.throughput:,.0f} | {row.score:.4f} |"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(prog="python -m training.compression", description="Measure compressed models.")
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"models to measure (default: {' '.join(SHOWN)})")
    parser.add_argument("--output", type=Path, default=PAGE, metavar="FILE", help="default: %(default)s")
    parser.add_argument(
        "--max-drop", type=float, default=0.01, help="largest allowed drop of the score (default: 0.01)"
    )
    parser.add_argument(
        "--without-aotinductor", action="store_true", help="skip the variants that take minutes to compile"
    )
    options = parser.parse_args(arguments)
    names = options.models or list(SHOWN)
    if unknown := [name for name in names if name not in MODELS]:
        parser.error(f"no such model: {', '.join(unknown)}; available: {', '.join(MODELS)}")
    variants = [variant for variant in VARIANTS if not (variant.aotinductor and options.without_aotinductor)]
    tables = [(recipe, list(measure_model(recipe, variants, options.max_drop, _log))) for recipe in map(find, names)]
    options.output.write_text(page(tables, options.max_drop), encoding="utf-8")
    _log(str(options.output))
    return 0


def _log(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
