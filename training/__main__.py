"""Train a model, or check that training reproduces it.

    python -m training digits                 train, evaluate and export to model_repository/digits
    python -m training digits --output DIR    the same, exported to DIR/digits
    python -m training digits --check         retrain into a temporary folder and compare with the model card
    python -m training bert_texts --checkpoint DIR    export an existing BERT classifier instead of training one
    python -m training all [--check]          the same for every model, one process per processor

Exit codes: 0 success, 1 a model is not good enough or differs from its card, 2 usage error or missing package.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from training import MODELS, REPOSITORY

if TYPE_CHECKING:
    from training.recipe import Recipe


_ALL = "all"
"""Selects every model."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    start = time.monotonic()
    try:
        code = _run_all(options) if options.model == _ALL else _run_one(options)
    except ModuleNotFoundError as error:
        _print_error(f"training needs the package {error.name}: pip install '.[training]'")
        return 2
    _log(f"{time.monotonic() - start:.1f} s")
    return code


def _run_one(options: argparse.Namespace) -> int:
    from training.recipes import find

    recipe = find(options.model)
    if options.checkpoint:
        return _export_checkpoint(recipe, options)
    return _check(recipe, options.output) if options.check else _train(recipe, options.output)


def _run_all(options: argparse.Namespace) -> int:
    from training.all_models import table, train_all

    outcomes = train_all(tuple(MODELS), options.output, keep=not options.check)
    _log("\n".join(table(outcomes)))
    problems = [f"{each.model}: {problem}" for each in outcomes for problem in each.problems]
    for each in problems:
        _print_error(each)
    return 1 if problems else 0


def _export_checkpoint(recipe: Recipe, options: argparse.Namespace) -> int:
    """Export a checkpoint instead of the model that the recipe would train."""
    from training.bert_checkpoint import CheckpointError, export_checkpoint

    if recipe.name != "bert_texts_model" or options.check:
        _print_error("--checkpoint requires bert_texts and cannot be combined with --check")
        return 2
    try:
        _log(f"export      {export_checkpoint(options.checkpoint, options.output)}")
    except CheckpointError as error:
        _print_error(str(error))
        return 1
    return 0


def _train(recipe: Recipe, repository: Path) -> int:
    from training.workflow import NotGoodEnoughError, run

    try:
        run(recipe, repository, _log)
    except NotGoodEnoughError as error:
        _print_error(f"{error}. Nothing was exported.")
        return 1
    return 0


def _check(recipe: Recipe, repository: Path) -> int:
    from training.check import check
    from training.model_card import ModelCardError
    from training.workflow import NotGoodEnoughError

    try:
        problems = check(recipe, repository, _log)
    except (ModelCardError, NotGoodEnoughError) as error:
        problems = [str(error)]
    for each in problems:
        _print_error(each)
    if not problems:
        _log("check       retraining reproduces the scores of the model card")
    return 1 if problems else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training",
        description="Train, evaluate and export models: preprocess, build, train, validate, test, export.",
    )
    parser.add_argument(
        "model",
        choices=(*sorted(MODELS), _ALL),
        type=_model_name,
        help="name of the model: %(choices)s",
        metavar="MODEL",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=REPOSITORY,
        metavar="DIR",
        help="the model repository to export to, or with --check to compare with (default: %(default)s)",
    )
    parser.add_argument(
        "--checkpoint",
        type=Path,
        metavar="DIR",
        help="for bert_texts: export the classifier in this folder (transformers format) instead of training one",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="retrain into a temporary folder and compare the scores with the model card; changes nothing",
    )
    return parser


def _model_name(text: str) -> str:
    """Return the name of the trained model: `chinese-texts` is the ensemble around `chinese_texts_model`."""
    name = text.replace("-", "_")
    return f"{name}_model" if f"{name}_model" in MODELS else name


def _log(line: str) -> None:
    print(line, flush=True)


def _print_error(line: str) -> None:
    print(f"error: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
