"""Train the classifier of tumours with several parties and compare with what others would have.

    python -m training.federated                              parties average their weights
    python -m training.federated --secure-aggregation         the coordinator sees sums alone
    python -m training.federated --differential-privacy       noise bounds what weights tell of a row

Compared are training on all rows in one place and each party alone. With `--output DIR` the model is written there, and
its card says what protected the parties; without, nothing is. That of `model_repository/` is made by
`python -m training breast_cancer_federated`. Exit codes: 0 done, 1 a process failed or the model is not good enough,
2 wrong arguments or missing packages.
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
    """Run one federation, print the table and return the exit code."""
    options = _parser().parse_args(arguments)
    missing = [name for name in ("torch", "sklearn", "flwr", "opacus") if not importlib.util.find_spec(name)]
    if missing:
        _complain(f"needs the packages {', '.join(missing)}: pip install '.[federated]'")
        return 2
    from training.federated.comparison import compare, export, table
    from training.federated.run import FederationError
    from training.workflow import NotGoodEnoughError

    start = time.monotonic()
    try:
        settings = _settings(options)
        outcome = compare(settings, _say)
        _say("\n" + "\n".join(table(outcome)))
        if options.output:
            _say("")
            export(settings, outcome, options.output, _say)
    except (FederationError, NotGoodEnoughError) as error:
        _complain(str(error))
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    _say(f"{time.monotonic() - start:.1f} s")
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
        description="Train one model with three parties whose rows stay where they are, and compare.",
    )
    parser.add_argument("--secure-aggregation", action="store_true", help="mask each update (SecAgg+)")
    parser.add_argument("--differential-privacy", action="store_true", help="train with noise in the parties (Opacus)")
    parser.add_argument(
        "--epsilon",
        type=_positive,
        default=3.0,
        metavar="E",
        help="privacy each party may spend in the whole run; smaller is more private (default: %(default)s)",
    )
    parser.add_argument(
        "--delta",
        type=_probability,
        default=1e-4,
        metavar="D",
        help="probability that the bound does not hold; less than one in the number of rows (default: %(default)s)",
    )
    parser.add_argument(
        "--noise-multiplier",
        type=_positive,
        metavar="S",
        help="noise in units of the longest gradient, instead of --epsilon; what it spends is reported",
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
    """Read a number; what is none fails every comparison."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def _say(line: str) -> None:
    print(line, flush=True)


def _complain(line: str) -> None:
    print(f"error: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    sys.exit(main())
