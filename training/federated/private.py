"""Training under differential privacy, by Opacus: what a party sends tells little about any one of its rows.

`party` makes one `PrivateLearner` for the whole run, because the privacy spent adds up over the rounds. Each row's
gradient is cut to a length and noise is added to their sum, so the bound holds for all that is ever made of it.
"""

from __future__ import annotations

import secrets
import warnings

import torch
from opacus import PrivacyEngine
from torch.utils.data import DataLoader, TensorDataset

from training.dataset import Part
from training.federated.learning import Arrays, Scaling, load, weights
from training.federated.settings import Privacy, Settings
from training.recipe import Recipe


class PrivateLearner:
    """Trains on one party's rows and keeps account of the privacy that this has cost.

    The noise comes from the system's random source, never from the run's seed: whoever knew the seed could subtract
    it. Two runs therefore differ slightly.
    """

    def __init__(self, recipe: Recipe, part: Part, settings: Settings, privacy: Privacy) -> None:
        """Choose the noise for all rounds at once: more rounds, more noise in each."""
        torch.set_num_threads(1)
        rows = TensorDataset(torch.from_numpy(part.inputs), torch.from_numpy(part.targets))
        module = recipe.build().train()
        # What Opacus and torch say about their own insides.
        with warnings.catch_warnings(action="ignore"):
            self._engine = PrivacyEngine(accountant="rdp")
            options = {
                "module": module,
                "optimizer": torch.optim.SGD(module.parameters(), lr=settings.learning_rate),
                "data_loader": DataLoader(rows, batch_size=settings.batch_size or len(part)),
                "max_grad_norm": privacy.clip,
                "noise_generator": torch.Generator().manual_seed(secrets.randbits(63)),
            }
            if privacy.noise_multiplier is None:
                self._model, self._optimizer, self._loader = self._engine.make_private_with_epsilon(
                    target_epsilon=privacy.epsilon,
                    target_delta=privacy.delta,
                    epochs=settings.rounds * settings.local_epochs,
                    **options,
                )
            else:
                self._model, self._optimizer, self._loader = self._engine.make_private(
                    noise_multiplier=privacy.noise_multiplier, **options
                )
        self._module, self._recipe, self._settings, self._delta = module, recipe, settings, privacy.delta

    def learn(self, arrays: Arrays, scale: Scaling) -> Arrays:
        """Train from the given weights for the local epochs and return the weights it ends with."""
        load(self._module, arrays, scale)
        self._module.train()
        with warnings.catch_warnings(action="ignore"):
            for _ in range(self._settings.local_epochs):
                for inputs, targets in self._loader:
                    self._optimizer.zero_grad()
                    self._recipe.loss(self._model, [inputs], targets).backward()  # type: ignore[no-untyped-call]
                    self._optimizer.step()
        return weights(self._module)

    def epsilon(self) -> float:
        """Return what has been spent so far; it depends on counts and settings, not on any row's values."""
        with warnings.catch_warnings(action="ignore"):
            return float(self._engine.get_epsilon(self._delta))
