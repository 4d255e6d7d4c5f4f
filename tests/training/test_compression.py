"""The table of compressed models: measured for one model, and the text of rejected variants."""

from __future__ import annotations

from pathlib import Path

import pytest

from training import compression
from training.compression import Row, Variant, measure_model, page
from training.recipes import find
from training.speed import Speed

pytestmark = pytest.mark.training

FAST = Speed(size=240_000, packed=214_400, latency=0.0003, throughput=6049.4)


def test_a_model_is_measured_in_each_way() -> None:
    """Among them variants that are larger, equally accurate or impossible."""
    variants = (Variant("as trained"), Variant("fp16", "fp16"), Variant("channels", "prune-channels"))
    lines: list[str] = []
    whole, half, channels = measure_model(find("digits_small"), variants, 0.01, lines.append)
    assert whole.speed
    assert half.speed
    assert whole.score
    assert half.score
    assert half.speed.size < 0.7 * whole.speed.size
    assert abs(half.score - whole.score) <= 0.01
    assert whole.speed.throughput > 1 / whole.speed.latency
    assert channels.speed is None or channels.speed.size < 0.7 * whole.speed.size
    assert [line.split(": ")[1] for line in lines] == ["as trained", "fp16", "channels"]


def test_a_variant_that_loses_accuracy_is_rejected() -> None:
    """Without fine-tuning, a model with few remaining channels has a low score."""
    (row,) = measure_model(find("digits_small"), (Variant("few", "prune-channels", 0.99),), -0.5, lambda _: None)
    assert row.speed is None
    assert row.refusal.startswith("rejected: prune-channels lowers the score by ")


def test_the_page_has_a_table_for_each_model() -> None:
    text = page([(find("digits"), [Row("as trained", 0.98873, FAST), Row("int8", refusal="rejected: so")])], 0.01)
    assert "| as trained | 240 kB | 214 kB | 300 µs | 6,049 | 0.9887 |\n| int8 | rejected: so | | | | |\n" in text
    assert "| variant | file | packed | p50 | rows/s | accuracy |" in text


def test_an_unknown_model_is_reported_with_the_available_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        compression.main(["digit", "--output", str(tmp_path / "page.md")])
    assert caught.value.code == 2
    assert "no such model: digit; available: linear_regression" in capsys.readouterr().err
