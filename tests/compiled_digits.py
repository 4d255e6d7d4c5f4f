"""The digits model compiled by AOTInductor, for tests that compare its served outputs with eager PyTorch."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from training import REPOSITORY
from training.recipes import find
from training.torchscript import load_eager
from training.workflow import model_file
from triton_operator.export import export_aotinductor
from triton_operator.sdk import Client

TOLERANCE = 1e-5
LARGEST_BATCH = 16


class CompiledDigits:
    """The network as a Python module, digits of the test set, and the compiled form in a repository."""

    def __init__(self, repository: Path, name: str) -> None:
        """Compile it with an example of the maximum batch size. Skips the test if there is no compiler."""
        if shutil.which("g++") is None:
            pytest.skip("compiling a model needs g++")
        recipe = find("digits")
        self._name = name
        self._network = load_eager(recipe.build, model_file(REPOSITORY, "digits")).eval()
        self._pictures = torch.from_numpy(recipe.preprocess().test.inputs[:LARGEST_BATCH])
        export_aotinductor(self._network, self._pictures, repository, name=name, max_batch_size=LARGEST_BATCH)

    def compare(self, client: Client, batches: Sequence[int]) -> None:
        """Send batches of these sizes, and check that each output equals the module's."""
        for rows in batches:
            answer = client.infer(self._name, self._pictures[:rows].numpy()).output
            with torch.inference_mode():
                np.testing.assert_allclose(answer, self._network(self._pictures[:rows]).numpy(), atol=TOLERANCE)
