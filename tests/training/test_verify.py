"""Comparison of a served model with PyTorch: every type of difference is detected."""

from __future__ import annotations

import socket
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from training import digits, linear_regression
from training.verify import Report, compare, main

pytestmark = pytest.mark.training


def _right(batch: NDArray[np.float32]) -> NDArray[Any]:
    return batch[:, :1] / 2 + np.float32(0.5)


def _compare(answer: Any) -> Report:
    clients = {"HTTP": _right, "gRPC": lambda batch: answer(_right(batch))}
    return compare(linear_regression.RECIPE, clients, _right)


def test_equal_outputs_pass() -> None:
    """The report has the scores of both protocols."""
    report = _compare(lambda values: values + np.float32(1e-6))
    assert report.passed
    assert report.rows == 2
    assert report.scores["HTTP"] == {"mse": 0, "r2": 1}
    http, grpc = report.lines()
    assert http.startswith("linear_regression over HTTP: 2 rows, largest difference from PyTorch 0 (same")
    assert "over gRPC" in grpc


@pytest.mark.parametrize(
    "wrong",
    [
        lambda values: values + np.float32(1e-4),
        lambda values: np.where(values == values[-1], np.nan, values),
        lambda values: values[:1],
        lambda values: values * np.float32(np.inf),
    ],
    ids=["far", "no number", "too few", "infinite"],
)
def test_different_outputs_over_one_protocol_fail(wrong: Any) -> None:
    """Even if the outputs over the other protocol are right."""
    report = _compare(wrong)
    assert not report.passed
    assert report.differences["HTTP"] == 0
    assert "DIFFERENT" in report.lines()[1]


def test_large_test_sets_are_split_into_batches() -> None:
    """Triton rejects more rows than max_batch_size."""
    sizes: list[int] = []

    def infer(batch: NDArray[np.float32]) -> NDArray[Any]:
        sizes.append(len(batch))
        return np.zeros((len(batch), 10), dtype=np.float32)

    assert compare(digits.RECIPE, {"HTTP": infer}, lambda batch: np.zeros((len(batch), 10))).rows == 355
    assert sizes == [64, 64, 64, 64, 64, 35]


def test_an_unreachable_server_is_reported_with_both_addresses(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1 and no traceback."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        assert main(["linear_regression", "--http", address, "--grpc", address]) == 1
    assert f"no response from linear_regression at {address}" in capsys.readouterr().err
