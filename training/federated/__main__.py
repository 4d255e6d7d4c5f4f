"""Train the tumour classifier with several parties, and compare it with central and with local training.

    python -m training.federated                              federated averaging of the weights
    python -m training.federated --secure-aggregation         the coordinator sees only sums
    python -m training.federated --differential-privacy       noise limits what weights reveal about a row

With `--output DIR`, the model is exported there with a card that states how the parties were protected. Without it, no
model is written; `python -m training breast_cancer_federated` writes the one in `model_repository/`. Exit codes:
0 success, 1 a process failed or the model is not good enough, 2 usage error or missing packages.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from training.federated.settings import Settings

_RECIPE = "breast_cancer_federated"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one federated training, print the table and return the exit code."""
    options = _parser().parse_args(arguments)
    missing = [name for name in ("torch", "sklearn", "flwr", "opacus") if not importlib.util.find_spec(name)]
    if missing:
        _print_error(f"needs the packages {', '.join(missing)}: pip install '.[federated]'")
        return 2
    from training.federated.comparison import compare, export, table
    from training.federated.run import FederationError
    from training.workflow import NotGoodEnoughError

    start = time.monotonic()
    try:
        settings = _settings(options)
        outcome = compare(settings, _log)
        _log("\n" + "\n".join(table(outcome)))
        if options.output:
            _log("")
            export(settings, outcome, options.output, _log)
    except (FederationError, NotGoodEnoughError) as error:
        _print_error(str(error))
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    _log(f"{time.monotonic() - start:.1f} s")
    return 0


def _settings(options: argparse.Namespace) -> Settings:
    from training import breast_cancer_federated
    from training.federated.division import PARTIES
    from training.federated.settings import Privacy, averaged, with_privacy

    settings = averaged(breast_cancer_federated.RECIPE.plan, _RECIPE, PARTIES, masked=bool(options.secure_aggregation))
    if not options.differential_privacy:
        return settings
    return with_privacy(settings, Privacy(options.epsilon, options.delta, noise_multiplier=options.noise_multiplier))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training.federated",
        description="Train one model with three parties that do not share their rows, and compare it.",
    )
    parser.add_argument(
        "--secure-aggregation", action="store_true", help="hide each update from the coordinator (SecAgg+)"
    )
    parser.add_argument("--differential-privacy", action="store_true", help="add noise in each party (Opacus)")
    parser.add_argument(
        "--epsilon",
        type=_positive,
        default=3.0,
        metavar="E",
        help="privacy budget of each party for the whole run; smaller is more private (default: %(default)s)",
    )
    parser.add_argument(
        "--delta",
        type=_probability,
        default=1e-4,
        metavar="D",
        help="probability that the bound does not hold; below 1 divided by the number of rows (default: %(default)s)",
    )
    parser.add_argument(
        "--noise-multiplier",
        type=_positive,
        metavar="S",
        help="noise relative to the clipping norm, instead of --epsilon; the resulting epsilon is reported",
    )
    parser.add_argument("--output", type=Path, metavar="DIR", help="export the model with its card to this repository")
    return parser


def _positive(text: str) -> float:
    if not 0 < (value := _number(text)) < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0")
    return value


def _probability(text: str) -> float:
    if not 0 < (value := _number(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def _number(text: str) -> float:
    """Parse a number; NaN if the text is not one, so that every comparison fails."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def _log(line: str) -> None:
    print(line, flush=True)


def _print_error(line: str) -> None:
    print(f"error: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    sys.exit(main())
