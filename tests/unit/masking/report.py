"""`make masking`: precision and recall of each type, sentences per second, and the time of a start.

Output: a table for each language over the frozen sentences, and a line for the model that `mask-model` writes.
The rate is that of one core (CPU time); the median is that of single calls (elapsed time).
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.unit.masking import corpus
from tests.unit.masking.corpus import Span
from tests.unit.masking.scores import scores
from triton_operator.cli.mask_model.folder import LIBRARY, Texts, write_mask
from triton_operator.masking import Masker, MaskingAction, PersonalDataKind, find

_START = """
import sys, time
sys.path.insert(0, sys.argv[1])
begin = time.perf_counter()
from triton_operator.masking import Masker
Masker.load()
print(time.perf_counter() - begin)
"""


def main() -> int:
    """Print the report."""
    Masker.load()
    for language in corpus.LANGUAGES:
        _print_scores(language)
        _print_speed(language)
    print(f"start of the model: {_start_seconds():.2f} s more than Triton without it")
    return 0


def _print_scores(language: str) -> None:
    sentences = corpus.sentences(language)
    print(f"{language}: {len(sentences)} sentences")
    print(f"  {'type':14} {'marked':>6} {'found':>6} {'precision':>9} {'recall':>7}")
    for kind, score in scores(sentences, lambda text: [Span(*span) for span in find(text)]).items():
        print(f"  {kind:14} {score.marked:6} {score.found:6} {score.precision:9.3f} {score.recall:7.3f}")


def _print_speed(language: str) -> None:
    masker = Masker()
    texts = [each.text for each in corpus.sentences(language)]
    begin, seconds = time.process_time(), []
    for text in texts:
        clock = time.perf_counter()
        masker.mask(text)
        seconds.append(time.perf_counter() - clock)
    rate = len(texts) / (time.process_time() - begin)
    print(f"  {rate:,.0f} sentences/s on one core, p50 {statistics.median(seconds) * 1000:.2f} ms\n")


def _start_seconds() -> float:
    """Return the time that the model's code and dictionaries take to load, in a new process; the least of three."""
    with TemporaryDirectory() as folder:
        write_mask(Path(folder) / "mask", dict.fromkeys(PersonalDataKind, MaskingAction.REPLACE), Texts())
        command = [sys.executable, "-I", "-c", _START, str(Path(folder) / "mask" / "1" / LIBRARY)]
        return min(float(subprocess.run(command, capture_output=True, check=True).stdout) for _ in range(3))


if __name__ == "__main__":
    sys.exit(main())
