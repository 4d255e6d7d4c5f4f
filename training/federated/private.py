"""Training with differential privacy (Opacus): the updates of a party reveal little about any single row.

`party` creates one `PrivateLearner` for the whole run, because the privacy spent accumulates over the rounds. The
gradient of each row is clipped and noise is added to the sum, so the bound also covers everything derived from it.
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
    """Trains on the rows of one party and accounts for the privacy spent.

    The noise comes from the system's random source and not from the run's seed, because the seed would allow to
    subtract it. Two runs therefore differ slightly.
    """

    def __init__(self, recipe: Recipe, part: Part, settings: Settings, privacy: Privacy) -> None:
        """Calculate the noise for all rounds; more rounds need more noise in each."""
        torch.set_num_threads(1)
        rows = TensorDataset(torch.from_numpy(part.inputs), torch.from_numpy(part.targets))
        module = recipe.build().train()
        # Warnings of Opacus and torch about their own internals.
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
        """Train from the given weights for the local epochs, and return the new weights."""
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
        """Return the epsilon spent so far, which depends on counts and settings and not on the values of rows."""
        with warnings.catch_warnings(action="ignore"):
            return float(self._engine.get_epsilon(self._delta))
