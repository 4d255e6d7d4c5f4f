"""What compression does to our own models: size, speed and score before and after, as a table in the documents.

    python -m training.compression                        measure all, write docs/compression.md
    python -m training.compression digits --output FILE   one model, to another file
    python -m training.compression --without-aotinductor  without the minute of compiling for each of those rows

Each form is exported, loaded again as it is served, and judged by the test part of the model's own data; one that
scores worse by more than --max-drop is refused by the exporter and has no other numbers. Exit code 0, or 2 for wrong
arguments.
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
"""Of training after a pruning."""

_SLOWER = 0.3
"""Share of the first training's rate: what is left is nearly right already."""

_EXAMPLES = 4

_BYTES_DIFFER = 0.05
"""Allowed between a module in 8 bits and its exported form: a number between two bytes may become the other one, and a
recurrent layer has one scale for a whole batch."""

Say = Callable[[str], None]


class Way(NamedTuple):
    """One row of the table: a method of the exporter ("" for none), its sparsity, and the file's format."""

    title: str
    method: str = ""
    sparsity: float = 0.5
    aotinductor: bool = False


WAYS = (
    Way("as trained"),
    Way("70 % of the weights zero, trained again", "prune", 0.7),
    Way("half of the channels gone, trained again", "prune-channels", 0.5),
    Way("int8", "int8"),
    Way("fp16", "fp16"),
    Way("AOTInductor", aotinductor=True),
    Way("AOTInductor, int8 by torchao", "int8-aotinductor", aotinductor=True),
)


class Row(NamedTuple):
    """What came of one way; without a speed the text says why."""

    title: str
    score: float | None = None
    speed: Speed | None = None
    refusal: str = ""


def measure_model(recipe: Recipe, ways: Sequence[Way], max_drop: float, say: Say) -> Iterator[Row]:
    """Compress, export and measure a committed model in each way."""
    model = load_eager(recipe.build, model_file(REPOSITORY, recipe.name))
    for way in ways:
        start = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="triton-operator-compression-") as folder, reproducible(1):
            row = _measure_way(recipe, model, way, max_drop, Path(folder))
        say(f"{recipe.name}: {way.title}: {time.monotonic() - start:.0f} s {row.refusal}".rstrip())
        yield row


def _measure_way(recipe: Recipe, model: nn.Module, way: Way, max_drop: float, folder: Path) -> Row:
    test = recipe.preprocess().test
    arguments = [torch.from_numpy(each) for each in test.arguments]
    examples = [each[:_EXAMPLES] for each in arguments]
    try:
        smaller = _compressed(recipe, model, way, max_drop, examples) if way.method else model
        export = export_aotinductor if way.aotinductor else partial(export_torchscript, trace=recipe.trace)
        exported = export(
            smaller,
            examples,
            folder,
            name=recipe.name,
            max_batch_size=recipe.max_batch_size,
            tolerance=_BYTES_DIFFER if way.method.startswith("int8") else TOLERANCE,
        )
    except CompressionRejectedError as refusal:
        return Row(way.title, refusal=f"refused: {refusal}")
    except ExportError as error:
        return Row(way.title, refusal=f"not made: {error}")
    speed = measure(exported.path, arguments, recipe.max_batch_size)
    return Row(way.title, _score(recipe, smaller), speed)


def _compressed(
    recipe: Recipe, model: nn.Module, way: Way, max_drop: float, examples: Sequence[torch.Tensor]
) -> nn.Module:
    tune = (lambda module: _train_again(recipe, module)) if way.method.startswith("prune") else None
    return compress(
        model,
        examples,
        method=way.method,
        sparsity=way.sparsity,
        fine_tune=tune,
        evaluate=lambda module: _score(recipe, module),
        max_drop=max_drop,
    ).module


def _train_again(recipe: Recipe, module: nn.Module) -> None:
    plan = replace(recipe.plan, epochs=_EPOCHS, learning_rate=recipe.plan.learning_rate * _SLOWER)
    fit(module, replace(recipe, plan=plan), recipe.preprocess(), lambda _line: None)


def _score(recipe: Recipe, module: nn.Module) -> float:
    """The headline of the model, on data that it has not seen."""
    headline = recipe.metrics[0].name
    return score(recipe, module, recipe.preprocess().test)[headline]


def page(tables: Sequence[tuple[Recipe, Sequence[Row]]], max_drop: float) -> str:
    """The document."""
    about = (
        f"One thread on a machine with {os.cpu_count()} cores, torch {torch.__version__.partition('+')[0]}. Each form "
        "was exported, loaded as it is served, and judged by the test part of the model's data. *Packed* is the file "
        "as a layer of an image holds it, *p50* the time of one row, *rows/s* with the largest batch. A form that "
        f"scores worse by more than {max_drop:g} is refused. [docs/export.md](export.md) says what the methods do."
    )
    head = ["# What compression does to our own models", "", "Written by `make compression`; do not edit.", "", about]
    return "\n".join([*head, *(line for recipe, rows in tables for line in _table(recipe, rows))]) + "\n"


def _table(recipe: Recipe, rows: Sequence[Row]) -> list[str]:
    headline = recipe.metrics[0].name
    return [
        "",
        f"## {recipe.title}",
        "",
        f"`{recipe.name}`: {recipe.architecture}.",
        "",
        f"| form | file | packed | p50 | rows/s | {headline} |",
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
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"which (default: {' '.join(SHOWN)})")
    parser.add_argument("--output", type=Path, default=PAGE, metavar="FILE", help="default: %(default)s")
    parser.add_argument("--max-drop", type=float, default=0.01, help="largest loss of the score (default: 0.01)")
    parser.add_argument("--without-aotinductor", action="store_true", help="leave out what takes minutes to compile")
    options = parser.parse_args(arguments)
    names = options.models or list(SHOWN)
    if unknown := [name for name in names if name not in MODELS]:
        parser.error(f"no such model: {', '.join(unknown)}; there are {', '.join(MODELS)}")
    ways = [way for way in WAYS if not (way.aotinductor and options.without_aotinductor)]
    tables = [(recipe, list(measure_model(recipe, ways, options.max_drop, _say))) for recipe in map(find, names)]
    options.output.write_text(page(tables, options.max_drop), encoding="utf-8")
    _say(str(options.output))
    return 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
