"""The table of compressed models: measured for one of them, and how refusals are written."""

from __future__ import annotations

from pathlib import Path

import pytest

from training import compression
from training.compression import Row, Way, measure_model, page
from training.recipes import find
from training.speed import Speed

pytestmark = pytest.mark.training

FAST = Speed(size=240_000, packed=214_400, latency=0.0003, throughput=6049.4)


def test_a_model_is_measured_in_each_way() -> None:
    """What is larger, equally good or not to be made at all."""
    ways = (Way("as trained"), Way("fp16", "fp16"), Way("channels", "prune-channels"))
    lines: list[str] = []
    whole, half, channels = measure_model(find("digits_small"), ways, 0.01, lines.append)
    assert whole.speed
    assert half.speed
    assert whole.score
    assert half.score
    assert half.speed.size < 0.7 * whole.speed.size
    assert abs(half.score - whole.score) <= 0.01
    assert whole.speed.throughput > 1 / whole.speed.latency
    assert channels.speed is None or channels.speed.size < 0.7 * whole.speed.size
    assert [line.split(": ")[1] for line in lines] == ["as trained", "fp16", "channels"]


def test_a_loss_is_refused() -> None:
    """With no training afterwards little is left of a model that loses nearly everything."""
    (row,) = measure_model(find("digits_small"), (Way("few", "prune-channels", 0.99),), -0.5, lambda _: None)
    assert row.speed is None
    assert row.refusal.startswith("refused: prune-channels takes ")


def test_the_page_has_a_table_for_each_model() -> None:
    text = page([(find("digits"), [Row("as trained", 0.98873, FAST), Row("int8", refusal="refused: so")])], 0.01)
    assert "| as trained | 240 kB | 214 kB | 300 µs | 6,049 | 0.9887 |\n| int8 | refused: so | | | | |\n" in text
    assert "| form | file | packed | p50 | rows/s | accuracy |" in text


def test_a_model_that_is_not_there_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        compression.main(["digit", "--output", str(tmp_path / "page.md")])
    assert caught.value.code == 2
    assert "no such model: digit; there are linear_regression" in capsys.readouterr().err
