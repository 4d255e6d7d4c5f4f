"""Compressed models served by a real Triton: the exporter compares the served outputs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.local.session import User
from training import REPOSITORY
from training.recipes import find
from training.torchscript import load_eager
from training.workflow import model_file
from triton_operator.export import compress, export_torchscript

METHODS = {"int8": 1e-3, "fp16": 1e-5, "prune-channels": 1e-5}
"""Tolerance of served outputs. The server sums convolutions in another order, so a value may be rounded to the
neighbouring 8-bit step; on the tested processors, no value was (the difference is 1.2e-7)."""

pytestmark = pytest.mark.timeout(900)  # The first start may download the server.


def test_compressed_digits_are_served_as_eager_pytorch_answers(user: User, tmp_path: Path) -> None:
    """One server serves all variants; each is exported, served, and exported again with the server's address."""
    recipe = find("digits")
    digits = load_eager(recipe.build, model_file(REPOSITORY, "digits"))
    pictures = torch.from_numpy(recipe.preprocess().test.inputs[:32])
    forms = {
        method: compress(digits, pictures, method=method, sparsity=0.2, evaluate=lambda _: 1.0).module
        for method in METHODS
    }

    def export(method: str, url: str = "") -> float | None:
        name, tolerance = f"digits-{method}", METHODS[method]
        exported = export_torchscript(
            forms[method], pictures, tmp_path, name=name, max_batch_size=64, url=url, tolerance=tolerance
        )
        return exported.served

    for method in METHODS:
        export(method)
    with user.serving(tmp_path) as serving:
        served = {method: export(method, serving.http) for method in METHODS}
    assert all(difference is not None for difference in served.values())
    assert "sent to Triton over HTTP" in (tmp_path / "digits-int8" / "README.md").read_text()
