"""The process of one party, the only one that reads the party's rows. It handles the calls of the coordinator.

    python -m training.federated.party FOLDER NAME HOST:PORT

FOLDER contains the settings and the rows of this party. Output: one response per call over gRPC, which contains only
weights (or statistics for standardization), the number of rows, the party's name and the privacy spent. `run` starts
it.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from flwr.client import NumPyClient, start_client

from training.dataset import Part
from training.federated import division, learning, process, settings
from training.federated.learning import Arrays, Scaling
from training.federated.masked import MOST_ROWS, MaskedParty
from training.federated.settings import ROUND, STATISTICS, TASK, Settings
from training.federated.task import task_of
from training.recipe import Recipe

_PATIENCE_SECONDS = 120.0


class Party(NumPyClient):
    """Handles two tasks: statistics of the rows (never with differential privacy), and training on them."""

    def __init__(self, name: str, recipe: Recipe, part: Part, agreed: Settings) -> None:
        if agreed.masked and len(part) > MOST_ROWS:
            raise ValueError(f"{name} has {len(part)} rows; secure aggregation supports at most {MOST_ROWS} per party")
        self._name, self._recipe, self._part, self._agreed = name, recipe, part, agreed
        self._private = None
        if agreed.privacy:
            from training.federated.private import PrivateLearner

            self._private = PrivateLearner(recipe, part, agreed, agreed.privacy)

    def fit(self, parameters: Arrays, config: Mapping[str, Any]) -> tuple[Arrays, int, dict[str, Any]]:
        """Return arrays, the number of rows, and the name of the party with the privacy spent."""
        metrics: dict[str, Any] = {"party": self._name}
        np.random.seed(self._seed(int(config[ROUND])))  # noqa: NPY002 - Flower rounds what it masks by this generator.
        if config[TASK] == STATISTICS:
            if self._private:
                raise ValueError("no statistics are sent with differential privacy, which does not cover them")
            (bounds,) = parameters
            return learning.statistics(self._part.inputs, bounds), len(self._part), metrics
        *arrays, mean, spread = parameters
        learned = self._learn(arrays, Scaling(mean, spread), int(config[ROUND]))
        if self._private:
            metrics["epsilon"] = self._private.epsilon()
        return learned, len(self._part), metrics

    def _learn(self, arrays: Arrays, scale: Scaling, round_number: int) -> Arrays:
        if self._private:
            return self._private.learn(arrays, scale)
        return learning.learn(self._recipe, self._part, arrays, scale, self._agreed, self._seed(round_number))

    def _seed(self, round_number: int) -> int:
        return learning.seed_for(self._agreed, self._name, round_number)


def main(arguments: Sequence[str]) -> None:
    """Serve one party until the coordinator ends the run."""
    folder, name, address = Path(arguments[0]), arguments[1], arguments[2]
    agreed = settings.read(folder)
    party: NumPyClient = Party(name, task_of(agreed).recipe, division.read(folder), agreed)
    _await_listening(address)
    start_client(
        server_address=address, client=(MaskedParty(party) if agreed.masked else party).to_client(), insecure=True
    )


def _await_listening(address: str) -> None:
    """Wait until the coordinator accepts connections, because Flower's client does not retry."""
    host, port = address.rsplit(":", 1)
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            with socket.create_connection((host, int(port)), timeout=1):
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


if __name__ == "__main__":
    process.run(main)
